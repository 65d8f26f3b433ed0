#include "media/sound_frame.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

namespace image_engine::media {
namespace {

constexpr float kMostSample = 16;

template <typename Sample>
float as_float(Sample sample) {
  if constexpr (std::is_floating_point_v<Sample>) {
    const auto value = static_cast<float>(sample);
    return std::isfinite(value) ? std::clamp(value, -kMostSample, kMostSample) : 0.0F;
  } else if constexpr (std::is_unsigned_v<Sample>) {
    return (static_cast<float>(sample) - 128) / 128;
  } else {
    constexpr auto kScale = 1 / -static_cast<double>(std::numeric_limits<Sample>::min());
    return static_cast<float>(static_cast<double>(sample) * kScale);
  }
}

template <typename Sample>
void copy_samples(const AVFrame& frame, bool is_planar, std::vector<float>& samples) {
  const auto channels = static_cast<size_t>(frame.ch_layout.nb_channels);
  const auto count = static_cast<size_t>(frame.nb_samples);
  if (!is_planar) {
    const auto* from = reinterpret_cast<const Sample*>(frame.extended_data[0]);
    std::transform(from, from + count * channels, samples.begin(), as_float<Sample>);
    return;
  }
  for (size_t channel = 0; channel < channels; ++channel) {
    const auto* from = reinterpret_cast<const Sample*>(frame.extended_data[channel]);
    float* to = samples.data() + channel;
    for (size_t i = 0; i < count; ++i, to += channels) *to = as_float(from[i]);
  }
}

}  // namespace

bool to_floats(const AVFrame& frame, std::vector<float>& samples) {
  samples.resize(static_cast<size_t>(frame.nb_samples) * static_cast<size_t>(frame.ch_layout.nb_channels));
  const auto format = static_cast<AVSampleFormat>(frame.format);
  const bool is_planar = av_sample_fmt_is_planar(format) != 0;
  switch (av_get_packed_sample_fmt(format)) {
    case AV_SAMPLE_FMT_U8:
      copy_samples<std::uint8_t>(frame, is_planar, samples);
      return true;
    case AV_SAMPLE_FMT_S16:
      copy_samples<std::int16_t>(frame, is_planar, samples);
      return true;
    case AV_SAMPLE_FMT_S32:
      copy_samples<std::int32_t>(frame, is_planar, samples);
      return true;
    case AV_SAMPLE_FMT_S64:
      copy_samples<std::int64_t>(frame, is_planar, samples);
      return true;
    case AV_SAMPLE_FMT_FLT:
      copy_samples<float>(frame, is_planar, samples);
      return true;
    case AV_SAMPLE_FMT_DBL:
      copy_samples<double>(frame, is_planar, samples);
      return true;
    default:
      return false;
  }
}

FullScale full_scale_of(AVSampleFormat format, int bits) {
  const AVSampleFormat packed = av_get_packed_sample_fmt(format);
  constexpr int kFloatBits = 16;  // clipped when it was recorded, mostly with 16 bits
  int most = av_get_bytes_per_sample(format) * 8;
  if (packed == AV_SAMPLE_FMT_FLT || packed == AV_SAMPLE_FMT_DBL) most = kFloatBits;
  if (bits <= 0 || bits > most) bits = most;
  const double step = std::ldexp(1.0, 1 - std::min(bits, 24));
  return {static_cast<float>(1 - step), -1};
}

}  // namespace image_engine::media
