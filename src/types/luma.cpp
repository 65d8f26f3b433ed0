#include "types/luma.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "core/cpu.h"

namespace image_engine {
namespace {

constexpr std::size_t kTile =
    LumaCell::kEdge;  // pixels; the last of a row or column includes the remainder, up to twice that
constexpr double kSharpQuantile = 0.95;
constexpr double kNoiseQuantile = 0.10;
// Tile means at which clipping at black or white removes noise.
constexpr double kDarkest = 16, kLightest = 239;

// Sums over the pixels of one tile, or over one row of it.
struct Sums {
  std::int64_t laplacian = 0;
  std::int64_t laplacian_squared = 0;
  std::int64_t noise = 0;
  std::int64_t luma = 0;
  void operator+=(const Sums& other) {
    laplacian += other.laplacian, laplacian_squared += other.laplacian_squared;
    noise += other.noise, luma += other.luma;
  }
};

// Already widened: the inner loop then works on sixteen 16-bit lanes throughout.
struct Rows {
  const std::int16_t *above, *here, *below;
};

// Up to 2 · kTile pixels from x on, so that the sums of a row stay below 2³¹: no square exceeds 1020².
template <typename Count>
[[gnu::always_inline]] inline Sums add_up(Rows rows, std::size_t x, Count count) {
  std::int32_t laplacian = 0, laplacian_squared = 0, noise = 0, luma = 0;
  const std::int16_t *a = rows.above + x, *b = rows.here + x, *c = rows.below + x;
  for (std::size_t i = 0; i < count; ++i) {
    const auto at = [i](const std::int16_t* row, int step) {
      return static_cast<std::int16_t>(row[static_cast<std::ptrdiff_t>(i) + step]);
    };
    const auto narrow = [](int value) { return static_cast<std::int16_t>(value); };
    const std::int16_t left = narrow(at(a, -1) + at(c, -1)), right = narrow(at(a, 1) + at(c, 1));
    const std::int16_t middle = narrow(at(a, 0) + at(c, 0)), sides = narrow(at(b, -1) + at(b, 1));
    const std::int16_t centre = narrow(at(b, 0));
    const std::int16_t cross = narrow(middle + sides), corners = narrow(left + right);
    const std::int16_t l = narrow(cross - 4 * centre);
    const std::int16_t n = narrow(corners - 2 * cross + 4 * centre);
    laplacian += l;
    laplacian_squared += l * l;
    noise += n < 0 ? -n : n;
    luma += centre;
  }
  return {laplacian, laplacian_squared, noise, luma};
}

// One row of all tiles.
[[gnu::always_inline]] inline void add_row_of_tiles(Rows rows, std::size_t columns, std::size_t interior, Sums* tiles) {
  for (std::size_t t = 0; t + 1 < columns; ++t)
    tiles[t] += add_up(rows, 1 + t * kTile, std::integral_constant<std::size_t, kTile>{});
  const std::size_t last = (columns - 1) * kTile;
  tiles[columns - 1] += add_up(rows, 1 + last, interior - last);
}

using AddRow = void (*)(Rows, std::size_t, std::size_t, Sums*);

void add_row_anywhere(Rows rows, std::size_t columns, std::size_t interior, Sums* tiles) {
  add_row_of_tiles(rows, columns, interior, tiles);
}

#if defined(__x86_64__)
#define IE_AVX2 gnu::target("avx2")

using LumaLanes = __m256i;
constexpr std::size_t kLumaLanes = 16;

[[IE_AVX2]] inline LumaLanes load_lanes(const std::int16_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const LumaLanes*>(from));
}
[[IE_AVX2]] inline LumaLanes add_lanes(LumaLanes a, LumaLanes b) { return _mm256_add_epi16(a, b); }
[[IE_AVX2]] inline LumaLanes sum_of_lanes(const std::int16_t* a, const std::int16_t* b) {
  return add_lanes(load_lanes(a), load_lanes(b));
}

// add_up() of one tile's kTile pixels. Sums of four lanes, the largest of which is below 2041, have room in 16 bits.
[[IE_AVX2]] inline Sums add_up_avx2(Rows rows, std::size_t x) {
  LumaLanes laplacian = _mm256_setzero_si256(), laplacian_squared = laplacian, noise = laplacian, luma = laplacian;
  for (std::size_t i = x; i < x + kTile; i += kLumaLanes) {
    const std::int16_t *a = rows.above + i, *b = rows.here + i, *c = rows.below + i;
    const LumaLanes centre = load_lanes(b);
    const LumaLanes corners = add_lanes(sum_of_lanes(a - 1, c - 1), sum_of_lanes(a + 1, c + 1));
    const LumaLanes cross = add_lanes(sum_of_lanes(a, c), sum_of_lanes(b - 1, b + 1));
    const LumaLanes l = _mm256_sub_epi16(cross, _mm256_slli_epi16(centre, 2));
    const LumaLanes n = _mm256_sub_epi16(_mm256_sub_epi16(corners, cross), l);
    laplacian = add_lanes(laplacian, l);
    noise = add_lanes(noise, _mm256_abs_epi16(n));
    luma = add_lanes(luma, centre);
    laplacian_squared = _mm256_add_epi32(laplacian_squared, _mm256_madd_epi16(l, l));
  }
  const LumaLanes ones = _mm256_set1_epi16(1);
  const LumaLanes pairs = _mm256_hadd_epi32(_mm256_madd_epi16(laplacian, ones), laplacian_squared);
  const LumaLanes more = _mm256_hadd_epi32(_mm256_madd_epi16(noise, ones), _mm256_madd_epi16(luma, ones));
  const LumaLanes four = _mm256_hadd_epi32(pairs, more);
  const __m128i sums = _mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
  return {_mm_extract_epi32(sums, 0), _mm_extract_epi32(sums, 1), _mm_extract_epi32(sums, 2),
          _mm_extract_epi32(sums, 3)};
}

// As add_row_of_tiles().
[[IE_AVX2]] void add_row_avx2(Rows rows, std::size_t columns, std::size_t interior, Sums* tiles) {
  for (std::size_t t = 0; t + 1 < columns; ++t) tiles[t] += add_up_avx2(rows, 1 + t * kTile);
  const std::size_t last = (columns - 1) * kTile;
  tiles[columns - 1] += add_up(rows, 1 + last, interior - last);
}
AddRow choose_add_row() { return cpu_uses(CpuLevel::kAvx2) ? add_row_avx2 : add_row_anywhere; }
#else
AddRow choose_add_row() { return add_row_anywhere; }
#endif

struct Tile {
  double laplacian_variance = 0;
  double noise_sigma = 0;
  double mean = 0;
};

double variance(double sum, double squares, double count) {
  const double mean = sum / count;
  return std::max(0.0, squares / count - mean * mean);
}

Tile describe(const Sums& sums, double count) {
  return {variance(static_cast<double>(sums.laplacian), static_cast<double>(sums.laplacian_squared), count),
          std::sqrt(std::numbers::pi / 2) / 6 * static_cast<double>(sums.noise) / count,
          static_cast<double>(sums.luma) / count};
}

// By nearest rank; 0 if empty.
double quantile(std::vector<double> values, double fraction) {
  if (values.empty()) return 0;
  const auto rank = static_cast<std::ptrdiff_t>(std::lround(fraction * static_cast<double>(values.size() - 1)));
  std::nth_element(values.begin(), values.begin() + rank, values.end());
  return values[static_cast<std::size_t>(rank)];
}

double noise_of(const std::vector<Tile>& tiles) {
  std::vector<double> all, usable;
  for (const Tile& tile : tiles) {
    all.push_back(tile.noise_sigma);
    if (tile.mean >= kDarkest && tile.mean <= kLightest) usable.push_back(tile.noise_sigma);
  }
  return quantile(std::move(usable.empty() ? all : usable), kNoiseQuantile);
}

std::size_t tiles_along(std::size_t interior) { return std::max<std::size_t>(1, interior / kTile); }

// Fills what is computed from tiles; there is at least one. `pixels` of them all.
void describe_all(const Sums& whole, const std::vector<Tile>& tiles, double pixels, LumaStatistics& result) {
  result.laplacian_variance = describe(whole, pixels).laplacian_variance;
  std::vector<double> sharpness;
  for (const Tile& tile : tiles) sharpness.push_back(tile.laplacian_variance);
  result.laplacian_variance_top = quantile(std::move(sharpness), kSharpQuantile);
  result.noise_sigma = noise_of(tiles);
}

Sums sums_of(const LumaCell& cell) {
  return {static_cast<std::int32_t>(cell.laplacian), cell.laplacian_squared, cell.noise, cell.luma};
}

// The pixels of tile t of `tiles` along an interior of that many.
std::size_t pixels_along(std::size_t t, std::size_t tiles, std::size_t interior) {
  return t + 1 == tiles ? interior - t * kTile : kTile;
}

}  // namespace

