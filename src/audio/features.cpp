#include "audio/features.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "audio/spectrum.h"

namespace image_engine::audio {
namespace {

using Frames = std::array<const float*, kFramesTogether>;
using Energies = std::vector<float>;

// Hann's, as a period of a longer signal or reaching zero at both ends.
std::vector<double> hann(bool periodic) {
  const double steps = periodic ? kFrameSamples : kFrameSamples - 1;
  std::vector<double> window(kFrameSamples);
  for (std::size_t i = 0; i < kFrameSamples; ++i)
    window[i] = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / steps);
  return window;
}

// Slaney's scale: linear to 1000 Hz, then logarithmic.
constexpr double kSlaneyStep = 200.0 / 3, kSlaneyBend = 1000, kSlaneyBendMel = kSlaneyBend / kSlaneyStep;
const double kSlaneyGrowth = std::log(6.4) / 27;

double slaney_mel(double hertz) {
  return hertz < kSlaneyBend ? hertz / kSlaneyStep : kSlaneyBendMel + std::log(hertz / kSlaneyBend) / kSlaneyGrowth;
}
double slaney_hertz(double mel) {
  return mel < kSlaneyBendMel ? mel * kSlaneyStep : kSlaneyBend * std::exp(kSlaneyGrowth * (mel - kSlaneyBendMel));
}

// HTK's scale.
double htk_mel(double hertz) { return 1127 * std::log(1 + hertz / 700); }

// The triangle from `left` over `centre` to `right`, with `height` there, at bins whose places at(bin) rise.
template <typename At>
MelFilter triangle(double left, double centre, double right, double height, std::size_t bins, At at) {
  MelFilter filter;
  for (std::size_t bin = 0; bin < bins; ++bin) {
    const double place = at(bin);
    const double weight = std::min((place - left) / (centre - left), (right - place) / (right - centre));
    if (weight <= 0) continue;
    if (filter.weights.empty()) filter.first = bin;
    filter.weights.push_back(static_cast<float>(weight * height));
  }
  return filter;
}

// Triangles in hertz of equal area, at equal distances on Slaney's scale.
MelSpectrum make_whisper(std::size_t mels) {
  const double step = slaney_mel(kSampleRate / 2.0) / static_cast<double>(mels + 1);
  const auto edge = [step](std::size_t i) { return slaney_hertz(step * static_cast<double>(i)); };
  const auto hertz = [](std::size_t bin) { return static_cast<double>(bin * kSampleRate) / kFrameSamples; };
  std::vector<MelFilter> filters;
  for (std::size_t i = 0; i < mels; ++i) {
    const double left = edge(i), right = edge(i + 2);
    filters.push_back(triangle(left, edge(i + 1), right, 2 / (right - left), kFrameSamples / 2 + 1, hertz));
  }
  const std::vector<double> window = hann(true);
  return {kFrameSamples, {window.begin(), window.end()}, 0, std::move(filters)};
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
  constexpr double kLowest = 20, kHighest = kSampleRate / 2.0;
  const double low = htk_mel(kLowest), step = (htk_mel(kHighest) - low) / (KaldiFbank::kBands + 1);
  const auto edge = [low, step](std::size_t i) { return low + step * static_cast<double>(i); };
  const auto mel = [](std::size_t bin) { return htk_mel(static_cast<double>(bin * kSampleRate) / kKaldiTransform); };
  std::vector<MelFilter> filters;
  for (std::size_t i = 0; i < KaldiFbank::kBands; ++i)
    filters.push_back(triangle(edge(i), edge(i + 1), edge(i + 2), 1, kKaldiTransform / 2, mel));
  std::vector<float> window;
  for (double weight : hann(false)) window.push_back(static_cast<float>(std::pow(weight, 0.85)) * kKaldiScale);
  return {kKaldiTransform, std::move(window), kKaldiPreemphasis, std::move(filters)};
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
