// One running image-engine-worker, seen from the engine.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/result.h"
#include "worker/child.h"
#include "worker/protocol.h"

namespace image_engine::worker {

// helper_program() of image-engine-worker.
std::string default_program();

struct ProcessLimits {
  std::uint64_t memory = 0;  // bytes
  int decode_threads = 1;
  int niceness = 0;
};

struct ChunkInSlot {
  std::uint32_t slot = 0;
  VideoChunk chunk;
};

struct PartInSlot {
  std::uint32_t slot = 0;
  WrittenPart part;
};

struct SoundInSlot {
  std::uint32_t slot = 0;
  SoundChunk chunk;
};

struct StepInSlot {
  std::uint32_t slot = 0;
  RewriteStep step;
};

class Process {
 public:
  // Started and ready for requests. Errors: kMachine, with the remedy: the program is missing or ends at once, memory
  // or descriptors are short, or it is not ready within a minute.
  static Result<std::unique_ptr<Process>> create(const std::string& program, const ProcessLimits& limits);
  Process(const Process&) = delete;

  // On failure the process is killed and reaped, and `death` is how it ended. The reply is checked against the request:
  // one that is larger than requested, or not requested, comes from a subverted worker (kCrashed).
  Result<Reply> exchange(Request request, int media_fd, int sidecar_fd, std::chrono::milliseconds timeout,
                         Death& death);

  using Received = std::variant<ChunkInSlot, SoundInSlot, PartInSlot, StepInSlot, Reply>;
  // A request for frames of a video, for its sound, or for a part of it, in steps: begin(), then receive() until it
  // gives the reply. Chunks are checked against the request as answers are, and stay in their slots until release(). On
  // failure as exchange().
  Status begin(Request& request, int media_fd, int sidecar_fd, Death& death);
  Result<Received> receive(const Request& request, std::chrono::milliseconds timeout, Death& death);
  void release(const Request& request, std::uint32_t slot);

  [[nodiscard]] const Layers& layers() const { return layers_; }
  [[nodiscard]] std::span<const std::byte> memory() const { return child_->memory(); }
  // As Child::read_only_memory().
  [[nodiscard]] int read_only_memory() const { return child_->read_only_memory(); }
  [[nodiscard]] int id() const { return child_->id(); }  // below 0: it has ended
  [[nodiscard]] int started_id() const { return started_id_; }
  [[nodiscard]] std::uint64_t requests() const { return requests_; }
  // Gives the pages of a large reply back to the system.
  void release_pages();

 private:
  Process() = default;
  Result<ReplyHeader> read_header(const Request& request);
  Result<Reply> read_reply(const Request& request, const ReplyHeader& header);
  Result<Received> read_slot(const Request& request, const ReplyHeader& header);
  Result<StepInSlot> read_step(const Request& request, const ReplyHeader& header, SlotRange range);
  Result<ChunkInSlot> read_chunk(const Request& request, const ReplyHeader& header, SlotRange range);
  Result<SoundInSlot> read_sound(const Request& request, const ReplyHeader& header, SlotRange range);
  Error describe_end(Death& death);
  // Copied before they are parsed: the worker could still write to the shared memory.
  [[nodiscard]] std::vector<std::byte> bytes_at(std::uint64_t offset, std::uint64_t count) const;

  std::unique_ptr<Child> child_;
  std::uint64_t used_bytes_ = 0;
  std::uint64_t requests_ = 0;
  double last_frame_ = 0;  // seconds; of the chunks of the request at hand. Of sound: the end
  Layers layers_;
  int started_id_ = -1;
};

}  // namespace image_engine::worker
