#include "video/frame_signature.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace image_engine::video {
namespace {

constexpr int kWidth = kSmallWidth, kHeight = kSmallHeight, kPixels = kWidth * kHeight;
constexpr int kBlockHeight = 6, kBlockRows = kHeight / kBlockHeight, kBlockColumns = kWidth / 8;
constexpr std::uint8_t kMostOfBar = 24;  // luma of a black bar with the noise of compression: limited-range black and 8
constexpr float kLeastContrast = 6;      // of the mean distance from the mean: below, noise would pass for a difference
constexpr float kMostGain = 2.5f;        // an exposure changes by no more from one frame to the next
constexpr std::uint32_t kStill = kPixels;  // a distance of 1 of 255 is noise: nothing is looked for
constexpr double kLeastSpread = 5;         // as kLeastContrast, of the standard deviation
using BlockSums = std::array<std::uint32_t, kBlockRows * kBlockColumns>;

struct Planes {
  std::array<std::uint8_t, kPixels> y, u, v;
};

// Full-range BT.601 in 8 bits. First apart, then in one loop without gaps: compilers make vector instructions of the
// second.
Planes planes_of(std::span<const std::uint8_t> rgb) {
  std::array<std::uint8_t, kPixels> red, green, blue;
  for (int i = 0; i < kPixels; ++i) {
    red[i] = rgb[i * 3];
    green[i] = rgb[i * 3 + 1];
    blue[i] = rgb[i * 3 + 2];
  }
  Planes planes;
  for (int i = 0; i < kPixels; ++i) {
    const int r = red[i], g = green[i], b = blue[i];
    planes.y[i] = static_cast<std::uint8_t>((77 * r + 150 * g + 29 * b + 128) >> 8);
    planes.u[i] = static_cast<std::uint8_t>((-43 * r - 85 * g + 128 * b + 32767 + 128) >> 8);
    planes.v[i] = static_cast<std::uint8_t>((128 * r - 107 * g - 21 * b + 32767 + 128) >> 8);
  }
  return planes;
}

// Eight steps of luma, and eight of each colour difference from 64 to 191, as they are mostly small.
std::array<std::uint16_t, 512> histogram_of(const Planes& planes) {
  std::array<std::uint16_t, kPixels> colours;
  for (int i = 0; i < kPixels; ++i) {
    const int u = std::clamp((planes.u[i] - 64) >> 4, 0, 7), v = std::clamp((planes.v[i] - 64) >> 4, 0, 7);
    colours[i] = static_cast<std::uint16_t>((planes.y[i] >> 5) << 6 | u << 3 | v);
  }
  std::array<std::uint16_t, 512> histogram{};
  for (std::uint16_t colour : colours) ++histogram[colour];
  return histogram;
}

// What black bars leave of the frame; all of it where nothing else is.
Area find_picture(const std::array<std::uint8_t, kPixels>& y) {
  std::array<std::uint8_t, kWidth> columns{};
  std::array<std::uint8_t, kHeight> rows{};
  for (int row = 0; row < kHeight; ++row)
    for (int column = 0; column < kWidth; ++column) {
      const std::uint8_t value = y[row * kWidth + column];
      columns[column] = std::max(columns[column], value);
      rows[row] = std::max(rows[row], value);
    }
  const auto seen = [](std::uint8_t most) { return most > kMostOfBar; };
  const auto left = std::find_if(columns.begin(), columns.end(), seen);
  if (left == columns.end()) return {};
  const auto top = std::find_if(rows.begin(), rows.end(), seen);
  const auto right = std::find_if(columns.rbegin(), columns.rend(), seen),
             bottom = std::find_if(rows.rbegin(), rows.rend(), seen);
  return {static_cast<int>(left - columns.begin()), static_cast<int>(top - rows.begin()),
          static_cast<int>(columns.rend() - right), static_cast<int>(rows.rend() - bottom)};
}

Area both(const Area& a, const Area& b) {
  return {std::min(a.left, b.left), std::min(a.top, b.top), std::max(a.right, b.right), std::max(a.bottom, b.bottom)};
}

// The same area of the reduced planes.
Area reduced(const Area& area) { return {area.left / 2, area.top / 2, (area.right + 1) / 2, (area.bottom + 1) / 2}; }

// Calls `use(first, last)` with the indices of each row of an area in one plane of FrameSignature::coarse.
template <typename Use>
void for_rows(const Area& area, int plane, Use use) {
  for (int row = area.top; row < area.bottom; ++row) {
    const int start = (plane * kCoarseHeight + row) * kCoarseWidth;
    use(start + area.left, start + area.right);
  }
}

Light light_in(const std::array<std::uint8_t, kPixels>& y, const Area& area) {
  const auto for_pixels = [&](auto use) {
    for (int row = area.top; row < area.bottom; ++row)
      for (int column = area.left; column < area.right; ++column) use(y[row * kWidth + column]);
  };
  std::int32_t sum = 0, away = 0;
  for_pixels([&](int value) { sum += value; });
  const int mean = (sum + area.pixels() / 2) / area.pixels();
  for_pixels([&](int value) { away += std::abs(value - mean); });
  return {static_cast<float>(sum) / static_cast<float>(area.pixels()),
          static_cast<float>(away) / static_cast<float>(area.pixels())};
}

void pad(const std::array<std::uint8_t, kPixels>& y, std::array<std::uint8_t, kPaddedWidth * kPaddedHeight>& padded) {
  for (int row = 0; row < kPaddedHeight; ++row) {
    const std::uint8_t* from = y.data() + std::clamp(row - kReach, 0, kHeight - 1) * kWidth;
    std::uint8_t* to = padded.data() + row * kPaddedWidth;
    std::fill_n(to, kReach, from[0]);
    std::copy_n(from, kWidth, to + kReach);
    std::fill_n(to + kReach + kWidth, kReach, from[kWidth - 1]);
  }
}

void reduce(const std::array<std::uint8_t, kPixels>& plane, std::int16_t* coarse) {
  for (int row = 0; row < kCoarseHeight; ++row)
    for (int column = 0; column < kCoarseWidth; ++column) {
      const std::uint8_t* at = plane.data() + row * 2 * kWidth + column * 2;
      coarse[row * kCoarseWidth + column] = static_cast<std::int16_t>(at[0] + at[1] + at[kWidth] + at[kWidth + 1]);
    }
}

// Adds, for each block of a row of blocks, how far eight columns of `a` are from those of `b`.
#ifdef __SSE2__
void add_row(const std::uint8_t* a, const std::uint8_t* b, std::uint32_t* sums) {
  for (int column = 0; column < kBlockColumns; column += 2) {
    const __m128i sad = _mm_sad_epu8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a + column * 8)),
                                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + column * 8)));
    sums[column] += static_cast<std::uint32_t>(_mm_cvtsi128_si32(sad));
    sums[column + 1] += static_cast<std::uint32_t>(_mm_extract_epi16(sad, 4));
  }
}
#else
void add_row(const std::uint8_t* a, const std::uint8_t* b, std::uint32_t* sums) {
  for (int i = 0; i < kWidth; ++i) sums[i / 8] += static_cast<std::uint32_t>(std::abs(a[i] - b[i]));
}
#endif

