#include "core/subprocess.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>

#include "core/sanitizers.h"

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

// What the child of a clone needs, made before it: until its exec it shares our memory and may only make system calls.
struct ChildPlan {
  std::vector<char*> arguments, environment;
  std::vector<std::pair<int, int>> descriptors;
  int first_free = 3;
  bool silent = true;
  const char* folder = "/";
  std::string users, groups;  // of the namespace: our own, under their own numbers
  bool ready = false;         // all but the exec went well
};

bool write_text(const char* path, std::string_view text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

void reset_signals() {
  struct sigaction action {};
  for (int signal = 1; signal < NSIG; ++signal) {
    const bool ours = signal == SIGPIPE || signal == SIGTERM;
    if (::sigaction(signal, nullptr, &action) != 0 || (action.sa_handler == SIG_IGN && !ours)) continue;
    action = {};
    ::sigaction(signal, &action, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

int run_child(void* data) {
  auto& plan = *static_cast<ChildPlan*>(data);
  if (!write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/uid_map", plan.users) ||
      !write_text("/proc/self/gid_map", plan.groups))
    ::_exit(127);
  reset_signals();
  if (::setpgid(0, 0) != 0 || (*plan.folder != '\0' && ::chdir(plan.folder) != 0)) ::_exit(127);
  if (plan.silent) {
    const int null = ::open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd)
      if (null < 0 || (null != fd && ::dup2(null, fd) < 0)) ::_exit(127);
  }
  for (const auto& [ours, theirs] : plan.descriptors)
    if (::dup2(ours, theirs) < 0) ::_exit(127);
  // By the system call: glibc may lack the function.
  if (::syscall(SYS_close_range, static_cast<unsigned>(plan.first_free), ~0U, 0U) != 0) ::_exit(127);
  plan.ready = true;
  ::execve(plan.arguments[0], plan.arguments.data(), plan.environment.data());
  plan.ready = false;
  ::_exit(127);
}

// The process id, or −1 where the system allows no namespaces or something else went wrong before the program began.
int clone_alone(ChildPlan& plan) {
  constexpr size_t kStack = size_t{64} << 10;
  const auto stack = std::make_unique<char[]>(kStack);
  sigset_t all, before;
  sigfillset(&all);
  // None of our handlers may run in the child.
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const int pid =
      ::clone(run_child, stack.get() + kStack, CLONE_VM | CLONE_VFORK | CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, &plan);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0 || plan.ready) return pid;
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
  return -1;
}

// A child that shares the memory of its parent is beyond the sanitizers.
constexpr bool kMayClone = IE_ADDRESS_SANITIZER + IE_THREAD_SANITIZER == 0;

Error start_error(const std::string& program, int error_number) {
  Error error = errno_error("cannot start " + program, error_number);
  if (error_number == EAGAIN)
    error.message += " (too many processes: raise the limit with ulimit -u, or use fewer processing.workers)";
  if (error_number == ENOMEM) error.message += " (close other programs, or use fewer processing.workers)";
  if (error_number == EAGAIN || error_number == ENOMEM) error.code = ErrorCode::kMachine;
  return error;
}

}  // namespace

Result<int> spawn(const SpawnOptions& options) {
  int first_free = 3;
  for (const auto& [ours, theirs] : options.descriptors) first_free = std::max(first_free, theirs + 1);
  // Sources are moved above all targets first, so that no dup2 overwrites one still needed.
  std::vector<UniqueFd> moved;
  std::vector<std::pair<int, int>> descriptors;
  for (const auto& [ours, theirs] : options.descriptors) {
    moved.emplace_back(::fcntl(ours, F_DUPFD_CLOEXEC, first_free));
    if (!moved.back()) return fail(errno_error("cannot duplicate a descriptor"));
    descriptors.emplace_back(moved.back().get(), theirs);
  }
  if (kMayClone && options.alone) {
    ChildPlan plan;
    plan.arguments = pointers(options.arguments);
    plan.environment = pointers(options.environment);
    plan.descriptors = descriptors;
    plan.first_free = first_free;
    plan.silent = options.silent;
    plan.folder = options.folder.c_str();
    plan.users = fmt::format("{0} {0} 1", ::geteuid());
    plan.groups = fmt::format("{0} {0} 1", ::getegid());
    if (const int pid = clone_alone(plan); pid > 0) return pid;
  }
  FileActions files;
  if (options.silent)
    for (int fd = 0; fd < 3; ++fd) posix_spawn_file_actions_addopen(&files.actions, fd, "/dev/null", O_RDWR, 0);
  for (const auto& [ours, theirs] : descriptors) posix_spawn_file_actions_adddup2(&files.actions, ours, theirs);
  posix_spawn_file_actions_addclosefrom_np(&files.actions, first_free);
  if (!options.folder.empty()) posix_spawn_file_actions_addchdir_np(&files.actions, options.folder.c_str());
  Attributes attributes;
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, options.arguments.at(0).c_str(), &files.actions, &attributes.attributes,
                                  pointers(options.arguments).data(), pointers(options.environment).data());
  if (error != 0) return fail(start_error(options.arguments[0], error));
  return pid;
}

namespace {

// Appends what can be read now; false at the end of the output, or once there is too much of it.
bool read_some(int fd, std::string& output) {
  constexpr size_t kMaxOutput = size_t{16} << 20;
  char buffer[65536];
  const ssize_t count = ::read(fd, buffer, sizeof buffer);
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  output.append(buffer, static_cast<size_t>(count));
  return count > 0 && output.size() <= kMaxOutput;
}

}  // namespace

Result<Finished> run_program(const SpawnOptions& options, std::chrono::milliseconds timeout) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(errno_error("cannot make a pipe"));
  UniqueFd output(ends[0]), theirs(ends[1]);
  SpawnOptions with_pipe = options;
  with_pipe.descriptors.emplace_back(theirs.get(), 1);
  ::fcntl(output.get(), F_SETFL, O_NONBLOCK);
  IE_TRY(const int pid, spawn(with_pipe));
  theirs.reset();

  const auto deadline = std::chrono::steady_clock::now() + timeout;
  Finished finished;
  int status = 0;
  for (bool is_open = true;;) {
    pollfd poll{is_open ? output.get() : -1, POLLIN, 0};
    if (::poll(&poll, 1, 10) > 0) is_open = read_some(output.get(), finished.output);
    if (!is_open) output.reset();
    if (::waitpid(pid, &status, WNOHANG) == pid) break;
    if (std::chrono::steady_clock::now() <= deadline) continue;
    ::kill(-pid, SIGKILL);
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return fail(ErrorCode::kTimeout, options.arguments[0] + " did not end in time");
  }
  for (size_t before = std::string::npos; before != finished.output.size();) {
    before = finished.output.size();
    read_some(output.get(), finished.output);
  }
  finished.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  finished.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return finished;
}

}  // namespace image_engine
