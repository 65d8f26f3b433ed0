// One photo of pass 2, and who decodes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/result.h"
#include "pipeline/run.h"
#include "pipeline/stages.h"
#include "preprocess/plan.h"
#include "store/types.h"
#include "types/image.h"
#include "worker/decode_file.h"
#include "worker/gpu_decoder.h"

namespace image_engine::pipeline {

// Where the pixels of a photo come from: from the GPU, or from a worker that is leased when it is first needed. `run`
// and `seen` must outlive it. Not thread-safe.
class PhotoSource {
 public:
  PhotoSource(Run& run, const store::FileObservation& seen) : run_(run), seen_(seen) {}
  PhotoSource(Run& run, const store::FileObservation& seen, worker::LeasedFile file)
      : run_(run), seen_(seen), file_(std::move(file)) {}
  PhotoSource(Run& run, const store::FileObservation& seen, worker::GpuPicture picture)
      : run_(run), seen_(seen), on_gpu_(std::move(picture)) {}

  // Of the reply that `file` or `picture` has given.
  [[nodiscard]] ImageView pixels(const worker::Picture& picture) const;
  [[nodiscard]] std::span<const std::byte> bytes(const worker::Thumbnail& thumbnail) const;
  // Model input `number`, made on the GPU of that reply's picture; none: it is to be made of its pixels.
  [[nodiscard]] std::optional<preprocess::MadeInput> made_input(std::uint32_t number,
                                                                const worker::Picture& picture) const;

  // A worker's picture; its pixels are valid until it decodes again.
  struct Decoded {
    worker::Picture picture;
    ImageView pixels;
  };
  // Has it decoded by a worker, upright. What pixels() gave is no longer valid then, unless it came from the GPU.
  // Errors: those of open_regular(), of LeasedFile::run(), and of decoding.
  Result<Decoded> decode(worker::Task task);
  // Sets larger() and shared() of `input`, whose picture is this source's; it stays valid when a larger one is decoded.
  // `input` stays where it is, and only the last one may be used.
  void serve(StageInput& input);

 private:
  Result<ImageView> larger(StageInput& input, std::uint32_t edge);

  Run& run_;
  const store::FileObservation& seen_;
  std::optional<worker::GpuPicture> on_gpu_;
  std::optional<worker::LeasedFile> file_;
  std::vector<std::uint8_t> kept_;  // the input's picture, once a larger one has taken its place
};

}  // namespace image_engine::pipeline
