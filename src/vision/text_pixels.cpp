#include "vision/text_pixels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace image_engine::vision {
namespace {

constexpr int kCropWeightBits = 11;  // cv2.resize's
constexpr int kPhases = 32;          // cv2.remap's steps between two pixels
constexpr double kCubic = -0.75;     // OpenCV's kernel; Pillow's has −0.5

struct Tap {
  std::uint32_t first = 0, second = 0;
  std::int32_t weight = 0;  // of the second, in 1 / 2^kCropWeightBits
};

std::vector<Tap> linear_taps(std::uint32_t in, std::uint32_t out) {
  std::vector<Tap> taps(out);
  const double scale = double{1} * in / out;
  for (std::uint32_t i = 0; i < out; ++i) {
    const double at = std::clamp((i + 0.5) * scale - 0.5, 0.0, in - 1.0);
    const auto first = static_cast<std::uint32_t>(at);
    const auto weight = static_cast<std::int32_t>(std::nearbyint((at - first) * (1 << kCropWeightBits)));
    taps[i] = {first, std::min(first + 1, in - 1), weight};
  }
  return taps;
}

void reduce_row(std::span<const std::uint8_t> row, std::span<const Tap> taps, std::span<std::int32_t> out) {
  for (std::size_t x = 0; x < taps.size(); ++x) {
    const std::uint8_t *a = row.data() + std::size_t{taps[x].first} * 3,
                       *b = row.data() + std::size_t{taps[x].second} * 3;
    for (std::size_t c = 0; c < 3; ++c) out[x * 3 + c] = (a[c] << kCropWeightBits) + (b[c] - a[c]) * taps[x].weight;
  }
}

Image half_size(const ImageView& picture) {
  Image out{picture.width / 2, picture.height / 2, {}};
  out.pixels.resize(out.row_bytes() * out.height);
  const std::size_t row = std::size_t{picture.width} * 3;
  std::uint8_t* to = out.pixels.data();
  for (std::uint32_t y = 0; y < out.height; ++y)
    for (std::uint32_t x = 0; x < out.width; ++x)
      for (std::size_t c = 0; c < 3; ++c) {
        const std::uint8_t* from = picture.pixels.data() + 2 * y * row + std::size_t{x} * 6 + c;
        *to++ = static_cast<std::uint8_t>((from[0] + from[3] + from[row] + from[row + 3] + 2) / 4);
      }
  return out;
}

// A rectangle's points as the picture's: x = (a·u + b·v + c) / (g·u + h·v + 1), y with d, e, f; u and v are 0…1.
// Heckbert, Fundamentals of Texture Mapping and Image Warping, 1989.
struct Perspective {
  double a, b, c, d, e, f, g, h;

