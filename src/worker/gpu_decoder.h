// Decodes JPEGs on a GPU: starts image-engine-gpu-worker, keeps it busy with many pictures at once, and starts it again
// when it dies.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/result.h"
#include "types/image.h"
#include "types/tensor.h"
#include "worker/gpu_protocol.h"
#include "worker/pool.h"

namespace image_engine::worker {

struct GpuDecoderOptions {
  std::string program;                        // empty: image-engine-gpu-worker beside the running program
  std::vector<std::string> folders;           // where nvJPEG is
  int device = 0;                             // CUDA's number
  std::uint64_t device_bytes = 0;             // of the GPU's memory, for pictures in work
  int sharers = 1;                            // decoders on that GPU, which share half of what is free
  std::uint64_t pinned_bytes = 0;             // of page-locked memory, for their files
  int threads = 1;                            // of the CPU that decode with CUDA
  int readers = 1;                            // threads that read and hash files
  std::uint32_t slots = 256;                  // pictures in work or not yet released, at most
  std::uint32_t max_edge = 640;               // the largest Task::max_edge, pixels
  std::uint32_t thumbnail_edge = 256;         // likewise
  std::uint64_t max_pixels = 0;               // larger pictures are left to the CPU
  std::chrono::milliseconds timeout{30'000};  // for one picture
  bool require_sandbox = false;               // refuse to start if a sandbox layer is missing
  // Called with each answer, on the decoder's thread: it worked from then on, which is when the answer before came or,
  // if nothing was in work, when a picture came.
  std::function<void(std::chrono::steady_clock::time_point)> on_answer;
};

// What the decoder did so far.
struct GpuDecoderCounts {
  std::uint64_t hardware = 0, hybrid = 0;  // pictures, by route
  std::uint64_t left = 0;                  // to the CPU, or to another GPU
  std::uint64_t deaths = 0;                // of its process
};

class GpuDecoder;

// A picture in work. Holds its slot until destroyed; the decoder must outlive it. One thread at a time.
class GpuPicture {
 public:
  GpuPicture(GpuPicture&& other) noexcept;
  GpuPicture& operator=(GpuPicture&&) = delete;
  ~GpuPicture();

  // Waits for the answer. None: the picture is left to the CPU, which also has to say whether it is damaged.
  std::optional<Reply> wait();
  // Whether there is no answer because the decoder's process died: another decoder may have one. After wait().
  [[nodiscard]] bool is_lost() const;
  [[nodiscard]] const GpuDecoder& decoder() const { return *decoder_; }
  // Model input `index` of make_inputs(), made of the reply's picture; null: there is none. Valid, with the memory,
  // until the last copy is destroyed; the decoder must outlive it. After wait().
  [[nodiscard]] GpuRow input(std::uint32_t index) const;
  // Of the reply; valid while this lives.
  [[nodiscard]] ImageView pixels(const Picture& picture) const;
  [[nodiscard]] std::span<const std::byte> bytes(const Thumbnail& thumbnail) const;

 private:
  friend class GpuDecoder;
  GpuPicture(GpuDecoder& decoder, std::uint32_t slot) : decoder_(&decoder), slot_(slot) {}
  GpuDecoder* decoder_;
  std::uint32_t slot_;
};

// Thread-safe.
class GpuDecoder {
 public:
  // Starts the process, which takes seconds; submit() takes pictures once it is ready. kNotFound: there is no such
  // program; it belongs to builds with CUDA.
  static Result<std::unique_ptr<GpuDecoder>> create(GpuDecoderOptions options);
  ~GpuDecoder();

  // Waits until the process is ready or has failed to start: then its error. kInterrupted: `stop` was requested. Says
  // after two seconds what it waits for, if `says_so`.
  Status wait_until_ready(const std::stop_token& stop = {}, bool says_so = false);
  // Whether it is a task for it: no other operations than below, and no larger pictures than its options allow.
  [[nodiscard]] bool takes(const Task& task) const;
  // From now on makes these inputs of every picture, in memory of the GPU, until the process dies. `map` gets the
  // memory's exported handle and its bytes, on the decoder's thread, and returns its address; null: it cannot be used.
  // Call once. kInvalidArgument: not 1 to kMostInputs of them.
  using MapMemory = std::function<std::shared_ptr<const std::byte>(const UniqueFd& handle, std::uint64_t bytes)>;
  Status make_inputs(std::span<const GpuInput> inputs, MapMemory map);
  // Begins with a picture: kHash, kFormerHash, kDecode, kThumbnail and kLuma of the task's operations. None: no slot is
  // free, the process is not (or not again) ready, or the task is not one for it.
  std::optional<GpuPicture> submit(const Task& task, int file);

  [[nodiscard]] int device() const;  // CUDA's number
  // Pictures that it could begin with now; 0 while it is not ready.
  [[nodiscard]] std::size_t free_slots() const;
  [[nodiscard]] GpuDecoderCounts counts() const;
  // Why it decodes nothing any more: it could not start, or died too often.
  [[nodiscard]] std::optional<Error> failure() const;
  [[nodiscard]] bool has_engine() const;
  [[nodiscard]] int process_id() const;  // below 0: it has none now
  // The sandbox layers that do not hold, by name; empty until it is ready.
  [[nodiscard]] std::vector<std::string> missing() const;

 private:
  friend class GpuPicture;
  struct State;
  explicit GpuDecoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::worker
