// The log-mel features that a spec describes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "audio/spectrum.h"
#include "models/spec.h"

namespace image_engine::audio {

// Features of whole windows of sound, as the libraries of their models compute them (docs/models.md). Thread-safe.
class LogMel {
 public:
  // Of sound at `rate` Hz. The features are as models::check_spec() lets them through.
  LogMel(const models::SoundFeatures& features, std::size_t rate);

  [[nodiscard]] std::size_t bands() const { return spectrum_.bands(); }
  // Of that many samples.
  [[nodiscard]] std::size_t frames(std::size_t samples) const;
  // Of samples in −1…1: frames() rows of bands(), or the other way round, as the spec has it.
  [[nodiscard]] std::vector<float> compute(std::span<const float> samples) const;

 private:
  void to_logarithms(std::vector<float>& values) const;

  models::SoundFeatures features_;
  MelSpectrum spectrum_;
};

}  // namespace image_engine::audio