  explicit Perspective(const Quad& q) {
    const double dx1 = q[1].x - q[2].x, dx2 = q[3].x - q[2].x, sx = q[0].x - q[1].x + q[2].x - q[3].x;
    const double dy1 = q[1].y - q[2].y, dy2 = q[3].y - q[2].y, sy = q[0].y - q[1].y + q[2].y - q[3].y;
    const double determinant = dx1 * dy2 - dx2 * dy1;
    const bool affine = determinant == 0 || (sx == 0 && sy == 0);
    g = affine ? 0 : (sx * dy2 - dx2 * sy) / determinant;
    h = affine ? 0 : (dx1 * sy - sx * dy1) / determinant;
    a = q[1].x - q[0].x + g * q[1].x, b = q[3].x - q[0].x + h * q[3].x, c = q[0].x;
    d = q[1].y - q[0].y + g * q[1].y, e = q[3].y - q[0].y + h * q[3].y, f = q[0].y;
  }
};

std::array<std::array<float, 4>, kPhases> cubic_weights() {
  std::array<std::array<float, 4>, kPhases> table{};
  const auto near = [](double x) { return ((kCubic + 2) * x - (kCubic + 3)) * x * x + 1; };
  const auto far = [](double x) { return ((kCubic * x - 5 * kCubic) * x + 8 * kCubic) * x - 4 * kCubic; };
  for (int i = 0; i < kPhases; ++i) {
    const double t = double{1} * i / kPhases;
    table[static_cast<std::size_t>(i)] = {static_cast<float>(far(t + 1)), static_cast<float>(near(t)),
                                          static_cast<float>(near(1 - t)), static_cast<float>(far(2 - t))};
  }
  return table;
}

// A position in whole steps, within int for any coordinate.
int in_phases(double at) {
  constexpr double kFar = 1e7;
  return std::isfinite(at) ? static_cast<int>(std::nearbyint(std::clamp(at, -kFar, kFar) * kPhases)) : 0;
}

void sample_cubic(const ImageView& picture, int x, int y, std::uint8_t* out) {
  static const auto kWeights = cubic_weights();
  const auto& across = kWeights[static_cast<std::size_t>(x & (kPhases - 1))];
  const auto& down = kWeights[static_cast<std::size_t>(y & (kPhases - 1))];
  const int left = (x >> 5) - 1, top = (y >> 5) - 1;
  const int width = static_cast<int>(picture.width), height = static_cast<int>(picture.height);
  std::array<std::size_t, 4> columns{};
  for (int i = 0; i < 4; ++i)
    columns[static_cast<std::size_t>(i)] = static_cast<std::size_t>(std::clamp(left + i, 0, width - 1)) * 3;
  float sum[3] = {};
  for (int j = 0; j < 4; ++j) {
    const auto row = static_cast<std::size_t>(std::clamp(top + j, 0, height - 1)) * picture.width * 3;
    const std::uint8_t* from = picture.pixels.data() + row;
    for (std::size_t c = 0; c < 3; ++c) {
      float of_row = 0;
      for (std::size_t i = 0; i < 4; ++i) of_row += across[i] * static_cast<float>(from[columns[i] + c]);
      sum[c] += down[static_cast<std::size_t>(j)] * of_row;
    }
  }
  for (std::size_t c = 0; c < 3; ++c)
    out[c] = static_cast<std::uint8_t>(std::clamp(std::nearbyint(sum[c]), 0.0F, 255.0F));
}

double distance(Point a, Point b) { return std::hypot(double{a.x} - b.x, double{a.y} - b.y); }

// Whether a cut is a copy: upright, its corners whole pixels inside the picture.
bool is_upright(const ImageView& picture, const Quad& q, CutSize size) {
  const float right = q[0].x + static_cast<float>(size.width), bottom = q[0].y + static_cast<float>(size.height);
  return q[0].x >= 0 && q[0].y >= 0 && q[0].x == std::floor(q[0].x) && q[0].y == std::floor(q[0].y) &&
         q[1].x == right && q[1].y == q[0].y && q[2].x == right && q[2].y == bottom && q[3].x == q[0].x &&
         q[3].y == bottom && right <= static_cast<float>(picture.width) && bottom <= static_cast<float>(picture.height);
}

}  // namespace

Image resize_linear(const ImageView& picture, std::uint32_t width, std::uint32_t height) {
  if (std::uint64_t{width} * 2 == picture.width && std::uint64_t{height} * 2 == picture.height)
    return half_size(picture);
  Image out{width, height, {}};
  out.pixels.resize(out.row_bytes() * height);
  const auto across = linear_taps(picture.width, width), down = linear_taps(picture.height, height);
  const std::size_t in_bytes = std::size_t{picture.width} * 3;
  struct Row {
    std::uint64_t y = UINT64_MAX;
    std::vector<std::int32_t> values;
  };
  std::array<Row, 2> kept;  // the last two rows of the picture, reduced across
  for (Row& row : kept) row.values.resize(out.row_bytes());
  const auto reduced = [&](std::uint32_t y, std::uint32_t other) -> const std::int32_t* {
    for (const Row& row : kept)
      if (row.y == y) return row.values.data();
    Row& row = kept[0].y == other ? kept[1] : kept[0];
    reduce_row(picture.pixels.subspan(y * in_bytes, in_bytes), across, row.values);
    row.y = y;
    return row.values.data();
  };
  for (std::uint32_t y = 0; y < height; ++y) {
    const std::int32_t* a = reduced(down[y].first, down[y].second);
    const std::int32_t* b = reduced(down[y].second, down[y].first);
    const std::int32_t second = down[y].weight, first = (1 << kCropWeightBits) - second;
    std::uint8_t* to = out.pixels.data() + y * out.row_bytes();
    for (std::size_t i = 0; i < out.row_bytes(); ++i)
      to[i] = static_cast<std::uint8_t>(((((a[i] >> 4) * first) >> 16) + (((b[i] >> 4) * second) >> 16) + 2) >> 2);
  }
  return out;
}

