// Frames of videos: every demuxer and decoder that is allowed, seeking, and conversion of what they give.
#include <algorithm>
#include <array>
#include <cmath>

#include "libraries.h"
#include "media/video_reader.h"

using namespace image_engine;

namespace {

constexpr int kMostFrames = 12;
constexpr std::uint64_t kMostPixels = 1 << 20;  // so that an input takes no longer than others

void read(media::VideoReader& reader, int frames) {
  double last = -INFINITY;
  for (int i = 0; i < frames; ++i) {
    const auto frame = reader.next();
    if (!frame || !*frame) return;
    if (!std::isfinite((*frame)->seconds) || (*frame)->seconds <= last) std::abort();
    last = (*frame)->seconds;
    std::array<std::uint8_t, 16 * 9 * 3> small{};
    (void)reader.reduce({16, 9}, small);
    if (const auto picture = reader.picture(64)) {
      if (picture->width == 0 || picture->height == 0 || std::max(picture->width, picture->height) > 64) std::abort();
      if (picture->pixels.size() != picture->row_bytes() * picture->height) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  const auto file = as_file(data, size);
  if (as_video(media::detect_format(file)) == MediaFormat::kNone) return -1;
  auto reader = media::VideoReader::open(file, {.max_pixels = kMostPixels});
  if (!reader) return 0;
  read(*reader, kMostFrames);
  if (reader->seek(data[size - 1] / 64.0)) read(*reader, 2);
  (void)reader->warnings();
  return 0;
}
