// image-engine-worker: parses bytes from outside for image-engine, which starts it. Not meant to be run by hand,
// except with --probe.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "core/hash.h"
#include "core/json.h"
#include "media/media.h"
#include "worker/process/sandbox.h"
#include "worker/process/service.h"
#include "worker/protocol.h"

namespace {

using namespace image_engine;

struct Arguments {
  bool probe = false;
  bool require_sandbox = false;
  std::uint64_t memory_limit = std::uint64_t{1} << 30;
  int threads = 1;
};

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const bool has_value = i + 1 < argc;
    if (flag == "--probe") {
      arguments.probe = true;
    } else if (flag == "--require-sandbox") {
      arguments.require_sandbox = true;
    } else if (flag == "--memory-limit" && has_value) {
      arguments.memory_limit = std::strtoull(argv[++i], nullptr, 10);
    } else if (flag == "--threads" && has_value) {
      arguments.threads = std::atoi(argv[++i]);
    } else {
      return false;
    }
  }
  return true;
}

// Tries what the wall is there to refuse.
nlohmann::json try_the_wall() {
  const int file = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
  const int network = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  return {{"files", file < 0}, {"sockets", network < 0}, {"processes", child < 0}};
}

void print_probe(const worker::SandboxReport& report) {
  nlohmann::json libraries = nlohmann::json::object();
  for (const auto& [name, version] : media::library_versions()) libraries[name] = version;
  const nlohmann::json probe = {{"libraries", libraries},
                                {"sandbox",
                                 {{"no_new_privileges", report.no_new_privileges},
                                  {"namespaces", report.namespaces},
                                  {"landlock", report.landlock},
                                  {"seccomp", report.seccomp},
                                  {"limits", report.limits},
                                  {"refuses", try_the_wall()}}}};
  const std::string text = json_text(probe) + "\n";
  if (::write(STDOUT_FILENO, text.data(), text.size()) < 0) std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments) || (!arguments.probe && ::fcntl(worker::kSocketFd, F_GETFD) < 0)) {
    std::fputs("image-engine-worker is started by image-engine; by hand it only knows --probe\n", stderr);
    return 2;
  }
  worker::SandboxReport report;
  worker::enter_early(report);
  if (Status ready = media::init(arguments.threads); !ready) {
    std::fprintf(stderr, "image-engine-worker: %s\n", ready.error().message.c_str());
    return 2;
  }
  (void)content_hash({});  // OpenSSL sets itself up before the limits
  worker::enter_late(report, arguments.memory_limit);
  if (arguments.require_sandbox && !report.holds()) {
    std::fputs("image-engine-worker: no sandbox layer holds on this kernel\n", stderr);
    return 2;
  }
  if (arguments.probe) {
    print_probe(report);
    return 0;
  }
  // Nothing of the libraries' exit handlers is wanted behind the wall.
  ::_exit(worker::serve());
}