Image with_rows(const ImageView& picture, std::uint32_t rows) {
  Image out{picture.width, picture.height + 2 * rows, {}};
  out.pixels.resize(out.row_bytes() * out.height);
  std::ranges::copy(picture.pixels, out.pixels.begin() + static_cast<std::ptrdiff_t>(out.row_bytes() * rows));
  return out;
}

CutSize cut_size(const Quad& q) {
  return {static_cast<std::uint32_t>(std::max(distance(q[0], q[1]), distance(q[2], q[3]))),
          static_cast<std::uint32_t>(std::max(distance(q[0], q[3]), distance(q[1], q[2])))};
}

Image cut(const ImageView& picture, const Quad& quad) {
  const CutSize size = cut_size(quad);
  Image out{size.width, size.height, {}};
  out.pixels.resize(out.row_bytes() * out.height);
  if (is_upright(picture, quad, size)) {
    const auto left = static_cast<std::size_t>(quad[0].x), top = static_cast<std::size_t>(quad[0].y);
    for (std::size_t y = 0; y < out.height; ++y)
      std::memcpy(out.pixels.data() + y * out.row_bytes(),
                  picture.pixels.data() + ((top + y) * picture.width + left) * 3, out.row_bytes());
    return out;
  }
  const Perspective map(quad);
  std::uint8_t* to = out.pixels.data();
  for (std::uint32_t y = 0; y < out.height; ++y)
    for (std::uint32_t x = 0; x < out.width; ++x, to += 3) {
      const double u = double{1} * x / out.width, v = double{1} * y / out.height;
      const double w = map.g * u + map.h * v + 1;
      sample_cubic(picture, in_phases((map.a * u + map.b * v + map.c) / w),
                   in_phases((map.d * u + map.e * v + map.f) / w), to);
    }
  return out;
}

Image turned_left(const Image& image) {
  Image out{image.height, image.width, {}};
  out.pixels.resize(image.pixels.size());
  std::uint8_t* to = out.pixels.data();
  for (std::size_t y = 0; y < out.height; ++y)
    for (std::size_t x = 0; x < out.width; ++x, to += 3)
      std::memcpy(to, image.pixels.data() + (x * image.width + (image.width - 1 - y)) * 3, 3);
  return out;
}

void turn_over(Image& image) {
  const std::size_t count = image.pixels.size() / 3;
  for (std::size_t i = 0; i < count / 2; ++i)
    std::swap_ranges(image.pixels.data() + i * 3, image.pixels.data() + i * 3 + 3,
                     image.pixels.data() + (count - 1 - i) * 3);
}

void fill_planes(const ImageView& picture, const Normalisation& how, std::size_t stride, std::span<float> planes) {
  std::array<std::array<float, 256>, 3> values{};
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t v = 0; v < 256; ++v) values[c][v] = (static_cast<float>(v) - how.mean[c]) / how.deviation[c];
  for (std::size_t c = 0; c < 3; ++c) {
    const std::size_t channel = how.bgr ? 2 - c : c;
    for (std::size_t y = 0; y < picture.height; ++y) {
      const std::uint8_t* from = picture.pixels.data() + y * picture.width * 3 + channel;
      float* to = planes.data() + (c * picture.height + y) * stride;
      for (std::size_t x = 0; x < picture.width; ++x) to[x] = values[c][from[x * 3]];
    }
  }
}

}  // namespace image_engine::vision