struct LumaAccumulator::State {
  const AddRow add_row = choose_add_row();
  std::size_t width = 0, height = 0, seen = 0;
  std::array<std::uint32_t, 256> odd_ones{};                                // of pixels that are in no pair
  std::vector<std::uint32_t> pairs = std::vector<std::uint32_t>(1U << 16);  // how often two neighbours are these
  std::array<std::vector<std::int16_t>, 3> window;                          // row y at y modulo 3
  std::vector<Sums> row_of_tiles;
  std::size_t tile_rows = 0, rows_in_tile = 0;
  Sums whole;
  std::vector<Tile> tiles;

  // Two pixels at once. In flat areas each count would wait for the one before, so that eight equal ones count at once.
  void count(std::span<const std::uint8_t> luma) {
    std::uint32_t* const table = pairs.data();
    std::size_t x = 0;
    for (; x + 8 <= luma.size(); x += 8) {
      std::uint64_t eight;
      std::memcpy(&eight, luma.data() + x, sizeof eight);
      if (eight == std::rotl(eight, 16)) {
        table[eight & 0xFFFF] += 4;
        continue;
      }
      for (unsigned i = 0; i < 4; ++i) ++table[(eight >> (16 * i)) & 0xFFFF];
    }
    for (; x < luma.size(); ++x) ++odd_ones[luma[x]];
  }

