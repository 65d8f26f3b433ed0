#include "media/resize.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>

#include "media/media.h"

namespace image_engine::media {
namespace {

constexpr double kSupport = 3;  // Lanczos's a
constexpr std::uint8_t kGrey = 128;

double lanczos(double x) {
  if (x <= -kSupport || x >= kSupport) return 0;
  if (x == 0) return 1;
  const double angle = x * std::numbers::pi;
  return kSupport * std::sin(angle) * std::sin(angle / kSupport) / (angle * angle);
}

std::uint8_t to_byte(float value) { return static_cast<std::uint8_t>(std::clamp(value + 0.5F, 0.0F, 255.0F)); }

// The two inner loops.
constexpr size_t kBlock = 32;

// out[i] = sum over k of weights[k] · rows[k][i]; `count` is a multiple of kBlock.
void weigh_rows_anywhere(const std::uint8_t* const* rows, const float* weights, size_t taps, size_t count, float* out) {
  for (size_t left = 0; left < count; left += kBlock) {
    std::array<float, kBlock> sums{};
    for (size_t k = 0; k < taps; ++k)
      for (size_t i = 0; i < kBlock; ++i) sums[i] += weights[k] * static_cast<float>(rows[k][left + i]);
    std::copy(sums.begin(), sums.end(), out + left);
  }
}

using Pixel [[gnu::vector_size(4 * sizeof(float))]] = float;

// The same along a row of RGBx pixels: one pixel.
[[gnu::always_inline]] inline Pixel weigh_pixels(const float* pixels, const float* weights, size_t taps) {
  Pixel even = {}, odd = {};
  const auto at = [&](size_t k) __attribute__((always_inline)) {
    Pixel pixel;
    std::memcpy(&pixel, pixels + k * 4, sizeof pixel);
    return pixel * weights[k];
  };
  size_t k = 0;
  for (; k + 2 <= taps; k += 2) {
    even += at(k);
    odd += at(k + 1);
  }
  if (k < taps) even += at(k);
  return even + odd;
}

struct Across {
  const float* weights;  // stride for each output
  const std::uint32_t* first;
  const std::uint32_t* count;
  size_t stride, width;
};

[[gnu::always_inline]] inline void weigh_columns(const Across& across, const float* pixels, std::uint8_t* out) {
  for (size_t x = 0; x < across.width; ++x) {
    const auto sum =
        weigh_pixels(pixels + size_t{across.first[x]} * 4, across.weights + x * across.stride, across.count[x]);
    for (size_t c = 0; c < 3; ++c) out[x * 3 + c] = to_byte(sum[c]);
  }
}

void expand_anywhere(const std::uint8_t* rgb, size_t width, float* pixels) {
  for (size_t x = 0; x < width; ++x)
    for (size_t c = 0; c < 3; ++c) pixels[x * 4 + c] = rgb[x * 3 + c];
}

// `rgb` is readable for kPadding bytes behind its `in_width` pixels; `pixels` is room for them as RGBx.
struct Kernels {
  void (*across)(const Across&, const std::uint8_t* rgb, size_t in_width, float* pixels, std::uint8_t* out);
  void (*down)(const std::uint8_t* const* rows, const float* weights, size_t taps, size_t count, float* out);
};
constexpr size_t kPadding = 16;

void across_anywhere(const Across& across, const std::uint8_t* rgb, size_t in_width, float* pixels, std::uint8_t* out) {
  expand_anywhere(rgb, in_width, pixels);
  weigh_columns(across, pixels, out);
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void weigh_rows_avx2(const std::uint8_t* const* rows, const float* weights, size_t taps,
                                                 size_t count, float* out) {
  for (size_t left = 0; left < count; left += kBlock) {
    __m256 a = _mm256_setzero_ps(), b = a, c = a, d = a;
    for (size_t k = 0; k < taps; ++k) {
      const std::uint8_t* row = rows[k] + left;
      const __m256 weight = _mm256_set1_ps(weights[k]);
      const auto samples = [&](size_t i) __attribute__((always_inline, target("avx2,fma"))) {
        return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + i))));
      };
      a = _mm256_fmadd_ps(samples(0), weight, a);
      b = _mm256_fmadd_ps(samples(8), weight, b);
      c = _mm256_fmadd_ps(samples(16), weight, c);
      d = _mm256_fmadd_ps(samples(24), weight, d);
    }
    _mm256_storeu_ps(out + left, a);
    _mm256_storeu_ps(out + left + 8, b);
    _mm256_storeu_ps(out + left + 16, c);
    _mm256_storeu_ps(out + left + 24, d);
  }
}

