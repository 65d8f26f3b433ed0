#include "core/subprocess.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>

#include "core/sanitizers.h"
#include "core/text.h"

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
    // Its own process group: Ctrl-C on the terminal reaches only the engine, which then finishes the work in flight.
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~Attributes() { posix_spawnattr_destroy(&attributes); }
  Attributes(const Attributes&) = delete;
};

// The data of a cloned child, prepared in advance: until its exec it shares our memory and may only make system calls.
struct ChildPlan {
  std::vector<char*> arguments, environment;
  std::vector<std::pair<int, int>> descriptors;
  int first_free = 3;
  bool silent = true;
  const char* folder = "/";
  bool own_proc = false;
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

// Of a PID namespace. Mounts are changed in a namespace of our own only.
void mount_proc() {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0)
    ::mount("proc", "/proc", "proc", kFlags, nullptr);
}

int run_child(void* data) {
  auto& plan = *static_cast<ChildPlan*>(data);
  if (!write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/uid_map", plan.users) ||
      !write_text("/proc/self/gid_map", plan.groups))
    ::_exit(127);
  if (plan.own_proc) mount_proc();
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

// The process id, or −1 if the system allows no namespaces or something else failed before the program began.
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

// Sanitizers do not support a child that shares its parent's memory.
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
  // First moves sources above all targets, so that no dup2 overwrites one still needed.
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
    plan.own_proc = options.own_proc;
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

using Clock = std::chrono::steady_clock;

// What a program writes to one of its descriptors.
struct Capture {
  UniqueFd ours, theirs;
  std::string text;
};

Result<Capture> open_capture() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(errno_error("cannot make a pipe"));
  Capture capture{UniqueFd(ends[0]), UniqueFd(ends[1]), {}};
  ::fcntl(capture.ours.get(), F_SETFL, O_NONBLOCK);
  return capture;
}

// Reads what is available and closes the pipe at its end. Drops excess output: it does not end the program.
void read_some(Capture& capture) {
  constexpr size_t kMostKept = size_t{16} << 20;
  char buffer[65536];
  const ssize_t count = capture.ours ? ::read(capture.ours.get(), buffer, sizeof buffer) : 0;
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (count <= 0) return capture.ours.reset();
  capture.text.append(buffer, std::min(static_cast<size_t>(count), kMostKept - capture.text.size()));
}

void read_rest(Capture& capture) {
  for (size_t before = std::string::npos; before != capture.text.size();) {
    before = capture.text.size();
    read_some(capture);
  }
}

// The reason to end the program, if any.
std::optional<Error> end_reason(const RunWatch& watch, const std::string& name, Clock::duration since) {
  if (watch.timeout.count() > 0 && since > watch.timeout)
    return Error{ErrorCode::kTimeout, name + " did not end in time"};
  if (watch.stop.stop_requested()) return Error{ErrorCode::kInterrupted, "interrupted"};
  return std::nullopt;
}

// waitpid()'s status. The captures are read meanwhile.
Result<int> wait_for_program(pid_t pid, const RunWatch& watch, const std::string& name,
                             std::array<Capture, 2>& captures) {
  constexpr int kBetweenLooks = 10;  // milliseconds
  constexpr std::chrono::milliseconds kBetweenCalls{50};
  const auto start = Clock::now();
  auto called = start;
  for (int status = 0;;) {
    pollfd polls[] = {{captures[0].ours.get(), POLLIN, 0}, {captures[1].ours.get(), POLLIN, 0}};
    if (::poll(polls, 2, kBetweenLooks) > 0)
      for (size_t i = 0; i < captures.size(); ++i)
        if (polls[i].revents != 0) read_some(captures[i]);
    const pid_t ended = ::waitpid(pid, &status, WNOHANG);
    if (ended == pid) return status;
    if (ended < 0 && errno != EINTR) return fail(errno_error("cannot wait for " + name));
    const auto now = Clock::now();
    if (auto reason = end_reason(watch, name, now - start)) {
      ::kill(-pid, SIGKILL);
      while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
      return fail(*std::move(reason));
    }
    if (!watch.waiting || now - called < kBetweenCalls) continue;
    called = now;
    watch.waiting(std::chrono::duration<double>(now - start).count());
  }
}

}  // namespace

Result<Finished> run_program(const SpawnOptions& options, const RunWatch& watch) {
  const std::string name = printable(watch.name.empty() ? options.arguments.at(0) : watch.name);
  SpawnOptions captured = options;
  std::array<Capture, 2> captures;
  for (size_t i = 0; i < (watch.keep_errors ? 2U : 1U); ++i) {
    IE_TRY(captures[i], open_capture());
    captured.descriptors.emplace_back(captures[i].theirs.get(), static_cast<int>(i) + 1);
  }
  IE_TRY(const int pid, spawn(captured));
  for (Capture& capture : captures) capture.theirs.reset();
  IE_TRY(const int status, wait_for_program(pid, watch, name, captures));
  for (Capture& capture : captures) read_rest(capture);
  return Finished{WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                  std::move(captures[0].text), std::move(captures[1].text)};
}

}  // namespace image_engine
