// Sound of videos and recordings: every demuxer and decoder that is allowed, seeking, resampling and loudness.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/text.h"
#include "libraries.h"
#include "media/sound_reader.h"

using namespace image_engine;

namespace {

constexpr int kMostPieces = 40;  // so that an input takes no longer than others

void read(media::Bytes file, const media::SoundReaderOptions& options) {
  auto reader = media::SoundReader::open(file, options);
  if (!reader) return;
  for (const AudioTrack& track : reader->tracks())
    if (!is_utf8(track.language) || !is_utf8(track.title)) std::abort();
  if (reader->track() >= reader->tracks().size()) std::abort();
  std::array<float, 4000> samples{};
  double end = -INFINITY;
  for (int i = 0; i < kMostPieces; ++i) {
    const auto piece = reader->read(samples);
    if (!piece) return;
    if (piece->samples > samples.size() || !std::isfinite(piece->seconds) || piece->seconds < end - 1e-3) std::abort();
    if (options.from > 0 && piece->samples > 0 && piece->seconds < options.from - 1e-3) std::abort();
    if (!std::all_of(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(piece->samples),
                     [](float sample) { return std::abs(sample) <= 1; }))
      std::abort();
    end = piece->seconds + static_cast<double>(piece->samples) / media::kModelSoundRate;
    if (piece->is_end) break;
  }
  const Loudness loudness = reader->loudness();
  if (!std::isfinite(loudness.integrated.value_or(0)) || !std::isfinite(loudness.range) ||
      !std::isfinite(loudness.true_peak.value_or(0)) || !(loudness.clipped_seconds >= 0))
    std::abort();
  (void)reader->warnings();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  if (size == 0) return -1;
  const auto file = as_file(data, size);
  read(file, {.loudness = true});
  read(file, {.from = data[size - 1] / 64.0, .duration = 0.5, .track = data[size / 2] % 3});
  return 0;
}
