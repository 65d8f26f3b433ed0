#include "media/resize.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cstring>

#include "core/cpu.h"
#include "media/media.h"

namespace image_engine::media {
namespace {

constexpr std::uint8_t kGrey = 128;

Taps lanczos_taps(std::uint32_t in, double extent, std::uint32_t out) {
  return make_taps(ResampleFilter::kLanczos, {in, extent, out}, 0, out);
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

// Weights of every output column, and where they begin.
struct Across {
  const float* weights;  // stride for each output
  const std::uint32_t* first;
  const std::uint32_t* count;
  size_t stride, width;
};

// Two rows at once, so that one load of a weight serves both. Each is readable for kPadding bytes behind its pixels
// and `out` writable for one byte behind its own; `pixels` is room for kFloats floats an input pixel.
struct TwoRows {
  const std::uint8_t* in[2];
  std::uint8_t* out[2];
  size_t in_width;
  float* pixels;
};
constexpr size_t kPadding = 16;
constexpr size_t kFloats = 8;

void across_anywhere(const Across& across, const TwoRows& rows) {
  for (size_t row = 0; row < 2; ++row)
    for (size_t x = 0; x < across.width; ++x) {
      const float* weight = across.weights + x * across.stride;
      const std::uint8_t* pixel = rows.in[row] + size_t{across.first[x]} * 3;
      std::array<float, 3> sum{};
      for (size_t k = 0; k < across.count[x]; ++k)
        for (size_t c = 0; c < 3; ++c) sum[c] += weight[k] * static_cast<float>(pixel[k * 3 + c]);
      for (size_t c = 0; c < 3; ++c) rows.out[row][x * 3 + c] = to_byte(sum[c]);
    }
}

struct Kernels {
  void (*across)(const Across&, const TwoRows&);
  void (*down)(const std::uint8_t* const* rows, const float* weights, size_t taps, size_t count, float* out);
};

#if defined(__x86_64__)
#define IE_AVX2 gnu::target("avx2,fma")

// The low eight bytes.
[[IE_AVX2]] inline __m256 floats_of(__m128i bytes) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)); }

// Four pixels of three bytes as four of four, the last zero. Reads 16 bytes.
[[IE_AVX2]] inline __m128i spread_pixels(const std::uint8_t* rgb) {
  const __m128i spread = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
  return _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(rgb)), spread);
}

[[IE_AVX2]] void weigh_rows_avx2(const std::uint8_t* const* rows, const float* weights, size_t taps, size_t count,
                                 float* out) {
  for (size_t left = 0; left < count; left += kBlock) {
    __m256 a = _mm256_setzero_ps(), b = a, c = a, d = a;
    for (size_t k = 0; k < taps; ++k) {
      const std::uint8_t* row = rows[k] + left;
      const __m256 weight = _mm256_set1_ps(weights[k]);
      a = _mm256_fmadd_ps(floats_of(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + 0))), weight, a);
      b = _mm256_fmadd_ps(floats_of(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + 8))), weight, b);
      c = _mm256_fmadd_ps(floats_of(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + 16))), weight, c);
      d = _mm256_fmadd_ps(floats_of(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + 24))), weight, d);
    }
    _mm256_storeu_ps(out + left, a);
    _mm256_storeu_ps(out + left + 8, b);
    _mm256_storeu_ps(out + left + 16, c);
    _mm256_storeu_ps(out + left + 24, d);
  }
}

// Pixel x of both rows as eight floats: RGBx of the first, RGBx of the second. Four pixels at a time, for which 16
// bytes of each row are read.
[[IE_AVX2]] void expand_avx2(const TwoRows& rows) {
  for (size_t x = 0; x < rows.in_width; x += 4) {
    const __m128i first = spread_pixels(rows.in[0] + x * 3), second = spread_pixels(rows.in[1] + x * 3);
    const __m256 a = floats_of(first), b = floats_of(second);
    const __m256 c = floats_of(_mm_srli_si128(first, 8)), d = floats_of(_mm_srli_si128(second, 8));
    float* out = rows.pixels + x * kFloats;
    _mm256_storeu_ps(out, _mm256_permute2f128_ps(a, b, 0x20));
    _mm256_storeu_ps(out + 8, _mm256_permute2f128_ps(a, b, 0x31));
    _mm256_storeu_ps(out + 16, _mm256_permute2f128_ps(c, d, 0x20));
    _mm256_storeu_ps(out + 24, _mm256_permute2f128_ps(c, d, 0x31));
  }
}

