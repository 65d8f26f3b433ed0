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

std::string default_program() { return helper_program("image-engine-worker"); }

Result<std::unique_ptr<Process>> Process::create(const std::string& program, const ProcessLimits& limits) {
  ChildOptions options;
  options.arguments = {program,
                       "--memory-limit",
                       std::to_string(limits.memory),
                       "--threads",
                       std::to_string(limits.decode_threads),
                       "--nice",
                       std::to_string(limits.niceness)};
  options.shared_bytes = kMaxReplyBytes + limits.memory;
  options.memory_limit = limits.memory;
  std::unique_ptr<Process> process(new Process);
  IE_TRY(process->child_, Child::create(std::move(options)));
  process->started_id_ = process->child_->id();
  Result<Layers> layers = process->child_->read_hello(kProtocolVersion);
  if (!layers) return fail(ErrorCode::kMachine, fmt::format("{} cannot work: {}", program, layers.error().message));
  process->layers_ = *layers;
  return process;
}

void Process::release_pages() {
  // Room for 12 megapixels: freeing their pages and faulting them in again costs half of a full-size decode.
  constexpr std::uint64_t kKept = std::uint64_t{48} << 20;
  if (used_bytes_ <= kKept) return;
  child_->release_pages(kKept);
  used_bytes_ = 0;
}

Error Process::describe_end(Death& death) {
  const int status = child_->end();
  death = Death::kCrashed;
  if (!child_->has_ended_by_itself())
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

std::vector<std::byte> Process::bytes_at(std::uint64_t offset, std::uint64_t count) const {
  const auto part = memory().subspan(offset, count);
  return {part.begin(), part.end()};
}

// An error without a message: the worker closed the socket.
Result<ReplyHeader> Process::read_header(const Request& request) {
  ReplyHeader header;
  ssize_t count = 0;
  do count = ::recv(child_->socket(), &header, sizeof header, MSG_TRUNC);
  while (count < 0 && errno == EINTR);
  if (count <= 0) return fail(ErrorCode::kCrashed, "");
  if (count != sizeof header || header.number != request.number) return senseless();
  if (header.version != kProtocolVersion || header.reply_bytes > kMaxReplyBytes)
    return fail(ErrorCode::kInternal, "the worker speaks another protocol: reinstall both programs together");
  return header;
}

Result<Reply> Process::read_reply(const Request& request, const ReplyHeader& header) {
  const std::vector<std::byte> bytes = bytes_at(0, header.reply_bytes);
  ArchiveReader reader(bytes);
  Reply reply;
  reader(reply);
  if (!reader.complete() || !is_answer_to(request, reply, memory().size())) return senseless();
  if (reply.picture)
    used_bytes_ =
        std::max(used_bytes_, reply.picture->offset + std::uint64_t{3} * reply.picture->width * reply.picture->height);
  return reply;
}

Result<Process::Received> Process::read_slot(const Request& request, const ReplyHeader& header) {
  if ((request.operations & (kVideoFrames | kCut | kSound | kRewrite)) == 0 || header.slot >= kVideoSlots ||
      header.reply_bytes > kMostChunkBytes)
    return senseless();
  const SlotRange range = slot_range(header.slot, memory().size());
  used_bytes_ = memory().size();
  if ((request.operations & kVideoFrames) != 0) return read_chunk(request, header, range);
  if ((request.operations & kSound) != 0) return read_sound(request, header, range);
  if ((request.operations & kRewrite) != 0) return read_step(request, header, range);
  const std::vector<std::byte> bytes = bytes_at(range.begin, header.reply_bytes);
  ArchiveReader reader(bytes);
  PartInSlot found{header.slot, {}};
  reader(found.part);
  if (!reader.complete() || !is_part_in(found.part, range)) return senseless();
  return found;
}

Result<StepInSlot> Process::read_step(const Request& request, const ReplyHeader& header, SlotRange range) {
  const std::vector<std::byte> bytes = bytes_at(range.begin, header.reply_bytes);
  ArchiveReader reader(bytes);
  StepInSlot found{header.slot, {}};
  reader(found.step);
  if (!reader.complete() || !is_step_of(request, found.step, range)) return senseless();
  return found;
}

Result<ChunkInSlot> Process::read_chunk(const Request& request, const ReplyHeader& header, SlotRange range) {
  const std::vector<std::byte> bytes = bytes_at(range.begin, header.reply_bytes);
  ArchiveReader reader(bytes);
  ChunkInSlot found{header.slot, {}};
  reader(found.chunk);
  if (!reader.complete() || !is_chunk_of(request, found.chunk, range, last_frame_)) return senseless();
  if (!found.chunk.seconds.empty()) last_frame_ = found.chunk.seconds.back();
  return found;
}

Result<SoundInSlot> Process::read_sound(const Request& request, const ReplyHeader& header, SlotRange range) {
  const std::vector<std::byte> bytes = bytes_at(range.begin, header.reply_bytes);
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
  const ssize_t waiting = ::recv(child_->socket(), &unasked, 1, MSG_DONTWAIT);
  if (waiting > 0) {
    death = Death::kCrashed;
    child_->kill_and_reap();
    return senseless();
  }
  std::vector<int> descriptors = {media_fd};
  if (sidecar_fd >= 0) descriptors.push_back(sidecar_fd);
  if (waiting == 0 || !send_packet(child_->socket(), &request, sizeof request, descriptors))
    return fail(describe_end(death));
  return {};
}

Result<Process::Received> Process::receive(const Request& request, std::chrono::milliseconds timeout, Death& death) {
  if (Status ready = child_->wait_readable(timeout, death); !ready) {
    child_->kill_and_reap();
    return fail(ready.error());
  }
  const Result<ReplyHeader> header = read_header(request);
  if (!header && header.error().message.empty()) return fail(describe_end(death));
  const auto senseless_end = [&](const Error& error) {
    death = Death::kCrashed;
    child_->kill_and_reap();
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
  (void)send_packet(child_->socket(), &release, sizeof release, {});  // a worker that has gone shows in receive()
}

Result<Reply> Process::exchange(Request request, int media_fd, int sidecar_fd, std::chrono::milliseconds timeout,
                                Death& death) {
  IE_CHECK(begin(request, media_fd, sidecar_fd, death));
  IE_TRY(auto received, receive(request, timeout, death));
  if (Reply* reply = std::get_if<Reply>(&received)) return std::move(*reply);
  death = Death::kCrashed;
  child_->kill_and_reap();
  return senseless();
}

}  // namespace image_engine::worker
