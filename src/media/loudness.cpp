#include "media/loudness.h"

#include <ebur128.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "media/peaks.h"

namespace image_engine::media {
namespace {

struct FreeMeter {
  void operator()(ebur128_state* meter) const { ebur128_destroy(&meter); }
};
using Meter = std::unique_ptr<ebur128_state, FreeMeter>;

struct ChannelRow {
  AVChannel channel;
  int place;  // libebur128's
};
// Others weigh as much as those in front.
constexpr ChannelRow kChannels[] = {
    {AV_CHAN_FRONT_LEFT, EBUR128_LEFT},           {AV_CHAN_FRONT_RIGHT, EBUR128_RIGHT},
    {AV_CHAN_FRONT_CENTER, EBUR128_CENTER},       {AV_CHAN_LOW_FREQUENCY, EBUR128_UNUSED},
    {AV_CHAN_LOW_FREQUENCY_2, EBUR128_UNUSED},    {AV_CHAN_SIDE_LEFT, EBUR128_LEFT_SURROUND},
    {AV_CHAN_SIDE_RIGHT, EBUR128_RIGHT_SURROUND}, {AV_CHAN_BACK_LEFT, EBUR128_LEFT_SURROUND},
    {AV_CHAN_BACK_RIGHT, EBUR128_RIGHT_SURROUND}, {AV_CHAN_BACK_CENTER, EBUR128_LEFT_SURROUND},
};

int place_of(AVChannel channel) {
  const auto* found = std::ranges::find(kChannels, channel, &ChannelRow::channel);
  return found == std::end(kChannels) ? EBUR128_CENTER : found->place;
}

}  // namespace

struct LoudnessMeter::State {
  Meter meter;
  std::vector<ChannelPeaks> peaks;  // of each channel; empty: nothing is measured
  float true_peak = 0;
  int rate = 0;
  double clipped_before = 0;  // seconds, until the format changed

  [[nodiscard]] double clipped_seconds() const {
    std::uint64_t most = 0;
    for (const ChannelPeaks& channel : peaks) most = std::max(most, channel.clipped());
    return most == 0 ? clipped_before : clipped_before + static_cast<double>(most) / rate;
  }
};

LoudnessMeter::LoudnessMeter() : state_(std::make_unique<State>()) {}
LoudnessMeter::LoudnessMeter(LoudnessMeter&&) noexcept = default;
LoudnessMeter& LoudnessMeter::operator=(LoudnessMeter&&) noexcept = default;
LoudnessMeter::~LoudnessMeter() = default;

bool LoudnessMeter::begin(const AVChannelLayout& layout, int rate, FullScale full_scale) {
  State& s = *state_;
  constexpr int kModes = EBUR128_MODE_I | EBUR128_MODE_LRA | EBUR128_MODE_HISTOGRAM;
  s.clipped_before = s.clipped_seconds();
  s.peaks.clear();
  constexpr std::int64_t kMostSamples = 6'000'000;  // a second: the meter keeps three seconds of all channels
  if (std::int64_t{layout.nb_channels} * rate > kMostSamples) return false;
  const auto channels = static_cast<unsigned>(layout.nb_channels);
  const auto samples = static_cast<unsigned long>(rate);
  if (!s.meter) {
    s.meter.reset(ebur128_init(channels, samples, kModes));
    if (!s.meter) return false;
  } else {
    const int changed = ebur128_change_parameters(s.meter.get(), channels, samples);
    if (changed != EBUR128_SUCCESS && changed != EBUR128_ERROR_NO_CHANGE) return false;
  }
  for (unsigned i = 0; i < channels; ++i)
    (void)ebur128_set_channel(s.meter.get(), i, place_of(av_channel_layout_channel_from_index(&layout, i)));
  s.rate = rate;
  s.peaks.assign(channels, ChannelPeaks(rate, full_scale));
  return true;
}

void LoudnessMeter::add(std::span<const float> samples) {
  State& s = *state_;
  const size_t channels = s.peaks.size();
  if (channels == 0) return;
  (void)ebur128_add_frames_float(s.meter.get(), samples.data(), samples.size() / channels);
  for (size_t i = 0; i < channels && i < samples.size(); ++i) s.peaks[i].add(samples.subspan(i), channels, s.true_peak);
}

Loudness LoudnessMeter::result() const {
  const State& s = *state_;
  Loudness loudness;
  if (!s.meter) return loudness;
  double value = 0;
  if (ebur128_loudness_global(s.meter.get(), &value) == EBUR128_SUCCESS && std::isfinite(value))
    loudness.integrated = value;
  if (ebur128_loudness_range(s.meter.get(), &value) == EBUR128_SUCCESS && std::isfinite(value)) loudness.range = value;
  if (s.true_peak > 0) loudness.true_peak = 20 * std::log10(static_cast<double>(s.true_peak));
  loudness.clipped_seconds = s.clipped_seconds();
  return loudness;
}

}  // namespace image_engine::media
