#include "audio/features.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "audio/mel_filters.h"
#include "audio/spectrum.h"

namespace image_engine::audio {
namespace {

using Frames = std::array<const float*, kFramesTogether>;
using Energies = std::vector<float>;

MelSpectrum make_whisper(std::size_t mels) {
  const std::vector<double> window = hann(kFrameSamples, true);
  return {kFrameSamples,
          {window.begin(), window.end()},
          0,
          mel_filters(MelKind::kLibrosa, mels, 0, kSampleRate / 2.0, kFrameSamples, kSampleRate)};
}

const MelSpectrum& whisper_spectrum(std::size_t mels) {
  static const MelSpectrum kUsual = make_whisper(80), kLarge = make_whisper(128);
  return mels == kLarge.bands() ? kLarge : kUsual;
}

// The padded samples from half a frame before the first one on, mirrored at both ends, and zeros to fill the last
// group.
std::vector<float> mirrored(std::span<const float> samples, std::size_t frames) {
  constexpr std::size_t kSide = kFrameSamples / 2;
  const std::size_t count = frames * kFrameShift;
  std::vector<float> signal((frames + kFramesTogether) * kFrameShift + kFrameSamples);
  std::ranges::copy(samples.first(std::min(samples.size(), count)), signal.begin() + kSide);
  for (std::size_t i = 1; i <= kSide && i < count; ++i) {
    signal[kSide - i] = signal[kSide + i];
    signal[kSide + count - 1 + i] = signal[kSide + count - 1 - i];
  }
  return signal;
}

constexpr std::size_t kKaldiTransform = 512;
constexpr float kKaldiPreemphasis = 0.97F;
constexpr float kKaldiScale = 32768;  // of 16-bit samples
constexpr float kLeastEnergy = 1e-20F;

MelSpectrum make_kaldi() {
  std::vector<float> window;
  for (double weight : hann(kFrameSamples, false))
    window.push_back(static_cast<float>(std::pow(weight, 0.85)) * kKaldiScale);
  return {kKaldiTransform, std::move(window), kKaldiPreemphasis,
          mel_filters(MelKind::kKaldi, KaldiFbank::kBands, 20, kSampleRate / 2.0, kKaldiTransform, kSampleRate)};
}

const MelSpectrum& kaldi_spectrum() {
  static const MelSpectrum kSpectrum = make_kaldi();
  return kSpectrum;
}

}  // namespace

std::vector<float> whisper_mel(std::span<const float> samples, std::size_t mels, std::size_t frames) {
  constexpr float kFloor = 1e-10F, kRange = 8;
  const float decade = std::log10(2.0F);
  const MelSpectrum& spectrum = whisper_spectrum(mels);
  const std::vector<float> signal = mirrored(samples, frames);
  Energies energies(spectrum.bands() * kFramesTogether);
  std::vector<float> result(spectrum.bands() * frames);
  float most = -std::numeric_limits<float>::infinity();
  for (std::size_t first = 0; first < frames; first += kFramesTogether) {
    Frames group;
    for (std::size_t lane = 0; lane < kFramesTogether; ++lane) group[lane] = &signal[(first + lane) * kFrameShift];
    spectrum.energies(group, energies.data());
    const std::size_t count = std::min(kFramesTogether, frames - first);
    for (std::size_t band = 0; band < spectrum.bands(); ++band)
      for (std::size_t lane = 0; lane < count; ++lane) {
        const float value = decade * std::log2(std::max(kFloor, energies[band * kFramesTogether + lane]));
        result[band * frames + first + lane] = value;
        most = std::max(most, value);
      }
  }
  for (float& value : result) value = (std::max(value, most - kRange) + 4) / 4;
  return result;
}

void KaldiFbank::add(std::span<const float> samples, std::vector<float>& rows) {
  const MelSpectrum& spectrum = kaldi_spectrum();
  std::array<float, kBands * kFramesTogether> energies;
  pending_.insert(pending_.end(), samples.begin(), samples.end());
  const std::size_t frames = pending_.size() < kFrameSamples ? 0 : (pending_.size() - kFrameSamples) / kFrameShift + 1;
  for (std::size_t first = 0; first < frames; first += kFramesTogether) {
    const std::size_t count = std::min(kFramesTogether, frames - first);
    Frames group;
    for (std::size_t lane = 0; lane < kFramesTogether; ++lane)
      group[lane] = &pending_[(first + std::min(lane, count - 1)) * kFrameShift];
    spectrum.energies(group, energies.data());
    for (std::size_t lane = 0; lane < count; ++lane)
      for (std::size_t band = 0; band < kBands; ++band)
        rows.push_back(std::log(std::max(kLeastEnergy, energies[band * kFramesTogether + lane])));
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(frames * kFrameShift));
}

}  // namespace image_engine::audio
