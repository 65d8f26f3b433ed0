// Loudness of sound by EBU R128 and ITU-R BS.1770, and clipping.
#pragma once

#include <memory>
#include <span>

#include "media/ffmpeg.h"
#include "media/sound_frame.h"
#include "types/transcript.h"

namespace image_engine::media {

// Not thread-safe. Memory does not grow with the sound.
class LoudnessMeter {
 public:
  LoudnessMeter();
  LoudnessMeter(LoudnessMeter&&) noexcept;
  LoudnessMeter& operator=(LoudnessMeter&&) noexcept;
  ~LoudnessMeter();

  // What is added from here on has this rate and these channels. False where it cannot be measured: more than 64
  // channels, or more than six million samples a second in all. It is then left out.
  bool begin(const AVChannelLayout& layout, int rate, FullScale full_scale);
  // Interleaved samples.
  void add(std::span<const float> samples);
  [[nodiscard]] Loudness result() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::media
