#include "vision/hashes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

#include "core/cpu.h"
#include "types/luma.h"
#include "types/pillow_lanczos.h"

namespace image_engine::vision {
namespace {

constexpr std::size_t kBits = 8;  // along each edge
// Sums of 32 · 32 · 255 in double are exact to about 1e−9; a coefficient of integers this small is 0.
constexpr double kZero = 1e-7;

struct Grey {
  std::size_t width = 0, height = 0;
  std::vector<std::uint8_t> pixels;
};

// For each output position the first input position and its weights.
struct Taps {
  std::size_t first = 0;
  std::vector<std::int32_t> weights;
};

std::vector<Taps> make_taps(std::size_t in, std::size_t out) {
  std::vector<Taps> taps(out);
  for (std::size_t o = 0; o < out; ++o) {
    const PillowWindow window =
        pillow_window(static_cast<std::uint32_t>(in), static_cast<std::uint32_t>(out), static_cast<std::uint32_t>(o));
    std::vector<double> weights;
    double sum = 0;
    for (std::uint32_t i = window.first; i < window.end; ++i) {
      weights.push_back(pillow_weight(window, i));
      sum += weights.back();
    }
    taps[o].first = window.first;
    for (const double weight : weights) taps[o].weights.push_back(pillow_fixed(weight, sum));
  }
  return taps;
}

// Most pictures of a library have one of a few sizes, and the sines cost more than all else here. Valid until the
// thread's next call.
const std::vector<Taps>& taps_of(std::size_t in, std::size_t out) {
  struct Made {
    std::size_t in, out;
    std::vector<Taps> taps;
  };
  constexpr std::size_t kMost = 16;
  thread_local std::vector<Made> made;  // the last used last
  const auto known = std::ranges::find_if(made, [&](const Made& one) { return one.in == in && one.out == out; });
  if (known != made.end()) {
    std::rotate(known, known + 1, made.end());
  } else {
    if (made.size() == kMost) made.erase(made.begin());
    made.push_back({in, out, make_taps(in, out)});
  }
  return made.back().taps;
}

// One row across: integers, so the same on every CPU. `wide` holds the row in 32 bits, as each pixel is read six times.
[[gnu::always_inline]] inline void sum_row(std::span<const std::uint8_t> in, const std::vector<Taps>& taps,
                                           std::int32_t* wide, std::uint8_t* out) {
  for (std::size_t x = 0; x < in.size(); ++x) wide[x] = in[x];
  for (std::size_t x = 0; x < taps.size(); ++x) {
    const std::int32_t* from = wide + taps[x].first;
    const std::int32_t* weights = taps[x].weights.data();
    std::int32_t sum = kPillowHalf;
    for (std::size_t i = 0; i < taps[x].weights.size(); ++i) sum += from[i] * weights[i];
    out[x] = pillow_level(sum);
  }
}
void sum_row_anywhere(std::span<const std::uint8_t> in, const std::vector<Taps>& taps, std::int32_t* wide,
                      std::uint8_t* out) {
  sum_row(in, taps, wide, out);
}
#if defined(__x86_64__)
[[gnu::target("avx2")]] void sum_row_avx2(std::span<const std::uint8_t> in, const std::vector<Taps>& taps,
                                          std::int32_t* wide, std::uint8_t* out) {
  sum_row(in, taps, wide, out);
}
#else
constexpr auto sum_row_avx2 = sum_row_anywhere;
#endif
using SumRow = decltype(&sum_row_anywhere);
const SumRow kSumRow = cpu_uses(CpuLevel::kAvx2) ? sum_row_avx2 : sum_row_anywhere;

Grey resize_across(const Grey& in, std::size_t width) {
  if (in.width == width) return in;
  Grey out{width, in.height, std::vector<std::uint8_t>(width * in.height)};
  const std::vector<Taps>& taps = taps_of(in.width, width);
  std::vector<std::int32_t> wide(in.width);
  for (std::size_t y = 0; y < in.height; ++y)
    kSumRow(std::span(in.pixels).subspan(y * in.width, in.width), taps, wide.data(), out.pixels.data() + y * width);
  return out;
}

Grey resize_down(const Grey& in, std::size_t height) {
  if (in.height == height) return in;
  Grey out{in.width, height, std::vector<std::uint8_t>(in.width * height)};
  const std::vector<Taps>& taps = taps_of(in.height, height);
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < in.width; ++x) {
      const std::uint8_t* from = in.pixels.data() + taps[y].first * in.width + x;
      std::int32_t sum = kPillowHalf;
      for (std::size_t i = 0; i < taps[y].weights.size(); ++i) sum += from[i * in.width] * taps[y].weights[i];
      out.pixels[y * in.width + x] = pillow_level(sum);
    }
  }
  return out;
}

// The order of the passes is Pillow 13's: vertical first if the height loses more than twice as many rows as the width
// loses columns. It only affects the last bit.
Grey resize(const Grey& in, std::size_t width, std::size_t height) {
  const std::size_t columns = in.width > width ? in.width - width : 0;
  if (in.height > height && in.height - height > 2 * columns) return resize_across(resize_down(in, height), width);
  return resize_down(resize_across(in, width), height);
}

