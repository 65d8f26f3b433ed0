// Triangles over the bins of a spectrum, as libraries for models of sound place them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "audio/spectrum.h"

namespace image_engine::audio {

enum class MelKind : std::uint8_t {
  kLibrosa,     // Slaney's scale: triangles in hertz, of equal area
  kTorchaudio,  // HTK's scale: triangles in hertz, of height 1
  kKaldi,       // HTK's scale: triangles in mel, of height 1; TensorFlow's, too
};

// `bands` triangles from `lowest` to `highest` Hz, at equal distances on the scale, for the transform / 2 + 1 bins of
// sound at `rate` Hz. lowest < highest ≤ rate / 2. Thread-safe.
std::vector<MelFilter> mel_filters(MelKind kind, std::size_t bands, double lowest, double highest,
                                   std::size_t transform, std::size_t rate);

// Hann's window of that many samples, at least 2: as a period of a longer signal, or reaching zero at both ends.
std::vector<double> hann(std::size_t samples, bool periodic);

}  // namespace image_engine::audio
