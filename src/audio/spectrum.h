// Energies of mel bands of several frames of sound at once, which the features for models are made of.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace image_engine::audio {

// Frames that are computed together, each in a lane of its own: what one gives does not depend on the others.
inline constexpr std::size_t kFramesTogether = 8;
// Samples of a frame of Whisper's and Kaldi's: 25 ms at 16 kHz.
inline constexpr std::size_t kFrameSamples = 400;
inline constexpr std::size_t kLongestTransform = 2048;  // samples

// A triangle over the bins of a spectrum.
struct MelFilter {
  std::size_t first = 0;  // bin of the first weight
  std::vector<float> weights;
};

// Weighted sums of the power spectra of frames. Const functions are thread-safe.
class MelSpectrum {
 public:
  // `transform`: the samples of the Fourier transform, an even product of 2s and 5s, at most kLongestTransform; zeros
  // after the frame's. `window` has a weight for each sample of a frame, at most `transform`, for samples in −1…1.
  // `preemphasis` above 0 also removes the frame's mean before it. The filters' bins are below transform / 2 + 1.
  // `magnitudes`: the sums are of the roots of powers.
  MelSpectrum(std::size_t transform, std::vector<float> window, float preemphasis, std::vector<MelFilter> filters,
              bool magnitudes = false);

  // `frames`: where the samples of each begin. `energies`: one row of kFramesTogether for each filter.
  void energies(const std::array<const float*, kFramesTogether>& frames, float* energies) const;

  [[nodiscard]] std::size_t bands() const { return tables_.filters.size(); }

  struct Pass {
    std::size_t radix = 0, groups = 0, stride = 0;
    std::vector<float> cosines, sines;  // groups × (radix − 1)
  };
  struct Tables {
    std::size_t half = 0;  // of the transform: complex numbers that hold its samples
    std::vector<float> window;
    float preemphasis = 0;
    std::vector<Pass> passes;
    std::vector<float> cosines, sines;  // that join the two halves of the result
    std::vector<MelFilter> filters;
    bool magnitudes = false;
  };

 private:
  Tables tables_;
};

}  // namespace image_engine::audio
