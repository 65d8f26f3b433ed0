// The decoders of the GPU worker, each with a thread of its own, and what becomes of the pictures behind them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "worker/gpu_process/codec.h"
#include "worker/gpu_process/memory.h"
#include "worker/gpu_process/model_inputs.h"
#include "worker/gpu_process/waiting.h"

namespace image_engine::worker {

struct LaneOptions {
  std::vector<std::string> folders;  // of nvJPEG
  int device = 0;                    // CUDA's number
  int threads = 8;                   // of the CPU that decode with CUDA
  std::size_t device_bytes = 0;      // of the GPU's memory for pictures in work
  std::size_t sharers = 1;           // processes that share half of what is free
  std::size_t pinned_bytes = 0;      // of page-locked memory for their files
};

// Where answers go; called from any thread.
class Answers {
 public:
  virtual ~Answers() = default;
  // The slot's memory, in which the answer's pixels and thumbnail are placed behind kReplyRoom bytes.
  virtual std::span<std::byte> slot(std::uint32_t number) = 0;
  // Sends the job's reply.
  virtual void send(const Job& job, GpuRoute route) = 0;
};

// Decodes pictures by the GPU's JPEG engine where it has one, and by CUDA; reduces them, counts their luma, and makes
// thumbnails. Lives until the process ends.
class Lanes {
 public:
  // Opens the device and allocates all memory. Errors: kNotFound and kUnsupported of Codec::create(), kOutOfMemory,
  // kInternal (CUDA's message).
  static Result<std::unique_ptr<Lanes>> create(const LaneOptions& options);
  ~Lanes();

  // Starts the threads. Answers must live until the process ends.
  void start(Answers& answers);
  // Decodes the job's file, which input and jpeg describe, and answers. Thread-safe, after start().
  void push(JobPointer job);
  // Page-locked memory for a file; waits for it. None: the file is larger than all of it.
  std::optional<MemoryArena::Part> take_input(std::size_t bytes);
  // Areas for models' inputs, as many as there is memory for, at most kMostAreas. Call once, before push() of a request
  // with an area. kInvalidArgument, kOutOfMemory.
  Result<ExportedAreas> make_areas(const GpuInputs& inputs);
  [[nodiscard]] bool has_engine() const;

 private:
  Lanes();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::worker
