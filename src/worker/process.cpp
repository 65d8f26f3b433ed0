#include "worker/process.h"

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
#include <limits>

#include "core/cpu.h"
#include "core/subprocess.h"
#include "core/text.h"
#include "worker/answer.h"
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

Status Process::share_memory(std::uint64_t limit) {
  memory_limit_ = limit;
  const size_t bytes = kMaxReplyBytes + limit;
  memory_fd_.reset(::memfd_create("image-engine-pixels", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory_fd_)
    return errno == EMFILE ? fail(errno_error("no worker")) : short_of_memory("cannot make shared memory");
  if (::ftruncate(memory_fd_.get(), static_cast<off_t>(bytes)) != 0)
    return short_of_memory("cannot size shared memory");
  // Sealed, so that the worker cannot shrink it while we read.
  if (::fcntl(memory_fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return short_of_memory("cannot seal shared memory");
  void* memory = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, memory_fd_.get(), 0);
  if (memory == MAP_FAILED) return short_of_memory("cannot map shared memory");
  memory_ = static_cast<const std::byte*>(memory);
  memory_bytes_ = bytes;
  return {};
}

Result<std::unique_ptr<Process>> Process::create(const std::string& program, const ProcessLimits& limits) {
  std::unique_ptr<Process> process(new Process);
  IE_CHECK(process->share_memory(limits.memory));
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return fail(ErrorCode::kMachine, errno_error("cannot make a socket to a worker").message);
  process->socket_.reset(ends[0]);
  UniqueFd theirs(ends[1]);

  SpawnOptions spawn_options;
  spawn_options.arguments = {program, "--memory-limit", std::to_string(limits.memory), "--threads",
                             std::to_string(limits.decode_threads)};
  spawn_options.environment = worker_environment();
  spawn_options.descriptors = {{theirs.get(), kSocketFd}, {process->memory_fd_.get(), kMemoryFd}};
  spawn_options.alone = true;
  if (std::getenv("IMAGE_ENGINE_WORKER_STDERR") != nullptr) spawn_options.descriptors.emplace_back(2, 2);
  Result<int> started = spawn(spawn_options);
  if (!started) return fail(ErrorCode::kMachine, started.error().message + "; see image-engine doctor");
  process->process_id_ = process->started_id_ = *started;
  theirs.reset();
  if (Status ready = process->read_hello(); !ready)
    return fail(ErrorCode::kMachine, fmt::format("{} cannot work: {}", program, ready.error().message));
  return process;
}

Status Process::read_hello() {
  Death death = Death::kNone;
  if (Status ready = wait_readable(kStartTime, death); !ready)
    return fail(ErrorCode::kMachine, death == Death::kTimeout
                                         ? "it was not ready within a minute: is the machine overloaded?"
                                         : ready.error().message);
  Hello hello;
  ssize_t count = 0;
  do count = ::recv(socket_.get(), &hello, sizeof hello, 0);
  while (count < 0 && errno == EINTR);
  if (count == sizeof hello && hello.version == kProtocolVersion) {
    hello.problem[sizeof hello.problem - 1] = 0;
    if (hello.problem[0] != 0) return fail(ErrorCode::kMachine, hello.problem);
    layers_ = hello.layers;
    return {};
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

int Process::end() {
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

void Process::release_pages() {
  // Room for 12 megapixels: freeing their pages and faulting them in again costs half of a full-size decode.
  constexpr std::uint64_t kKept = std::uint64_t{48} << 20;
  if (used_bytes_ <= kKept) return;
  ::fallocate(memory_fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kKept,
              static_cast<off_t>(memory_bytes_ - kKept));
  used_bytes_ = 0;
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
std::uint64_t Process::resident_bytes() const {
  const Result<std::string> status = read_file(fmt::format("/proc/{}/status", process_id_));
  if (!status) return 0;
  struct stat shared {};
  if (::fstat(memory_fd_.get(), &shared) != 0) shared.st_blocks = 0;
  return status_bytes(*status, "RssAnon") + status_bytes(*status, "VmSwap") +
         std::max(status_bytes(*status, "RssShmem"), static_cast<std::uint64_t>(shared.st_blocks) * 512);
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
  const int status = end();
  death = Death::kCrashed;
  if (!has_ended_by_itself_)
    return {ErrorCode::kCrashed, "the worker closed its connection; its decoder was probably subverted"};
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    if (signal == SIGBUS)
      return {ErrorCode::kIo, "the file could not be read to its end, or changed while it was read"};
    if (signal == SIGKILL) {
      death = Death::kKilled;
      return {ErrorCode::kKilled,
              "the worker was killed by the system, most likely for lack of memory: close other "
              "programs, or use fewer processing.workers"};
    }
    return {ErrorCode::kCrashed,
            fmt::format("its decoder crashed ({}); nothing else is affected", ::strsignal(signal))};
  }
  return {ErrorCode::kCrashed, fmt::format("the worker ended unexpectedly (exit code {})", WEXITSTATUS(status))};
}

namespace {

tl::unexpected<Error> senseless() {
  return fail(ErrorCode::kCrashed, "the worker's answer makes no sense; its decoder was probably subverted");
}

}  // namespace

// An error without a message: the worker closed the socket.
Result<ReplyHeader> Process::read_header(const Request& request) {
  ReplyHeader header;
  ssize_t count = 0;
  do count = ::recv(socket_.get(), &header, sizeof header, MSG_TRUNC);
  while (count < 0 && errno == EINTR);
  if (count <= 0) return fail(ErrorCode::kCrashed, "");
  if (count != sizeof header || header.number != request.number) return senseless();
  if (header.version != kProtocolVersion || header.reply_bytes > kMaxReplyBytes)
    return fail(ErrorCode::kInternal, "the worker speaks another protocol: reinstall both programs together");
  return header;
}

Result<Reply> Process::read_reply(const Request& request, const ReplyHeader& header) {
  // Copied before it is parsed: the worker could still write to the shared memory.
  const std::vector<std::byte> bytes(memory_, memory_ + header.reply_bytes);
  ArchiveReader reader(bytes);
  Reply reply;
  reader(reply);
  if (!reader.complete() || !is_answer_to(request, reply, memory_bytes_)) return senseless();
  if (reply.picture)
    used_bytes_ =
        std::max(used_bytes_, reply.picture->offset + std::uint64_t{3} * reply.picture->width * reply.picture->height);
  return reply;
}

Result<Process::Received> Process::read_slot(const Request& request, const ReplyHeader& header) {
  if ((request.operations & (kVideoFrames | kCut | kSound)) == 0 || header.slot >= kVideoSlots ||
      header.reply_bytes > kMostChunkBytes)
    return senseless();
  const SlotRange range = slot_range(header.slot, memory_bytes_);
  used_bytes_ = memory_bytes_;
  if ((request.operations & kVideoFrames) != 0) return read_chunk(request, header, range);
  if ((request.operations & kSound) != 0) return read_sound(request, header, range);
  const std::vector<std::byte> bytes(memory_ + range.begin, memory_ + range.begin + header.reply_bytes);
  ArchiveReader reader(bytes);
  PartInSlot found{header.slot, {}};
  reader(found.part);
  if (!reader.complete() || !is_part_in(found.part, range)) return senseless();
  return found;
}

Result<ChunkInSlot> Process::read_chunk(const Request& request, const ReplyHeader& header, SlotRange range) {
  const std::vector<std::byte> bytes(memory_ + range.begin, memory_ + range.begin + header.reply_bytes);
  ArchiveReader reader(bytes);
  ChunkInSlot found{header.slot, {}};
  reader(found.chunk);
  if (!reader.complete() || !is_chunk_of(request, found.chunk, range, last_frame_)) return senseless();
  if (!found.chunk.seconds.empty()) last_frame_ = found.chunk.seconds.back();
  return found;
}

Result<SoundInSlot> Process::read_sound(const Request& request, const ReplyHeader& header, SlotRange range) {
  const std::vector<std::byte> bytes(memory_ + range.begin, memory_ + range.begin + header.reply_bytes);
  ArchiveReader reader(bytes);
  SoundInSlot found{header.slot, {}};
  reader(found.chunk);
  if (!reader.complete() || !is_sound_of(request, found.chunk, range, last_frame_)) return senseless();
  last_frame_ = found.chunk.seconds + static_cast<double>(found.chunk.samples) / kSoundRate;
  return found;
}

Status Process::begin(Request& request, int media_fd, int sidecar_fd, Death& death) {
  death = Death::kNone;
  request.number = ++requests_;
  last_frame_ = -std::numeric_limits<double>::infinity();
  // An unsolicited message would pass as the reply for this file.
  char unasked = 0;
  const ssize_t waiting = ::recv(socket_.get(), &unasked, 1, MSG_DONTWAIT);
  if (waiting > 0) {
    death = Death::kCrashed;
    kill_and_reap();
    return senseless();
  }
  std::vector<int> descriptors = {media_fd};
  if (sidecar_fd >= 0) descriptors.push_back(sidecar_fd);
  if (waiting == 0 || !send_packet(socket_.get(), &request, sizeof request, descriptors))
    return fail(describe_end(death));
  return {};
}

Result<Process::Received> Process::receive(const Request& request, std::chrono::milliseconds timeout, Death& death) {
  if (Status ready = wait_readable(timeout, death); !ready) {
    kill_and_reap();
    return fail(ready.error());
  }
  const Result<ReplyHeader> header = read_header(request);
  if (!header && header.error().message.empty()) return fail(describe_end(death));
  const auto senseless_end = [&](const Error& error) {
    death = Death::kCrashed;
    kill_and_reap();
    return fail(error);
  };
  if (!header) return senseless_end(header.error());
  if (header->slot != kNoSlot) {
    Result<Received> in_slot = read_slot(request, *header);
    if (!in_slot) return senseless_end(in_slot.error());
    return in_slot;
  }
  Result<Reply> reply = read_reply(request, *header);
  if (!reply) return senseless_end(reply.error());
  return std::move(*reply);
}

void Process::release(const Request& request, std::uint32_t slot) {
  const Release release{request.number, slot};
  (void)send_packet(socket_.get(), &release, sizeof release, {});  // a worker that has gone shows in receive()
}

Result<Reply> Process::exchange(Request request, int media_fd, int sidecar_fd, std::chrono::milliseconds timeout,
                                Death& death) {
  IE_CHECK(begin(request, media_fd, sidecar_fd, death));
  IE_TRY(auto received, receive(request, timeout, death));
  if (Reply* reply = std::get_if<Reply>(&received)) return std::move(*reply);
  death = Death::kCrashed;
  kill_and_reap();
  return senseless();
}

}  // namespace image_engine::worker
