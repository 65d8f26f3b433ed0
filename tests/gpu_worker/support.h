// What the tests of this folder share: pictures, and decoders that stand-ins for image-engine-gpu-worker run.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <turbojpeg.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/file.h"
#include "preprocess/plan.h"
#include "worker/gpu_decoder.h"

namespace image_engine::worker {

// Smooth colours with an edge, different in every corner.
inline std::vector<std::uint8_t> scene(std::uint32_t width, std::uint32_t height, int channels) {
  std::vector<std::uint8_t> pixels;
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c)
        pixels.push_back(static_cast<std::uint8_t>(x < width / 3 && y < height / 4 ? 250 - 40 * c
                                                   : c == 0                        ? x * 255 / width
                                                   : c == 1                        ? y * 255 / height
                                                                                   : (x + y) * 255 / (width + height)));
  return pixels;
}

inline std::string jpeg_of(std::uint32_t width, std::uint32_t height, int flags = 0, int format = TJPF_RGB,
                           int sampling = TJSAMP_420) {
  const auto pixels = scene(width, height, tjPixelSize[format]);
  void* handle = tjInitCompress();
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  EXPECT_EQ(tjCompress2(handle, pixels.data(), static_cast<int>(width), 0, static_cast<int>(height), format, &bytes,
                        &size, sampling, 92, flags),
            0)
      << tjGetErrorStr2(handle);
  std::string jpeg(reinterpret_cast<const char*>(bytes), size);
  tjFree(bytes);
  tjDestroy(handle);
  return jpeg;
}

inline UniqueFd file_of(const std::string& bytes) {
  UniqueFd file(::memfd_create("picture", MFD_CLOEXEC));
  EXPECT_EQ(::write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  return file;
}

// A copy of image-engine-gpu-worker that does what `manner` says.
inline GpuDecoderOptions options_of(const std::string& manner, std::uint32_t slots = 8) {
  GpuDecoderOptions options;
  options.program = executable_folder() + "/gpu_workers/" + manner;
  options.device_bytes = 64 << 20;
  options.pinned_bytes = 32 << 20;
  options.readers = 2;
  options.slots = slots;
  options.max_pixels = 4'000'000;
  options.timeout = std::chrono::milliseconds(manner == "hang" ? 500 : 60'000);
  return options;
}

inline const Task kAll{
    .operations = kHash | kFormerHash | kDecode | kThumbnail | kLuma, .max_edge = 240, .thumbnail_edge = 64};

// A crop as CLIP's, in float, and a letterboxed input, in bytes.
inline std::vector<GpuInput> two_inputs() {
  preprocess::Plan crop{.width = 96, .height = 96, .fit = preprocess::Fit::kCentreCrop};
  crop.filter = preprocess::Filter::kBicubic;
  crop.mean = {120, 110, 100};
  crop.deviation = {60, 70, 80};
  preprocess::Plan letterbox{.width = 128, .height = 128, .fit = preprocess::Fit::kLetterbox};
  letterbox.layout = preprocess::Layout::kNhwc;
  letterbox.order = preprocess::ChannelOrder::kBgr;
  letterbox.type = ElementType::kUint8;
  letterbox.pad = {114, 114, 114};
  return {{crop, 1}, {letterbox, 0}};
}

// The stand-in's memory as this process sees it; null: it cannot be mapped.
inline std::shared_ptr<const std::byte> mapped_here(const UniqueFd& handle, std::uint64_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, handle.get(), 0);
  if (memory == MAP_FAILED) return nullptr;
  return {static_cast<const std::byte*>(memory),
          [bytes](const std::byte* at) { ::munmap(const_cast<std::byte*>(at), bytes); }};
}

inline void wait_for(const std::atomic<bool>& happened) {
  for (int i = 0; i < 6000 && !happened; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_TRUE(happened);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the decoder takes it in
}

}  // namespace image_engine::worker