[[gnu::target("avx2,fma")]] void across_avx2(const Across& across, const std::uint8_t* rgb, size_t in_width,
                                             float* pixels, std::uint8_t* out) {
  const __m128i spread = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
  size_t x = 0;
  for (; x + 4 <= in_width; x += 4) {  // reads 16 bytes for 12
    const __m128i four = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(rgb + x * 3)), spread);
    _mm256_storeu_ps(pixels + x * 4, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(four)));
    _mm256_storeu_ps(pixels + x * 4 + 8, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(four, 8))));
  }
  expand_anywhere(rgb + x * 3, in_width - x, pixels + x * 4);
  weigh_columns(across, pixels, out);
}

Kernels choose_kernels() {
  const bool fast = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return fast ? Kernels{across_avx2, weigh_rows_avx2} : Kernels{across_anywhere, weigh_rows_anywhere};
}
#else
Kernels choose_kernels() { return {across_anywhere, weigh_rows_anywhere}; }
#endif

const Kernels kKernels = choose_kernels();

}  // namespace

Size fit(Size full, std::uint32_t max_edge) {
  const auto longer = std::max(full.width, full.height);
  if (max_edge == 0 || longer <= max_edge) return full;
  const auto scaled = [&](std::uint32_t edge) {
    return std::max(1U, static_cast<std::uint32_t>((std::uint64_t{edge} * max_edge * 2 + longer) / (2ULL * longer)));
  };
  return {scaled(full.width), scaled(full.height)};
}

RowResizer::Taps::Taps(std::uint32_t in, std::uint32_t out, double extent) : first(out), count(out) {
  const double scale = extent / out;
  const double filter_scale = std::max(scale, 1.0);
  const double support = kSupport * filter_scale;
  stride = std::min(in, static_cast<std::uint32_t>(std::ceil(support)) * 2 + 1);
  weights.assign(size_t{out} * stride, 0.0F);
  std::vector<double> row(stride);
  for (std::uint32_t i = 0; i < out; ++i) {
    const double centre = (i + 0.5) * scale;
    const auto begin = static_cast<std::uint32_t>(std::clamp(centre - support + 0.5, 0.0, double(in - 1)));
    const auto end = static_cast<std::uint32_t>(std::clamp(centre + support + 0.5, begin + 1.0, double(in)));
    first[i] = begin;
    count[i] = std::min(end - begin, stride);
    double sum = 0;
    for (std::uint32_t k = 0; k < count[i]; ++k) sum += row[k] = lanczos((begin + k - centre + 0.5) / filter_scale);
    for (std::uint32_t k = 0; k < count[i]; ++k) weights[size_t{i} * stride + k] = static_cast<float>(row[k] / sum);
  }
}

RowResizer::RowResizer(Size in, Size out, double extent_width, double extent_height)
    : in_(in),
      out_(out),
      copy_(in == out && extent_width == in.width && extent_height == in.height),
      across_(in.width, copy_ ? 1 : out.width, extent_width),
      down_(in.height, copy_ ? 1 : out.height, extent_height) {
  image_ = {out.width, out.height, std::vector<std::uint8_t>(size_t{out.width} * out.height * 3, kGrey)};
  if (copy_) return;
  row_.resize(size_t{in.width} * 3 + kPadding);
  expanded_.resize(size_t{in.width} * 4);
  ring_bytes_ = (image_.row_bytes() + kBlock - 1) / kBlock * kBlock;
  ring_.resize(size_t{down_.stride} * ring_bytes_);
  rows_.resize(down_.stride);
  weighed_.resize(ring_bytes_);
}

