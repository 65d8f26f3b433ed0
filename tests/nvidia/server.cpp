#include "tests/nvidia/server.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "core/subprocess.h"
#include "models/http_exchange.h"

namespace image_engine::nvidia {
namespace {

std::pair<UniqueFd, UniqueFd> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::string read_line(int fd) {
  std::string line;
  for (char c = 0; ::read(fd, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

}  // namespace

Server::Server(const std::vector<std::string>& arguments) {
  auto [their_input, input] = make_pipe();
  auto [output, their_output] = make_pipe();
  SpawnOptions options;
  options.arguments = {IE_SOURCE_DIR "/build/venv/bin/python", "-B", IE_SOURCE_DIR "/tests/nvidia/server.py"};
  options.folder.clear();  // its paths are relative
  options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
  options.environment = {std::string("PATH=") + ::getenv("PATH")};
  options.descriptors = {{their_input.get(), 0}, {their_output.get(), 1}, {2, 2}};
  const Result<int> pid = spawn(options);
  if (!pid) throw std::runtime_error(pid.error().message);
  pid_ = *pid;
  input_ = std::move(input);
  their_output.reset();
  std::istringstream line(read_line(output.get()));
  std::string port;
  line >> port >> certificate_;
  if (port.empty()) throw std::runtime_error("server.py did not start");
  origin_ = (certificate_.empty() ? "http://127.0.0.1:" : "https://localhost:") + port;
}

Server::~Server() {
  input_.reset();
  ::waitpid(pid_, nullptr, 0);
}

void Server::control(const nlohmann::json& settings) const { (void)ask("/control", settings.dump()); }

nlohmann::json Server::requests() const { return nlohmann::json::parse(ask("/control/requests", "")); }

std::string Server::ask(const std::string& path, const std::string& body) const {
  std::string answer;
  models::HttpCall call;
  call.url = url(path);
  call.method = body.empty() ? "GET" : "POST";
  call.body = body;
  call.on_body = [&](std::string_view piece) {
    answer += piece;
    return Status{};
  };
  const models::HttpOutcome outcome = models::HttpConnections().exchange(call);
  if (outcome.error) throw std::runtime_error(outcome.error->message);
  return answer;
}

}  // namespace image_engine::nvidia