  [[nodiscard]] std::array<std::uint32_t, 256> histogram() const {
    std::array<std::uint32_t, 256> counts = odd_ones;
    for (std::size_t one = 0; one < 256; ++one)
      for (std::size_t other = 0; other < 256; ++other) {
        counts[one] += pairs[one * 256 + other];
        counts[other] += pairs[one * 256 + other];
      }
    return counts;
  }

  // The row before the last one seen has both its neighbours now.
  void add_middle_row() {
    const auto row = [&](std::size_t y) { return window[y % 3].data(); };
    add_row({row(seen - 3), row(seen - 2), row(seen - 1)}, row_of_tiles.size(), width - 2, row_of_tiles.data());
    ++rows_in_tile;
    const std::size_t done = (seen - 2) / kTile;  // whole tile rows so far
    if ((seen - 2) % kTile == 0 && done < tile_rows) close_tiles();
  }

  void close_tiles() {
    for (std::size_t t = 0; t < row_of_tiles.size(); ++t) {
      const bool last = t + 1 == row_of_tiles.size();
      const std::size_t across = last ? width - 2 - t * kTile : kTile;
      tiles.push_back(describe(row_of_tiles[t], static_cast<double>(across * rows_in_tile)));
      whole += row_of_tiles[t];
    }
    std::fill(row_of_tiles.begin(), row_of_tiles.end(), Sums{});
    rows_in_tile = 0;
  }
};

