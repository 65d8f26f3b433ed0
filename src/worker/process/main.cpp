// image-engine-worker: parses bytes from outside for image-engine, which starts it. Not meant to be run by hand,
// except with --probe.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>

#include "core/cpu.h"
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
  std::string only;  // with --probe: the layer to try alone; empty: all
  std::uint64_t memory_limit = std::uint64_t{1} << 30;
  int threads = 1;
  int niceness = 0;
};

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const bool has_value = i + 1 < argc;
    if (flag == "--probe") {
      arguments.probe = true;
    } else if (flag == "--only" && has_value) {
      arguments.only = argv[++i];
    } else if (flag == "--memory-limit" && has_value) {
      arguments.memory_limit = std::strtoull(argv[++i], nullptr, 10);
    } else if (flag == "--threads" && has_value) {
      arguments.threads = std::atoi(argv[++i]);
    } else if (flag == "--nice" && has_value) {
      arguments.niceness = std::atoi(argv[++i]);
    } else {
      return false;
    }
  }
  return true;
}

// Tries what the sandbox must refuse. Signal 0 tests whether a signal would arrive; without a visible parent it is sent
// to all processes.
nlohmann::json try_the_wall(pid_t parent) {
  const int file = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
  struct stat info {};
  const bool named = ::fstatat(AT_FDCWD, "/etc/passwd", &info, 0) == 0;
  const bool named_emptily = ::fstatat(AT_FDCWD, "/etc/passwd", &info, AT_EMPTY_PATH) == 0;
  const int network = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool killed = ::kill(parent > 0 ? parent : -1, 0) == 0;
  const bool killed_by_thread = parent > 0 && ::syscall(SYS_tgkill, parent, parent, 0) == 0;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  void* code = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void* data = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool made_code = data != MAP_FAILED && ::mprotect(data, 4096, PROT_READ | PROT_EXEC) == 0;
  return {
      {"files", file < 0},      {"file_names", !named && !named_emptily},  {"sockets", network < 0},
      {"processes", child < 0}, {"signals", !killed && !killed_by_thread}, {"code", code == MAP_FAILED && !made_code}};
}

void print_probe(const worker::Layers& layers, pid_t parent) {
  nlohmann::json libraries = nlohmann::json::object();
  for (const auto& [name, version] : media::library_versions()) libraries[name] = version;
  const nlohmann::json probe = {{"libraries", libraries},
                                {"sandbox",
                                 {{"no_new_privileges", layers.no_new_privileges != 0},
                                  {"namespaces", layers.namespaces != 0},
                                  {"processes", layers.processes != 0},
                                  {"empty_root", layers.empty_root != 0},
                                  {"landlock", layers.landlock},
                                  {"seccomp", layers.seccomp != 0},
                                  {"limits", layers.limits != 0},
                                  {"refuses", try_the_wall(parent)}}}};
  const std::string text = json_text(probe) + "\n";
  if (::write(STDOUT_FILENO, text.data(), text.size()) < 0) std::exit(1);
}

}  // namespace

int main(int argc, char** argv) try {
  Arguments arguments;
  if (!parse(argc, argv, arguments) || (!arguments.probe && ::fcntl(worker::kSocketFd, F_GETFD) < 0)) {
    std::fputs("image-engine-worker is started by image-engine; by hand it only takes --probe\n", stderr);
    return 2;
  }
  const pid_t parent = ::getppid();
  if (arguments.niceness > 0) (void)::setpriority(PRIO_PROCESS, 0, arguments.niceness);
  worker::Layers layers;
  std::string problem;
  if (arguments.only.empty()) worker::enter_early(layers);
  if (Status known = check_cpu_limit(); !known) problem = known.error().message;
  if (Status ready = media::init(arguments.threads); !ready) problem = ready.error().message;
  (void)content_hash({});  // OpenSSL sets itself up before the limits
  if (problem.empty()) problem = worker::lacking_memory(arguments.memory_limit);
  if (arguments.only.empty()) {
    worker::enter_late(layers, {.memory_limit = arguments.memory_limit});
  } else if (!worker::enter_only(arguments.only, layers)) {
    std::fprintf(stderr, "image-engine-worker: %s is not a layer that can be tried alone\n", arguments.only.c_str());
    return 2;
  }
  if (arguments.probe) {
    if (!problem.empty()) std::fprintf(stderr, "image-engine-worker: %s\n", problem.c_str());
    print_probe(layers, parent);
    return problem.empty() ? 0 : 2;
  }
  // Skips the libraries' exit handlers in the sandbox.
  ::_exit(worker::serve(layers, problem));
} catch (const std::exception& error) {
  std::fprintf(stderr, "image-engine-worker: %s\n", error.what());
  return 2;
}
