#include "worker/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "core/cpu.h"
#include "core/subprocess.h"
#include "core/text.h"
#include "worker/protocol.h"

namespace image_engine::worker {

std::string helper_program(const std::string& name) {
  const std::string folder = executable_folder();
  const std::string beside = join_path(folder, name);
  if (::access(beside.c_str(), X_OK) == 0) return beside;
  return join_path(folder, "../libexec/image-engine/" + name);
}

std::vector<std::string> worker_environment() {
  std::vector<std::string> environment = {"LANG=C.UTF-8", "HOME=/nonexistent", "PATH=/nonexistent",
                                          // Large pages for pixels: faults of 4 KB cost a third of a full-size decode.
                                          "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"};
  // Loader and sanitizer settings decide whether the program starts, and its loops have the same CPU limit as ours; the
  // worker gets nothing else of our environment.
  for (const char* name :
       {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE", kCpuVariable})
    if (const char* value = std::getenv(name)) environment.push_back(std::string(name) + "=" + value);
  return environment;
}

namespace {

constexpr std::chrono::seconds kStartTime{60};  // of a loaded machine

constexpr char kShortOfMemory[] =
    "raise the limit (ulimit -v), use fewer processing.workers, or lower worker.memory_limit_mb";

tl::unexpected<Error> short_of_memory(const char* what) {
  return fail(ErrorCode::kMachine, fmt::format("{} ({})", errno_error(what).message, kShortOfMemory));
}

}  // namespace

Status Child::share_memory() {
  const size_t bytes = options_.shared_bytes;
  memory_fd_.reset(::memfd_create("image-engine-pixels", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory_fd_)
    return errno == EMFILE ? fail(errno_error("no worker")) : short_of_memory("cannot make shared memory");
  if (::ftruncate(memory_fd_.get(), static_cast<off_t>(bytes)) != 0)
    return short_of_memory("cannot size shared memory");
  // Sealed, so that the child cannot shrink it while we read.
  if (::fcntl(memory_fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return short_of_memory("cannot seal shared memory");
  void* memory =
      ::mmap(nullptr, bytes, options_.writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, memory_fd_.get(), 0);
  if (memory == MAP_FAILED) return short_of_memory("cannot map shared memory");
  memory_ = static_cast<std::byte*>(memory);
  memory_bytes_ = bytes;
  return {};
}

Result<std::unique_ptr<Child>> Child::create(ChildOptions options) {
  std::unique_ptr<Child> child(new Child);
  child->options_ = std::move(options);
  IE_CHECK(child->share_memory());
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return fail(ErrorCode::kMachine,
                errno_error(fmt::format("cannot make a socket to {}", child->options_.name)).message);
  child->socket_.reset(ends[0]);
  const UniqueFd theirs(ends[1]);
  SpawnOptions spawn_options;
  spawn_options.arguments = child->options_.arguments;
  spawn_options.environment = worker_environment();
  spawn_options.descriptors = child->options_.descriptors;
  spawn_options.descriptors.emplace_back(theirs.get(), kSocketFd);
  spawn_options.descriptors.emplace_back(child->memory_fd_.get(), kMemoryFd);
  spawn_options.alone = true;
  if (std::getenv("IMAGE_ENGINE_WORKER_STDERR") != nullptr) spawn_options.descriptors.emplace_back(2, 2);
  Result<int> started = spawn(spawn_options);
  if (!started) return fail(ErrorCode::kMachine, started.error().message + "; see image-engine doctor");
  child->process_id_ = *started;
  return child;
}

Child::~Child() {
  kill_and_reap();
  if (memory_ != nullptr) ::munmap(memory_, memory_bytes_);
}

Result<Layers> Child::read_hello(std::uint32_t version) {
  Death death = Death::kNone;
  if (Status ready = wait_readable(kStartTime, death); !ready)
    return fail(ErrorCode::kMachine, death == Death::kTimeout
                                         ? "it was not ready within a minute: is the machine overloaded?"
                                         : ready.error().message);
  Hello hello;
  ssize_t count = 0;
  do count = ::recv(socket_.get(), &hello, sizeof hello, 0);
  while (count < 0 && errno == EINTR);
  if (count == sizeof hello && hello.version == version) {
    hello.problem[sizeof hello.problem - 1] = 0;
    if (hello.problem[0] != 0) return fail(ErrorCode::kMachine, hello.problem);
    return hello.layers;
  }
  if (count > 0)
    return fail(ErrorCode::kMachine, "it speaks another protocol: install both programs together, of one version");
  rlimit space{};
  const int status = end();
  const std::string how = WIFSIGNALED(status) ? fmt::format("it was ended by signal {}", WTERMSIG(status))
                                              : fmt::format("it ended at once with exit code {}", WEXITSTATUS(status));
  if (::getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
    return fail(ErrorCode::kMachine,
                fmt::format("{}, with {} of address space: {}", how,
                            human_bytes(static_cast<std::uint64_t>(space.rlim_cur)), kShortOfMemory));
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && has_ended_by_itself_)
    return fail(ErrorCode::kMachine, how +
                                         ", most likely for lack of memory: close other programs, or use fewer "
                                         "processing.workers");
  return fail(ErrorCode::kMachine, how + ": install both programs together, with the libraries that they need");
}

void Child::kill_and_reap() {
  if (process_id_ < 0) return;
  ::kill(process_id_, SIGKILL);
  while (::waitpid(process_id_, &exit_status_, 0) < 0 && errno == EINTR) continue;
  process_id_ = -1;
}

int Child::end() {
  // The socket closes a moment before the process can be reaped; one that only closed its socket is killed.
  for (int i = 0; process_id_ >= 0 && i < 200; ++i) {
    if (::waitpid(process_id_, &exit_status_, WNOHANG) == process_id_) {
      has_ended_by_itself_ = true;
      process_id_ = -1;
    } else {
      ::usleep(5000);
    }
  }
  kill_and_reap();
  return exit_status_;
}

int Child::read_only_memory() {
  if (!read_only_fd_)
    read_only_fd_.reset(::open(fmt::format("/proc/self/fd/{}", memory_fd_.get()).c_str(), O_RDONLY | O_CLOEXEC));
  return read_only_fd_.get();
}

void Child::release_pages(std::uint64_t kept) {
  ::fallocate(memory_fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(kept),
              static_cast<off_t>(memory_bytes_ - kept));
}

Status send_packet(int socket, const void* data, size_t bytes, std::span<const int> descriptors, int flags) {
  iovec part{const_cast<void*>(data), bytes};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  while (::sendmsg(socket, &message, MSG_NOSIGNAL | flags) < 0)
    if (errno != EINTR) return fail(errno_error("cannot write to the worker"));
  return {};
}

Result<Packet> receive_packet(int socket, std::span<std::byte> into) {
  iovec part{into.data(), into.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t count = 0;
  do count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  if (count < 0) return fail(errno_error("cannot read from the worker"));
  Packet packet;
  packet.bytes = static_cast<size_t>(count);
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int descriptor = -1;
    std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    packet.descriptor.reset(descriptor);
  }
  return packet;
}

namespace {

// The kilobytes of a line of /proc/PID/status, in bytes. The first line is the name, which the program can choose; its
// newlines are escaped.
std::uint64_t status_bytes(const std::string& status, const char* name) {
  const size_t line = status.find(std::string("\n") + name + ":");
  return line == std::string::npos ? 0 : std::strtoull(&status[status.find(':', line) + 1], nullptr, 10) * 1024;
}

}  // namespace

// Anonymous and shared memory; the mapped file itself is the page cache's, not the worker's. Pages of the shared memory
// count, whether it has them mapped or not.
std::uint64_t Child::resident_bytes() const {
  const Result<std::string> status = read_file(fmt::format("/proc/{}/status", process_id_));
  if (!status) return 0;
  struct stat shared {};
  if (::fstat(memory_fd_.get(), &shared) != 0) shared.st_blocks = 0;
  return status_bytes(*status, "RssAnon") + status_bytes(*status, "VmSwap") +
         std::max(status_bytes(*status, "RssShmem"), static_cast<std::uint64_t>(shared.st_blocks) * 512);
}

Status Child::wait_readable(std::chrono::milliseconds timeout, Death& death, const std::stop_token& stop) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    pollfd poll{socket_.get(), POLLIN, 0};
    const int ready = ::poll(&poll, 1, 25);
    if (ready > 0) return {};
    if (resident_bytes() > options_.memory_limit) {
      death = Death::kMemory;
      return fail(ErrorCode::kOutOfMemory, fmt::format("needs more memory than {}'s limit of {} ({})", options_.name,
                                                       human_bytes(options_.memory_limit), options_.memory_key));
    }
    if (Clock::now() > deadline) {
      death = Death::kTimeout;
      return fail(ErrorCode::kTimeout,
                  fmt::format("not done within {} ({})", human_duration(static_cast<double>(timeout.count()) / 1000),
                              options_.timeout_key));
    }
    if (stop.stop_requested()) {
      death = Death::kStopped;
      return fail(ErrorCode::kInterrupted, "interrupted");
    }
  }
}

}  // namespace image_engine::worker