BlockSums distances(const FrameSignature& a, const FrameSignature& b, int dx, int dy) {
  BlockSums sums{};
  for (int row = 0; row < kHeight; ++row)
    add_row(a.luma.data() + (row + kReach) * kPaddedWidth + kReach,
            b.luma.data() + (row + kReach + dy) * kPaddedWidth + kReach + dx,
            sums.data() + row / kBlockHeight * kBlockColumns);
  return sums;
}

// Sum of distances of luma, each block of `a` being where it fits best in `b`.
std::uint32_t moved_distance(const FrameSignature& a, const FrameSignature& b) {
  BlockSums best = distances(a, b, 0, 0);
  if (std::reduce(best.begin(), best.end()) < kStill) return std::reduce(best.begin(), best.end());
  for (int dy = 1 - kReach; dy < kReach; ++dy)
    for (int dx = -kReach; dx <= kReach; ++dx) {
      const BlockSums sums = distances(a, b, dx, dy);
      for (std::size_t i = 0; i < sums.size(); ++i) best[i] = std::min(best[i], sums[i]);
    }
  return std::reduce(best.begin(), best.end());
}

float moved_share(const FrameSignature& a, const FrameSignature& b) {
  const auto pixels = static_cast<float>(both(a.picture, b.picture).pixels());
  return static_cast<float>(moved_distance(a, b)) / pixels /
         std::max((a.in_picture.deviation + b.in_picture.deviation) / 2, kLeastContrast);
}

// Bars are of the same colour in both frames, so they count in neither.
float colour_distance(const FrameSignature& a, const FrameSignature& b) {
  int sum = 0;
  for (std::size_t i = 0; i < a.colours.size(); ++i) sum += std::abs(a.colours[i] - b.colours[i]);
  return static_cast<float>(sum) / static_cast<float>(2 * both(a.picture, b.picture).pixels());
}

// Variances and covariance of the reduced luma of two frames, 0…255 scale.
struct LumaPair {
  double a, b, both;
  double correlation() const { return both / std::sqrt(a * b + 1); }
};

