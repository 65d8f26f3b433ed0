#include "plugins/process/resize_picture.h"

#include <vector>

#include "types/resample.h"

namespace image_engine::plugins {
namespace {

Taps taps(std::uint32_t in, std::uint32_t out) {
  return make_taps(ResampleFilter::kLanczos, {in, static_cast<double>(in), out}, 0, out);
}

// The loops take three channels: some of the picture's, one of them up to three times.
struct Channels {
  std::uint32_t from[3];
};

void resize_channels(const ie_picture& from, const ie_picture& to, const Channels& channels) {
  ResampledRows rows(taps(from.width, to.width), taps(from.height, to.height));
  std::vector<std::uint8_t> row(std::size_t{from.width} * 3 + ResampledRows::kPadding);
  std::uint32_t taken = 0;
  for (std::uint32_t y = 0; y < to.height; ++y) {
    for (; taken < rows.end(y); ++taken) {
      const std::uint8_t* line = from.pixels + taken * from.row_bytes;
      for (std::uint32_t x = 0; x < from.width; ++x)
        for (int c = 0; c < 3; ++c) row[std::size_t{x} * 3 + c] = line[std::size_t{x} * from.format + channels.from[c]];
      rows.take(taken, row.data());
    }
    const auto made = rows.make(y);
    std::uint8_t* line = to.pixels + y * to.row_bytes;
    for (std::uint32_t x = 0; x < to.width; ++x)
      for (int c = 0; c < 3; ++c) line[std::size_t{x} * to.format + channels.from[c]] = made[std::size_t{x} * 3 + c];
  }
}

}  // namespace

void resize_picture(const ie_picture& from, const ie_picture& to) {
  resize_channels(from, to, from.format == IE_GREY8 ? Channels{{0, 0, 0}} : Channels{{0, 1, 2}});
  if (from.format == IE_RGBA8) resize_channels(from, to, Channels{{3, 3, 3}});
}

}  // namespace image_engine::plugins
