#include "audio/log_mel.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <string_view>
#include <utility>

#include "audio/mel_filters.h"

namespace image_engine::audio {
namespace {

constexpr std::pair<std::string_view, MelKind> kMelNames[] = {
    {"librosa", MelKind::kLibrosa}, {"torchaudio", MelKind::kTorchaudio}, {"kaldi", MelKind::kKaldi}};

MelSpectrum spectrum_of(const models::SoundFeatures& features, std::size_t rate) {
  const auto* const kind = std::ranges::find(kMelNames, features.filters, &std::pair<std::string_view, MelKind>::first);
  const std::size_t transform = features.transform > 0 ? features.transform : std::bit_ceil(features.frame);
  const double highest = features.highest > 0 ? features.highest : static_cast<double>(rate) / 2;
  const std::vector<double> window = hann(features.frame, features.window == "periodic");
  return {transform,
          {window.begin(), window.end()},
          0,
          mel_filters(kind == std::end(kMelNames) ? MelKind::kTorchaudio : kind->second, features.bands,
                      features.lowest, highest, transform, rate),
          features.power == 1};
}

// `side` more samples at both ends, mirrored at the first and the last one as often as needed, and `zeros` after them.
std::vector<float> mirrored_by(std::span<const float> samples, std::size_t side, std::size_t zeros) {
  std::vector<float> signal(side + samples.size() + side + zeros);
  const auto period = static_cast<std::ptrdiff_t>(samples.size() > 1 ? 2 * (samples.size() - 1) : 1);
  for (std::size_t i = 0; i < signal.size() - zeros && !samples.empty(); ++i) {
    std::ptrdiff_t at = (static_cast<std::ptrdiff_t>(i) - static_cast<std::ptrdiff_t>(side)) % period;
    if (at < 0) at += period;
    signal[i] = samples[static_cast<std::size_t>(std::min(at, period - at)) % samples.size()];
  }
  return signal;
}

}  // namespace

LogMel::LogMel(const models::SoundFeatures& features, std::size_t rate)
    : features_(features), spectrum_(spectrum_of(features, rate)) {}

std::size_t LogMel::frames(std::size_t samples) const {
  if (features_.edges == "mirrored") return samples / features_.step + 1;
  return samples < features_.frame ? 0 : (samples - features_.frame) / features_.step + 1;
}

void LogMel::to_logarithms(std::vector<float>& values) const {
  const auto least = static_cast<float>(features_.floor), offset = static_cast<float>(features_.offset);
  const bool decibels = features_.log == "decibels";
  if (features_.log != "none")
    for (float& value : values) {
      value = std::max(value, least) + offset;
      value = decibels ? 10 * std::log10(value) : std::log(value);
    }
  if (features_.range > 0 && !values.empty()) {
    const float lowest = std::ranges::max(values) - static_cast<float>(features_.range);
    for (float& value : values) value = std::max(value, lowest);
  }
  const auto mean = static_cast<float>(features_.mean), deviation = static_cast<float>(features_.deviation);
  for (float& value : values) value = (value - mean) / deviation;
}

std::vector<float> LogMel::compute(std::span<const float> samples) const {
  const std::size_t count = frames(samples.size()), step = features_.step;
  const std::size_t side = features_.edges == "mirrored" ? features_.frame / 2 : 0;
  const std::vector<float> signal = mirrored_by(samples, side, kFramesTogether * step + features_.frame);
  const bool by_time = features_.layout == "time-bands";
  const std::size_t per_frame = by_time ? bands() : 1, per_band = by_time ? 1 : count;
  std::vector<float> values(bands() * count), energies(bands() * kFramesTogether);
  for (std::size_t first = 0; first < count; first += kFramesTogether) {
    std::array<const float*, kFramesTogether> group;
    for (std::size_t lane = 0; lane < kFramesTogether; ++lane) group[lane] = &signal[(first + lane) * step];
    spectrum_.energies(group, energies.data());
    for (std::size_t lane = 0; lane < std::min(kFramesTogether, count - first); ++lane)
      for (std::size_t band = 0; band < bands(); ++band)
        values[(first + lane) * per_frame + band * per_band] = energies[band * kFramesTogether + lane];
  }
  to_logarithms(values);
  return values;
}

}  // namespace image_engine::audio