[[IE_AVX2]] void across_avx2(const Across& across, const TwoRows& rows) {
  expand_avx2(rows);
  for (size_t x = 0; x < across.width; ++x) {
    const float* pixel = rows.pixels + size_t{across.first[x]} * kFloats;
    const float* weight = across.weights + x * across.stride;
    const size_t taps = across.count[x];
    __m256 even = _mm256_setzero_ps(), odd = even;
    size_t k = 0;
    for (; k + 2 <= taps; k += 2) {
      even = _mm256_fmadd_ps(_mm256_loadu_ps(pixel + k * kFloats), _mm256_set1_ps(weight[k]), even);
      odd = _mm256_fmadd_ps(_mm256_loadu_ps(pixel + (k + 1) * kFloats), _mm256_set1_ps(weight[k + 1]), odd);
    }
    if (k < taps) even = _mm256_fmadd_ps(_mm256_loadu_ps(pixel + k * kFloats), _mm256_set1_ps(weight[k]), even);
    const __m256i sums = _mm256_cvtps_epi32(_mm256_add_ps(even, odd));
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    const __m128i bytes = _mm_packus_epi16(words, words);
    // Four bytes for three: the fourth is overwritten by the next pixel, or lies in the padding.
    const int first = _mm_cvtsi128_si32(bytes), second = _mm_extract_epi32(bytes, 1);
    std::memcpy(rows.out[0] + x * 3, &first, sizeof first);
    std::memcpy(rows.out[1] + x * 3, &second, sizeof second);
  }
}

Kernels choose_kernels() {
  return cpu_uses(CpuLevel::kAvx2) ? Kernels{across_avx2, weigh_rows_avx2}
                                   : Kernels{across_anywhere, weigh_rows_anywhere};
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

RowResizer::RowResizer(Size in, Size out, double extent_width, double extent_height)
    : in_(in),
      out_(out),
      copy_(in == out && extent_width == in.width && extent_height == in.height),
      across_(lanczos_taps(in.width, extent_width, copy_ ? 1 : out.width)),
      down_(lanczos_taps(in.height, extent_height, copy_ ? 1 : out.height)) {
  image_ = {out.width, out.height, std::vector<std::uint8_t>(size_t{out.width} * out.height * 3, kGrey)};
  if (copy_) return;
  for (auto& row : pair_) row.resize(size_t{in.width} * 3 + kPadding);
  expanded_.resize((size_t{in.width} + 3) / 4 * 4 * kFloats);
  ring_bytes_ = (image_.row_bytes() + kBlock) / kBlock * kBlock;
  spare_.resize(ring_bytes_);
  ring_rows_ = down_.stride + 1;  // rows come in pairs: one may be early
  ring_.resize(ring_rows_ * ring_bytes_);
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
  if (copy_) return image_.pixels.data() + std::min(rows_in_, out_.height - 1) * image_.row_bytes();
  return pair_[rows_in_ % 2].data();
}

void RowResizer::commit_row() {
  if (rows_in_ >= in_.height) return;
  if (luma_ != nullptr) {
    rgb_to_luma({next_row(), size_t{in_.width} * 3}, luma_row_);
    luma_->add_row(luma_row_);
  }
  ++rows_in_;
  if (copy_ || (rows_in_ % 2 != 0 && rows_in_ < in_.height)) return;
  reduce_pair();
  while (rows_out_ < out_.height && down_.first[rows_out_] + down_.count[rows_out_] <= rows_in_) make_row(rows_out_++);
}

// The last two rows, or the last one where the height is odd, into the ring.
void RowResizer::reduce_pair() {
  const auto in_ring = [&](std::uint32_t y) { return ring_.data() + y % ring_rows_ * ring_bytes_; };
  const std::uint32_t first = (rows_in_ - 1) / 2 * 2;
  const bool both = first + 1 < rows_in_;
  const Across across{across_.weights.data(), across_.first.data(), across_.count.data(), across_.stride, out_.width};
  kKernels.across(across, {{pair_[0].data(), pair_[1].data()},
                           {in_ring(first), both ? in_ring(first + 1) : spare_.data()},
                           in_.width,
                           expanded_.data()});
}

Image RowResizer::finish() {
  luma_ = nullptr;  // what never came is not part of the picture
  while (!copy_ && rows_in_ < in_.height) {
    std::fill_n(next_row(), size_t{in_.width} * 3, kGrey);
    commit_row();
  }
  return std::move(image_);
}

void RowResizer::make_row(std::uint32_t y) {
  const std::uint32_t taps = down_.count[y];
  for (std::uint32_t k = 0; k < taps; ++k) rows_[k] = ring_.data() + (down_.first[y] + k) % ring_rows_ * ring_bytes_;
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