// Of what both show where `b` lies `dx` to the right of `a` and `dy` below it.
LumaPair luma_pair(const FrameSignature& a, const FrameSignature& b, const Area& area, int dx = 0, int dy = 0) {
  const Area seen = {area.left + std::max(0, -dx), area.top + std::max(0, -dy), area.right - std::max(0, dx),
                     area.bottom - std::max(0, dy)};
  std::int32_t sum_a = 0, sum_b = 0, aa = 0, bb = 0, ab = 0;
  for (int row = seen.top; row < seen.bottom; ++row) {
    const std::int16_t* in_a = a.coarse.data() + row * kCoarseWidth;
    const std::int16_t* in_b = b.coarse.data() + (row + dy) * kCoarseWidth + dx;
    for (int column = seen.left; column < seen.right; ++column) {
      sum_a += in_a[column];
      sum_b += in_b[column];
      aa += in_a[column] * in_a[column];
      bb += in_b[column] * in_b[column];
      ab += in_a[column] * in_b[column];
    }
  }
  const auto covariance = [&](double products, double sum, double other) {
    return (products - sum * other / seen.pixels()) / (16.0 * seen.pixels());
  };
  return {covariance(aa, sum_a, sum_a), covariance(bb, sum_b, sum_b), covariance(ab, sum_a, sum_b)};
}

}  // namespace

FrameSignature sign(const SmallFrame& frame) {
  FrameSignature signature;
  signature.index = frame.index;
  signature.seconds = frame.seconds;
  const Planes planes = planes_of(frame.rgb);
  signature.picture = find_picture(planes.y);
  signature.in_picture = light_in(planes.y, signature.picture);
  signature.overall = light_in(planes.y, {});
  pad(planes.y, signature.luma);
  constexpr int kCoarsePixels = kCoarseWidth * kCoarseHeight;
  reduce(planes.y, signature.coarse.data());
  reduce(planes.u, signature.coarse.data() + kCoarsePixels);
  reduce(planes.v, signature.coarse.data() + 2 * kCoarsePixels);
  signature.colours = histogram_of(planes);
  return signature;
}

float unlikeness(const FrameSignature& a, const FrameSignature& b) {
  return (std::min(moved_share(a, b), 1.0f) + colour_distance(a, b)) / 2;
}

float unlikeness_in_one_light(const FrameSignature& a, const FrameSignature& b) {
  const float gain =
      std::clamp(a.in_picture.deviation / std::max(b.in_picture.deviation, 0.1f), 1 / kMostGain, kMostGain);
  FrameSignature lit = b;
  for (std::uint8_t& y : lit.luma) {
    const float value = (static_cast<float>(y) - b.in_picture.mean) * gain + a.in_picture.mean;
    y = static_cast<std::uint8_t>(std::clamp(value, 0.0f, 255.0f));
  }
  lit.in_picture.deviation = b.in_picture.deviation * gain;
  return moved_share(a, lit);
}

Mix mix_of(const FrameSignature& a, const FrameSignature& middle, const FrameSignature& b) {
  const Area area = reduced(both(a.picture, b.picture));
  std::int32_t in = 0, out = 0, along = 0;  // at most 1728 · 1020²: below 2³¹
  for (int plane = 0; plane < 3; ++plane)
    for_rows(area, plane, [&](int first, int last) {
      for (int i = first; i < last; ++i) {
        const int to = middle.coarse[i] - a.coarse[i], from = b.coarse[i] - middle.coarse[i];
        in += to * to;
        out += from * from;
        along += to * from;
      }
    });
  if (along <= 0) return {};
  const LumaPair pair = luma_pair(a, b, area);
  const double way = 1.0 * in + out + 2.0 * along;
  const double contrast = std::max(std::sqrt((pair.a + pair.b) / 2), kLeastSpread);
  return {.steadiness = static_cast<float>(along / std::sqrt(1.0 * in * out + 1)),
          .distance = static_cast<float>(std::sqrt(way / area.pixels()) / 4 / contrast)};
}

float correlation_when_moved(const FrameSignature& a, const FrameSignature& b) {
  const Area area = reduced(both(a.picture, b.picture));
  const int across = (area.right - area.left) / 3, down = (area.bottom - area.top) / 3;
  double best = -1;
  for (int dy = -down; dy <= down; ++dy)
    for (int dx = -across; dx <= across; ++dx) best = std::max(best, luma_pair(a, b, area, dx, dy).correlation());
  return static_cast<float>(best);
}

float share_of_way(const FrameSignature& a, const FrameSignature& frame, const FrameSignature& b) {
  std::int32_t along = 0, way = 0;
  for (std::size_t i = 0; i < kCoarseValues; ++i) {
    const int whole = b.coarse[i] - a.coarse[i];
    along += whole * (frame.coarse[i] - a.coarse[i]);
    way += whole * whole;
  }
  return static_cast<float>(along) / static_cast<float>(std::max(way, 1));
}

}  // namespace image_engine::video
