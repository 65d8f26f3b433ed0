// One running image-engine-worker, seen from the engine.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>

#include "core/file.h"
#include "core/result.h"
#include "worker/protocol.h"

namespace image_engine::worker {

// "<folder of this program>/image-engine-worker", or ../libexec/image-engine/… where that is missing.
std::string default_program();
// A worker's environment: only the user's variables that its libraries need, so that no key leaks into it.
std::vector<std::string> worker_environment();

// Sends one packet with descriptors, which are borrowed; flags of sendmsg(). kIo.
Status send_packet(int socket, const void* data, size_t bytes, std::span<const int> descriptors, int flags = 0);

struct Packet {
  size_t bytes = 0;     // 0: the other end is closed
  UniqueFd descriptor;  // the one that came with it, if any
};
// Waits for one packet; of a larger one the rest is lost. kIo.
Result<Packet> receive_packet(int socket, std::span<std::byte> into);

struct ProcessLimits {
  std::uint64_t memory = 0;  // bytes
  int decode_threads = 1;
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

// How a worker ended without a reply. kKilled: by a SIGKILL that was not ours.
enum class Death { kNone, kCrashed, kTimeout, kMemory, kKilled };

class Process {
 public:
  // Started and ready for requests. Errors: kMachine, with the remedy: the program is missing or ends at once, memory
  // or descriptors are short, or it is not ready within a minute.
  static Result<std::unique_ptr<Process>> create(const std::string& program, const ProcessLimits& limits);
  ~Process();
  Process(const Process&) = delete;

  // On failure the process is killed and reaped, and `death` is how it ended. The reply is checked against the request:
  // one that is larger than requested, or not requested, comes from a subverted worker (kCrashed).
  Result<Reply> exchange(Request request, int media_fd, int sidecar_fd, std::chrono::milliseconds timeout,
                         Death& death);

  using Received = std::variant<ChunkInSlot, SoundInSlot, PartInSlot, Reply>;
  // A request for frames of a video, for its sound, or for a part of it, in steps: begin(), then receive() until it
  // gives the reply. Chunks are checked against the request as answers are, and stay in their slots until release(). On
  // failure as exchange().
  Status begin(Request& request, int media_fd, int sidecar_fd, Death& death);
  Result<Received> receive(const Request& request, std::chrono::milliseconds timeout, Death& death);
  void release(const Request& request, std::uint32_t slot);

  [[nodiscard]] const Layers& layers() const { return layers_; }
  [[nodiscard]] std::span<const std::byte> memory() const { return {memory_, memory_bytes_}; }
  [[nodiscard]] int id() const { return process_id_; }  // below 0: it has ended
  [[nodiscard]] int started_id() const { return started_id_; }
  [[nodiscard]] std::uint64_t requests() const { return requests_; }
  // Gives the pages of a large reply back to the system.
  void release_pages();

 private:
  Process() = default;
  Status share_memory(std::uint64_t limit);
  Status read_hello();
  Status wait_readable(std::chrono::milliseconds timeout, Death& death);
  Result<ReplyHeader> read_header(const Request& request);
  Result<Reply> read_reply(const Request& request, const ReplyHeader& header);
  Result<Received> read_slot(const Request& request, const ReplyHeader& header);
  Result<ChunkInSlot> read_chunk(const Request& request, const ReplyHeader& header, SlotRange range);
  Result<SoundInSlot> read_sound(const Request& request, const ReplyHeader& header, SlotRange range);
  // Ends it, unless it has ended by itself, and returns its exit status.
  int end();
  Error describe_end(Death& death);
  [[nodiscard]] std::uint64_t resident_bytes() const;
  void kill_and_reap();

  UniqueFd socket_, memory_fd_;
  const std::byte* memory_ = nullptr;
  size_t memory_bytes_ = 0;
  std::uint64_t memory_limit_ = 0;
  std::uint64_t used_bytes_ = 0;
  std::uint64_t requests_ = 0;
  double last_frame_ = 0;  // seconds; of the chunks of the request at hand. Of sound: the end
  Layers layers_;
  int process_id_ = -1, started_id_ = -1;
  int exit_status_ = 0;
  bool has_ended_by_itself_ = false;
};

}  // namespace image_engine::worker
