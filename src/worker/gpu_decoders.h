// The decoders of a run, on one GPU or several, as one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "worker/gpu_decoder.h"

namespace image_engine::worker {

// Thread-safe. One that fails to start or dies takes no pictures; the others go on.
class GpuDecoders {
 public:
  // Starts one for each of the options, at least one. Errors as GpuDecoder::create().
  static Result<std::unique_ptr<GpuDecoders>> create(std::vector<GpuDecoderOptions> options);

  // Waits until each is ready or has failed to start. The first one's error where all failed, else as
  // GpuDecoder::wait_until_ready().
  Status wait_until_ready(const std::stop_token& stop = {}, bool says_so = false);
  // As GpuDecoder::takes(); all of them take the same tasks.
  [[nodiscard]] bool takes(const Task& task) const;
  // As GpuDecoder::make_inputs(), by each of them; `map` also gets the memory's GPU.
  using MapMemory =
      std::function<std::shared_ptr<const std::byte>(int device, const UniqueFd& handle, std::uint64_t bytes)>;
  Status make_inputs(std::span<const GpuInput> inputs, const MapMemory& map);

  // Which of them is to decode.
  struct Choice {
    const GpuDecoder* first = nullptr;  // while it has a free slot, so that the inputs of a batch are on one GPU
    const GpuDecoder* never = nullptr;
  };
  // Begins with a picture on the decoder that has the most free slots, or as chosen. None: no decoder takes it now.
  std::optional<GpuPicture> submit(const Task& task, int file, Choice choice = {nullptr, nullptr});

  [[nodiscard]] const std::vector<std::unique_ptr<GpuDecoder>>& each() const { return decoders_; }

 private:
  explicit GpuDecoders(std::vector<std::unique_ptr<GpuDecoder>> decoders) : decoders_(std::move(decoders)) {}
  std::vector<std::unique_ptr<GpuDecoder>> decoders_;
};

}  // namespace image_engine::worker
