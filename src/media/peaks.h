// True peaks and clipping of one channel of sound.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "media/sound_frame.h"

namespace image_engine::media {

// Not thread-safe.
class ChannelPeaks {
 public:
  ChannelPeaks(int rate, FullScale full_scale);

  // Every stride-th sample, from the first on. `most` becomes the true peak (ITU-R BS.1770-4, annex 2: of four values
  // for a sample up to 96 kHz, of two up to 192 kHz) if that is higher.
  void add(std::span<const float> samples, size_t stride, float& most);
  // Samples in runs of at least three at full scale.
  [[nodiscard]] std::uint64_t clipped() const { return clipped_; }

 private:
  static constexpr size_t kTaps = 12, kBlock = 512;

  void add_block(size_t count, float& most);
  void count_clipped(std::span<const float> samples);

  FullScale full_scale_;
  size_t step_;                                      // of the quarters between two samples; 4: none
  std::array<float, kTaps - 1 + kBlock> samples_{};  // the last ones of the block before, then the block
  std::uint64_t run_ = 0, clipped_ = 0;
};

}  // namespace image_engine::media
