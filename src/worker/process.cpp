#include "worker/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "core/subprocess.h"
#include "core/text.h"
#include "worker/archive.h"

namespace image_engine::worker {

std::string default_program() {
  const std::string folder = executable_folder();
  const std::string beside = join_path(folder, "image-engine-worker");
  if (::access(beside.c_str(), X_OK) == 0) return beside;
  return join_path(folder, "../libexec/image-engine/image-engine-worker");
}

std::vector<std::string> worker_environment() {
  std::vector<std::string> environment = {"LANG=C.UTF-8", "HOME=/nonexistent", "PATH=/nonexistent",
                                          // Large pages for pixels: faults of 4 KB cost a third of a full-size decode.
                                          "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"};
  // Loader and sanitizer settings decide whether the program starts at all; the rest of ours is nobody's business
  // there.
  for (const char* name : {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE"})
    if (const char* value = std::getenv(name)) environment.push_back(std::string(name) + "=" + value);
  return environment;
}

Result<std::unique_ptr<Process>> Process::create(const std::string& program, const ProcessLimits& limits) {
  std::unique_ptr<Process> process(new Process);
  process->memory_limit_ = limits.memory;
  process->memory_bytes_ = kMaxReplyBytes + limits.memory;

  process->memory_fd_.reset(::memfd_create("image-engine-pixels", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!process->memory_fd_) return fail(errno_error("cannot make shared memory"));
  if (::ftruncate(process->memory_fd_.get(), static_cast<off_t>(process->memory_bytes_)) != 0)
    return fail(errno_error("cannot size shared memory"));
  // Sealed, the worker cannot shrink it under our feet.
  if (::fcntl(process->memory_fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return fail(errno_error("cannot seal shared memory"));
  void* memory = ::mmap(nullptr, process->memory_bytes_, PROT_READ, MAP_SHARED, process->memory_fd_.get(), 0);
  if (memory == MAP_FAILED) return fail(errno_error("cannot map shared memory"));
  process->memory_ = static_cast<const std::byte*>(memory);

  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return fail(errno_error("cannot make a socket"));
  process->socket_.reset(ends[0]);
  const UniqueFd theirs(ends[1]);

  SpawnOptions spawn_options;
  spawn_options.arguments = {program, "--memory-limit", std::to_string(limits.memory), "--threads",
                             std::to_string(limits.decode_threads)};
  if (limits.require_sandbox) spawn_options.arguments.emplace_back("--require-sandbox");
  spawn_options.environment = worker_environment();
  spawn_options.descriptors = {{theirs.get(), kSocketFd}, {process->memory_fd_.get(), kMemoryFd}};
  if (std::getenv("IMAGE_ENGINE_WORKER_STDERR") != nullptr) spawn_options.descriptors.emplace_back(2, 2);
  IE_TRY(process->process_id_, spawn(spawn_options));
  return process;
}

Process::~Process() {
  kill_and_reap();
  if (memory_ != nullptr) ::munmap(const_cast<std::byte*>(memory_), memory_bytes_);
}

void Process::kill_and_reap() {
  if (process_id_ < 0) return;
  ::kill(process_id_, SIGKILL);
  while (::waitpid(process_id_, &exit_status_, 0) < 0 && errno == EINTR) continue;
  process_id_ = -1;
}

void Process::release_pages() {
  // Room for 12 megapixels: giving their pages back and faulting them in again costs half of a full-size decode.
  constexpr std::uint64_t kKept = std::uint64_t{48} << 20;
  if (used_bytes_ <= kKept) return;
  ::fallocate(memory_fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kKept,
              static_cast<off_t>(memory_bytes_ - kKept));
  used_bytes_ = 0;
}

namespace {

Status send_packet(int socket, const void* data, size_t bytes, std::span<const int> descriptors) {
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
  while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return fail(errno_error("cannot write to the worker"));
  return {};
}

}  // namespace

// Anonymous and shared memory; the mapped file itself is the page cache's, not the worker's.
std::uint64_t Process::resident_bytes() const {
  char text[4096];
  const UniqueFd fd(::open(fmt::format("/proc/{}/status", process_id_).c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t count = fd ? ::read(fd.get(), text, sizeof text - 1) : 0;
  if (count <= 0) return 0;
  text[count] = 0;
  std::uint64_t total = 0;
  for (const char* name : {"RssAnon:", "RssShmem:"})
    if (const char* line = std::strstr(text, name))
      total += std::strtoull(line + std::strlen(name), nullptr, 10) * 1024;
  return total;
}

Status Process::wait_readable(std::chrono::milliseconds timeout, Death& death) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    pollfd poll{socket_.get(), POLLIN, 0};
    const int ready = ::poll(&poll, 1, 25);
    if (ready > 0) return {};
    if (resident_bytes() > memory_limit_) {
      death = Death::kMemory;
      return fail(ErrorCode::kOutOfMemory,
                  fmt::format("needs more memory than a worker's limit of {} (worker.memory_limit_mb)",
                              human_bytes(memory_limit_)));
    }
    if (Clock::now() > deadline) {
      death = Death::kTimeout;
      return fail(ErrorCode::kTimeout, fmt::format("not done within {} (worker.timeout_seconds)",
                                                   human_duration(static_cast<double>(timeout.count()) / 1000)));
    }
  }
}

Error Process::describe_end(Death& death) {
  death = Death::kCrashed;
  int status = 0;
  // The socket closes a moment before the process can be reaped.
  for (int i = 0; i < 200 && ::waitpid(process_id_, &status, WNOHANG) == 0; ++i) ::usleep(5000);
  process_id_ = -1;
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    if (signal == SIGBUS)
      return {ErrorCode::kIo, "the file could not be read to its end, or changed while it was read"};
    if (signal == SIGKILL) return {ErrorCode::kOutOfMemory, "the worker was killed, probably for want of memory"};
    return {ErrorCode::kCrashed,
            fmt::format("its decoder crashed ({}); nothing else is affected", ::strsignal(signal))};
  }
  return {ErrorCode::kCrashed, fmt::format("the worker ended unexpectedly (exit code {})", WEXITSTATUS(status))};
}

Result<Reply> Process::read_reply() {
  ReplyHeader header;
  ssize_t count = 0;
  do count = ::recv(socket_.get(), &header, sizeof header, 0);
  while (count < 0 && errno == EINTR);
  if (count != sizeof header) return fail(ErrorCode::kCrashed, "");
  if (header.version != kProtocolVersion || header.reply_bytes > kMaxReplyBytes)
    return fail(ErrorCode::kInternal, "the worker speaks another protocol: reinstall both programs together");
  // Copied before it is parsed: the worker could still write to the shared memory.
  const std::vector<std::byte> bytes(memory_, memory_ + header.reply_bytes);
  ArchiveReader reader(bytes);
  Reply reply;
  reader(reply);
  const auto inside = [&](std::uint64_t offset, std::uint64_t size) {
    return offset <= memory_bytes_ && size <= memory_bytes_ - offset;
  };
  bool sound = reader.complete();
  if (sound && reply.picture) {
    const std::uint64_t size = std::uint64_t{reply.picture->width} * reply.picture->height;
    sound = size <= memory_bytes_ && inside(reply.picture->offset, size * 3);
    used_bytes_ = std::max(used_bytes_, reply.picture->offset + size * 3);
  }
  if (sound && reply.thumbnail) sound = inside(reply.thumbnail->offset, reply.thumbnail->bytes);
  if (sound && reply.film) sound = inside(reply.film->offset, reply.film->bytes);
  if (!sound)
    return fail(ErrorCode::kCrashed, "the worker's answer makes no sense; its decoder was probably subverted");
  return reply;
}

Result<Reply> Process::exchange(const Request& request, int media_fd, int sidecar_fd, std::chrono::milliseconds timeout,
                                Death& death) {
  death = Death::kNone;
  ++requests_;
  std::vector<int> descriptors = {media_fd};
  if (sidecar_fd >= 0) descriptors.push_back(sidecar_fd);
  if (!send_packet(socket_.get(), &request, sizeof request, descriptors)) return fail(describe_end(death));
  if (Status ready = wait_readable(timeout, death); !ready) {
    kill_and_reap();
    return fail(ready.error());
  }
  Result<Reply> reply = read_reply();
  if (!reply && reply.error().message.empty()) return fail(describe_end(death));
  if (!reply) {
    death = Death::kCrashed;
    kill_and_reap();
  }
  return reply;
}

}  // namespace image_engine::worker