void RowResizer::watch(LumaAccumulator* luma) {
  luma_ = luma;
  if (luma_ == nullptr) return;
  luma_->begin(in_.width, in_.height);
  luma_row_.resize(in_.width);
}

std::uint8_t* RowResizer::next_row() {
  return copy_ ? image_.pixels.data() + std::min(rows_in_, out_.height - 1) * image_.row_bytes() : row_.data();
}

void RowResizer::commit_row() {
  if (rows_in_ >= in_.height) return;
  if (luma_ != nullptr) {
    rgb_to_luma({next_row(), size_t{in_.width} * 3}, luma_row_);
    luma_->add_row(luma_row_);
  }
  if (!copy_) {
    const Across across{across_.weights.data(), across_.first.data(), across_.count.data(), across_.stride, out_.width};
    kKernels.across(across, row_.data(), in_.width, expanded_.data(),
                    ring_.data() + rows_in_ % down_.stride * ring_bytes_);
  }
  ++rows_in_;
  while (!copy_ && rows_out_ < out_.height && down_.first[rows_out_] + down_.count[rows_out_] <= rows_in_)
    make_row(rows_out_++);
}

Image RowResizer::finish() {
  luma_ = nullptr;  // what never came is not part of the picture
  std::fill(row_.begin(), row_.end(), kGrey);
  while (!copy_ && rows_in_ < in_.height) commit_row();
  return std::move(image_);
}

void RowResizer::make_row(std::uint32_t y) {
  const std::uint32_t taps = down_.count[y];
  for (std::uint32_t k = 0; k < taps; ++k) rows_[k] = ring_.data() + (down_.first[y] + k) % down_.stride * ring_bytes_;
  kKernels.down(rows_.data(), down_.weights.data() + size_t{y} * down_.stride, taps, ring_bytes_, weighed_.data());
  std::transform(weighed_.begin(), weighed_.begin() + static_cast<std::ptrdiff_t>(image_.row_bytes()),
                 image_.pixels.begin() + static_cast<std::ptrdiff_t>(y * image_.row_bytes()), to_byte);
}

Image apply_orientation(Image image, std::uint32_t orientation) {
  if (orientation < 2 || orientation > 8) return image;
  // Where the stored picture's x and y steps go in the upright one (TIFF 6.0, Orientation: row 0 and column 0 are…).
  struct Turn {
    bool transpose, flip_x, flip_y;
  };
  static constexpr Turn kTurns[] = {{false, true, false}, {false, true, true}, {false, false, true},
                                    {true, false, false}, {true, true, false}, {true, true, true},
                                    {true, false, true}};
  const Turn turn = kTurns[orientation - 2];
  const Size size = upright({image.width, image.height}, orientation);
  Image out{size.width, size.height, std::vector<std::uint8_t>(image.pixels.size())};
  const auto source_width = image.width;
  constexpr std::uint32_t kTile = 32;  // a transposition walks one side down columns: stay within the cache
  for (std::uint32_t top = 0; top < size.height; top += kTile)
    for (std::uint32_t left = 0; left < size.width; left += kTile)
      for (std::uint32_t y = top; y < std::min(top + kTile, size.height); ++y)
        for (std::uint32_t x = left; x < std::min(left + kTile, size.width); ++x) {
          const auto u = turn.flip_x ? size.width - 1 - x : x, v = turn.flip_y ? size.height - 1 - y : y;
          const size_t from = turn.transpose ? size_t{u} * source_width + v : size_t{v} * source_width + u;
          std::memcpy(&out.pixels[(size_t{y} * size.width + x) * 3], &image.pixels[from * 3], 3);
        }
  return out;
}

Image resize_to_fit(const Image& image, std::uint32_t max_edge) {
  const Size full{image.width, image.height};
  const Size wanted = fit(full, max_edge);
  if (wanted == full) return image;
  RowResizer resizer(full, wanted);
  for (std::uint32_t y = 0; y < image.height; ++y) {
    std::copy_n(image.pixels.data() + y * image.row_bytes(), image.row_bytes(), resizer.next_row());
    resizer.commit_row();
  }
  return resizer.finish();
}

}  // namespace image_engine::media
