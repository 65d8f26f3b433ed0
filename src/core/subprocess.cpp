#include "core/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace image_engine {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const std::string& text : strings) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

struct FileActions {
  posix_spawn_file_actions_t actions;
  FileActions() { posix_spawn_file_actions_init(&actions); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions); }
  FileActions(const FileActions&) = delete;
};

struct Attributes {
  posix_spawnattr_t attributes;
  Attributes() {
    posix_spawnattr_init(&attributes);
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (int signal : {SIGPIPE, SIGTERM}) sigaddset(&defaults, signal);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    // A group of its own: Ctrl-C on the terminal reaches the engine alone, which then finishes what is in flight.
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~Attributes() { posix_spawnattr_destroy(&attributes); }
  Attributes(const Attributes&) = delete;
};

}  // namespace

Result<int> spawn(const SpawnOptions& options) {
  FileActions files;
  int first_free = 3;
  if (options.silent)
    for (int fd = 0; fd < 3; ++fd) posix_spawn_file_actions_addopen(&files.actions, fd, "/dev/null", O_RDWR, 0);
  // Sources are moved above all targets first, so that no dup2 overwrites one still needed.
  std::vector<UniqueFd> moved;
  for (const auto& [ours, theirs] : options.descriptors) {
    first_free = std::max(first_free, theirs + 1);
    moved.emplace_back(::fcntl(ours, F_DUPFD_CLOEXEC, 64));
    if (!moved.back()) return fail(errno_error("cannot duplicate a descriptor"));
    posix_spawn_file_actions_adddup2(&files.actions, moved.back().get(), theirs);
  }
  posix_spawn_file_actions_addclosefrom_np(&files.actions, first_free);
  Attributes attributes;
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, options.arguments.at(0).c_str(), &files.actions, &attributes.attributes,
                                  pointers(options.arguments).data(), pointers(options.environment).data());
  if (error != 0) return fail(errno_error("cannot start " + options.arguments[0], error));
  return pid;
}

Result<Finished> run_program(const SpawnOptions& options, std::chrono::milliseconds timeout) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(errno_error("cannot make a pipe"));
  UniqueFd output(ends[0]), theirs(ends[1]);
  SpawnOptions with_pipe = options;
  with_pipe.descriptors.emplace_back(theirs.get(), 1);
  IE_TRY(const int pid, spawn(with_pipe));
  theirs.reset();

  constexpr size_t kMaxOutput = size_t{16} << 20;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  Finished finished;
  bool timed_out = false;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd poll{output.get(), POLLIN, 0};
    if (::poll(&poll, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) == 0) {
      timed_out = true;
      break;
    }
    char buffer[65536];
    const ssize_t count = ::read(output.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0 || finished.output.size() > kMaxOutput) break;
    finished.output.append(buffer, static_cast<size_t>(count));
  }
  if (timed_out) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (timed_out) return fail(ErrorCode::kTimeout, options.arguments[0] + " did not end in time");
  finished.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  finished.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return finished;
}

}  // namespace image_engine
