// What models of sound get: log-mel spectrograms of mono samples at 16 kHz in −1…1.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace image_engine::audio {

inline constexpr std::size_t kSampleRate = 16'000;
inline constexpr std::size_t kFrameShift = 160;  // samples from frame to frame: 10 ms

// Whisper's log-mel spectrogram: [mels, frames], row by row. `samples` are followed by zeros to frames × kFrameShift
// and cut there; more than none. `mels`: 80, or 128 for large-v3. About 1 µs a frame with AVX2. Thread-safe.
std::vector<float> whisper_mel(std::span<const float> samples, std::size_t mels, std::size_t frames);

// Kaldi's log-mel filter banks without dither, of samples scaled to 16 bits: frames of 25 ms, 80 bands from 20 to
// 8000 Hz, the logarithm of at least 1e-20 as FireRedVAD has it.
class KaldiFbank {
 public:
  static constexpr std::size_t kBands = 80;

  // Appends the rows of kBands of each frame that is complete with these samples, frame i beginning at sample
  // i × kFrameShift. Samples of an unfinished frame are kept for the next call: how a recording is cut into pieces
  // makes no difference. Fastest with pieces of 0.1 s or more.
  void add(std::span<const float> samples, std::vector<float>& rows);
  // Forgets the samples of an unfinished frame.
  void clear() { pending_.clear(); }

 private:
  std::vector<float> pending_;
};

}  // namespace image_engine::audio