LumaAccumulator::LumaAccumulator() : state_(std::make_unique<State>()) {}
LumaAccumulator::~LumaAccumulator() = default;
LumaAccumulator::LumaAccumulator(LumaAccumulator&&) noexcept = default;
LumaAccumulator& LumaAccumulator::operator=(LumaAccumulator&&) noexcept = default;

void LumaAccumulator::begin(std::uint32_t width, std::uint32_t height) {
  state_ = std::make_unique<State>();
  auto& s = *state_;
  s.width = width;
  s.height = height;
  for (auto& row : s.window) row.resize(width);
  if (width < 3 || height < 3) return;
  s.tile_rows = tiles_along(height - 2);
  s.row_of_tiles.resize(tiles_along(width - 2));
}

void LumaAccumulator::add_row(std::span<const std::uint8_t> luma) {
  auto& s = *state_;
  if (luma.size() != s.width || s.seen == s.height) return;
  s.count(luma);
  std::copy(luma.begin(), luma.end(), s.window[s.seen % 3].begin());
  ++s.seen;
  if (s.seen >= 3 && s.width >= 3) s.add_middle_row();
}

LumaStatistics LumaAccumulator::finish() {
  auto& s = *state_;
  LumaStatistics result;
  result.width = static_cast<std::uint32_t>(s.width);
  result.height = static_cast<std::uint32_t>(s.seen);
  result.histogram = s.histogram();
  if (s.rows_in_tile > 0) s.close_tiles();
  if (s.tiles.empty()) return result;

  describe_all(s.whole, s.tiles, static_cast<double>((s.width - 2) * (s.seen - 2)), result);
  return result;
}

LumaStatistics luma_statistics(std::uint32_t width, std::uint32_t height,
                               const std::array<std::uint32_t, 256>& histogram, std::span<const LumaCell> cells) {
  LumaStatistics result{width, height, histogram};
  const std::size_t across = luma_cells_along(width), down = luma_cells_along(height);
  if (across == 0 || down == 0 || cells.size() != across * down) return result;
  const std::size_t wide = width - 2, high = height - 2, columns = tiles_along(wide), rows = tiles_along(high);
  std::vector<Sums> sums(columns * rows);
  Sums whole;
  for (std::size_t y = 0; y < down; ++y)
    for (std::size_t x = 0; x < across; ++x) {
      const Sums cell = sums_of(cells[y * across + x]);
      sums[std::min(y, rows - 1) * columns + std::min(x, columns - 1)] += cell;
      whole += cell;
    }
  std::vector<Tile> tiles;
  for (std::size_t t = 0; t < sums.size(); ++t)
    tiles.push_back(describe(sums[t], static_cast<double>(pixels_along(t % columns, columns, wide) *
                                                          pixels_along(t / columns, rows, high))));
  describe_all(whole, tiles, static_cast<double>(wide * high), result);
  return result;
}

namespace {

[[gnu::always_inline]] inline void to_luma(const std::uint8_t* rgb, std::size_t pixels, std::uint8_t* luma) {
  for (std::size_t i = 0; i < pixels; ++i) luma[i] = luma_of(rgb[i * 3], rgb[i * 3 + 1], rgb[i * 3 + 2]);
}
void to_luma_anywhere(const std::uint8_t* rgb, std::size_t pixels, std::uint8_t* luma) { to_luma(rgb, pixels, luma); }
#if defined(__x86_64__)
[[gnu::target("avx2")]] void to_luma_avx2(const std::uint8_t* rgb, std::size_t pixels, std::uint8_t* luma) {
  to_luma(rgb, pixels, luma);
}
#else
constexpr auto to_luma_avx2 = to_luma_anywhere;
#endif

}  // namespace

void rgb_to_luma(std::span<const std::uint8_t> rgb, std::span<std::uint8_t> luma) {
  static const auto kToLuma = cpu_uses(CpuLevel::kAvx2) ? to_luma_avx2 : to_luma_anywhere;
  kToLuma(rgb.data(), std::min(rgb.size() / 3, luma.size()), luma.data());
}

}  // namespace image_engine