// Of kHashWidth × kHashHeight levels.
std::uint64_t dhash_of(std::span<const std::uint8_t> levels) {
  std::uint64_t bits = 0;
  for (std::size_t y = 0; y < kBits; ++y)
    for (std::size_t x = 0; x < kBits; ++x) {
      const std::uint8_t* pixel = levels.data() + y * kHashWidth + x;
      bits = bits << 1 | (pixel[1] > pixel[0] ? 1U : 0U);
    }
  return bits;
}

// The lowest kBits × kBits coefficients of the DCT-II (scipy's, without normalisation): 2 Σ x cos(π k (2n + 1) / 2N).
std::array<double, kBits * kBits> low_frequencies(std::span<const std::uint8_t> levels) {
  std::array<std::array<double, kHashEdge>, kBits> basis;
  for (std::size_t k = 0; k < kBits; ++k)
    for (std::size_t n = 0; n < kHashEdge; ++n)
      basis[k][n] = 2 * std::cos(std::numbers::pi * static_cast<double>(k * (2 * n + 1)) / (2.0 * kHashEdge));
  std::array<double, kBits * kBits> result{};
  for (std::size_t v = 0; v < kBits; ++v) {
    std::array<double, kHashEdge> columns{};
    for (std::size_t y = 0; y < kHashEdge; ++y)
      for (std::size_t x = 0; x < kHashEdge; ++x) columns[x] += basis[v][y] * levels[y * kHashEdge + x];
    for (std::size_t u = 0; u < kBits; ++u)
      for (std::size_t x = 0; x < kHashEdge; ++x) result[v * kBits + u] += basis[u][x] * columns[x];
  }
  for (double& value : result)
    if (std::abs(value) < kZero) value = 0;
  return result;
}

// Of kHashEdge × kHashEdge levels.
std::uint64_t phash_of(std::span<const std::uint8_t> levels) {
  const auto values = low_frequencies(levels);
  auto sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const double median = (sorted[sorted.size() / 2 - 1] + sorted[sorted.size() / 2]) / 2;
  std::uint64_t bits = 0;
  for (const double value : values) bits = bits << 1 | (value > median ? 1U : 0U);
  return bits;
}

PerceptualHashes hashes_of(const Grey& grey) {
  return {dhash_of(resize(grey, kHashWidth, kHashHeight).pixels), phash_of(resize(grey, kHashEdge, kHashEdge).pixels)};
}

// Empty unless the picture is complete.
Grey to_grey(const ImageView& image) {
  const std::size_t count = std::size_t{image.width} * image.height;
  if (count == 0 || image.pixels.size() / 3 < count) return {};
  Grey grey{image.width, image.height, std::vector<std::uint8_t>(count)};
  rgb_to_luma(image.pixels.first(count * 3), grey.pixels);
  return grey;
}

Grey mirrored(Grey grey) {
  for (std::size_t y = 0; y < grey.height; ++y) {
    const auto row = grey.pixels.begin() + static_cast<std::ptrdiff_t>(y * grey.width);
    std::reverse(row, row + static_cast<std::ptrdiff_t>(grey.width));
  }
  return grey;
}

Grey rotated_clockwise(const Grey& grey) {
  Grey out{grey.height, grey.width, std::vector<std::uint8_t>(grey.pixels.size())};
  for (std::size_t y = 0; y < grey.height; ++y)
    for (std::size_t x = 0; x < grey.width; ++x)
      out.pixels[x * out.width + grey.height - 1 - y] = grey.pixels[y * grey.width + x];
  return out;
}

}  // namespace

PerceptualHashes perceptual_hashes(const ImageView& image) {
  const Grey grey = to_grey(image);
  return grey.pixels.empty() ? PerceptualHashes{} : hashes_of(grey);
}

PerceptualHashes perceptual_hashes(const CondensedPicture& picture) {
  if (picture.width == 0) return {};
  return {dhash_of(picture.for_dhash), phash_of(picture.for_phash)};
}

std::array<PerceptualHashes, 8> variants(const ImageView& image) {
  std::array<PerceptualHashes, 8> result{};
  Grey grey = to_grey(image);
  if (grey.pixels.empty()) return result;
  for (std::size_t turn = 0; turn < 4; ++turn) {
    result[turn * 2] = hashes_of(grey);
    result[turn * 2 + 1] = hashes_of(mirrored(grey));
    grey = rotated_clockwise(grey);
  }
  return result;
}

std::string to_hex(std::uint64_t hash) { return fmt::format("{:016x}", hash); }

std::optional<std::uint64_t> from_hex(std::string_view hex) {
  std::uint64_t hash = 0;
  const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), hash, 16);
  if (hex.size() != 16 || error != std::errc{} || end != hex.data() + hex.size()) return std::nullopt;
  return hash;
}

}  // namespace image_engine::vision
