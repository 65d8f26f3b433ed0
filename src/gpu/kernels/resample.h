// Decoded pictures in a GPU's memory: reduces them, counts their luma, and makes models' inputs of them. Nothing here
// needs CUDA's headers. The same arithmetic as the CPU's loops: results are equal, bit by bit where the processors'
// sine is (elsewhere single levels differ by one).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/result.h"
#include "types/luma.h"
#include "types/taps.h"
#include "types/tensor.h"

namespace image_engine::gpu {

// Interleaved 8-bit RGB as it is stored, not upright.
struct DevicePicture {
  const std::uint8_t* rgb = nullptr;    // at a multiple of 4
  std::uint32_t width = 0, height = 0;  // pixels, 1…65,535
  std::size_t pitch = 0;                // bytes from one row to the next, at least 3 × width
  int orientation = 1;                  // EXIF's, 1…8; others count as 1
};

// An upright size.
struct PictureSize {
  std::uint32_t width = 0, height = 0;
  bool operator==(const PictureSize&) const = default;
};
PictureSize upright_size(const DevicePicture& picture);
// Upright, with a longer edge of at most `edge` (0: no limit), as the decoders reduce.
PictureSize reduced_size(const DevicePicture& picture, std::uint32_t edge);

// The part of the upright picture resized to out_width × out_height that begins at (left, top).
struct ResamplePart {
  std::uint64_t out_width = 0, out_height = 0;
  std::uint64_t left = 0, top = 0;
  std::uint32_t width = 0, height = 0;  // within the whole result, at least 1
};

// Where the part is written: at (left, top) of a dense item of width × height × 3 elements; the rest of it is `pad`.
struct ResampleOutput {
  void* data = nullptr;                    // at a multiple of the element's size
  ElementType type = ElementType::kUint8;  // or kFloat32, kFloat16
  std::uint32_t width = 0, height = 0;
  std::uint32_t left = 0, top = 0;
  bool planes = false;  // channel by channel, else pixel by pixel
  bool bgr = false;
  // In the order of the output's channels; levels are 0…255. Not applied to kUint8, but for `pad`.
  std::array<float, 3> mean{}, deviation{1, 1, 1}, pad{};
};

struct ResampleTask {
  DevicePicture picture;
  ResampleFilter filter = ResampleFilter::kLanczos;
  ResamplePart part;
  ResampleOutput output;
  // luma_bytes() for the sums that read_luma() needs, at a multiple of 4; null: not wanted. They are made in the same
  // reading of the picture's pixels.
  void* luma = nullptr;
  std::uint32_t shrink = 1;  // 1, 2 or 4: means of so many pixels squared are made first, which is faster
};

// Reduces the picture as the decoder of JPEGs does, means of pixels first where the picture is large, upright: `rgb`
// gets reduced_size(), rows without padding.
ResampleTask reduce_task(const DevicePicture& picture, std::uint32_t edge, std::uint8_t* rgb, void* luma = nullptr);

std::size_t luma_bytes(std::uint32_t width, std::uint32_t height);
// The statistics of a picture of that size as stored, from its sums copied to the host. Equal to LumaAccumulator's of
// rgb_to_luma(). kInvalidArgument: not luma_bytes() long.
Result<LumaStatistics> read_luma(std::uint32_t width, std::uint32_t height, std::span<const std::byte> sums);

// Bytes of device memory that resample() needs for these tasks, whatever their pointers. At most 128 MiB, unless a
// single task needs more.
std::size_t resample_scratch(std::span<const ResampleTask> tasks);

struct Scratch {
  void* data = nullptr;  // at a multiple of 256
  std::size_t bytes = 0;
};
// Queues all tasks on `stream` (a cudaStream_t of the current device) and returns; pictures and tasks of all sizes go
// into the same launches, 32 tasks at a time. Pictures, outputs and scratch are borrowed until the stream has done it;
// the tasks are not. No allocation and no waiting: may be captured into a CUDA graph. Errors: kInvalidArgument names
// what is wrong with the first wrong task, and nothing was queued; kInternal has CUDA's message. Thread-safe. Defined
// in ie_gpu_kernels, which the option IMAGE_ENGINE_CUDA builds.
Status resample(std::span<const ResampleTask> tasks, Scratch scratch, void* stream);

// The same on the CPU, thread by thread as the kernels do it, with pointers to host memory. For tests and comparisons;
// slow. Defined in ie_gpu_resample.
Status resample_on_host(std::span<const ResampleTask> tasks);

}  // namespace image_engine::gpu
