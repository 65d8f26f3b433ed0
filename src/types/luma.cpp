#include "types/luma.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <vector>

#include "core/cpu.h"

namespace image_engine {
namespace {

constexpr std::size_t kTile = LumaTiles::kEdge;  // pixels; the last of a row or column has up to twice that
constexpr double kSharpQuantile = 0.95;
constexpr double kNoiseQuantile = 0.10;
// Tile means at which clipping at black or white removes noise.
constexpr double kDarkest = 16, kLightest = 239;

// Sums over the pixels of one tile, or over one row of it.
struct Sums {
  std::int64_t laplacian = 0;
  std::int64_t laplacian_squared = 0;
  std::int64_t gradient = 0;
  std::int64_t noise = 0;
  std::int64_t luma = 0;
  void operator+=(const Sums& other) {
    laplacian += other.laplacian, laplacian_squared += other.laplacian_squared, gradient += other.gradient;
    noise += other.noise, luma += other.luma;
  }
};

// Already widened: the inner loop then works on sixteen 16-bit lanes throughout.
struct Rows {
  const std::int16_t *above, *here, *below;
};

// Up to 2 · kTile pixels from x on, so that the sums of a row stay below 2³¹: no square exceeds 1020². One sum for each
// square, which compilers turn into multiply-and-add.
template <typename Count>
[[gnu::always_inline]] inline Sums add_up(Rows rows, std::size_t x, Count count) {
  std::int32_t laplacian = 0, laplacian_squared = 0, gradient_x = 0, gradient_y = 0, noise = 0, luma = 0;
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
    const std::int16_t gx = narrow(right - left + 2 * (at(b, 1) - at(b, -1)));
    const std::int16_t gy = narrow(at(c, -1) - at(a, -1) + at(c, 1) - at(a, 1) + 2 * (at(c, 0) - at(a, 0)));
    laplacian += l;
    laplacian_squared += l * l;
    gradient_x += gx * gx;
    gradient_y += gy * gy;
    noise += n < 0 ? -n : n;
    luma += centre;
  }
  return {laplacian, laplacian_squared, std::int64_t{gradient_x} + gradient_y, noise, luma};
}

// The tiles of a row of them that are measured: every step-th from `first` on.
struct Measured {
  std::size_t first, step, columns;
};

// One row of pixels of those tiles.
[[gnu::always_inline]] inline void add_row_of_tiles(Rows rows, const Measured& tiles, std::size_t interior,
                                                    Sums* sums) {
  std::size_t t = tiles.first;
  for (; t + 1 < tiles.columns; t += tiles.step)
    sums[t] += add_up(rows, 1 + t * kTile, std::integral_constant<std::size_t, kTile>{});
  if (t + 1 == tiles.columns) sums[t] += add_up(rows, 1 + t * kTile, interior - t * kTile);
}

using AddRow = void (*)(Rows, const Measured&, std::size_t, Sums*);

void add_row_anywhere(Rows rows, const Measured& tiles, std::size_t interior, Sums* sums) {
  add_row_of_tiles(rows, tiles, interior, sums);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void add_row_avx2(Rows rows, const Measured& tiles, std::size_t interior, Sums* sums) {
  add_row_of_tiles(rows, tiles, interior, sums);
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

// Fills what is computed from the measured tiles; there is at least one. `pixels` of them all.
void describe_all(const Sums& whole, const std::vector<Tile>& tiles, double pixels, LumaStatistics& result) {
  result.laplacian_variance = describe(whole, pixels).laplacian_variance;
  result.gradient_energy = static_cast<double>(whole.gradient) / pixels;
  std::vector<double> sharpness;
  for (const Tile& tile : tiles) sharpness.push_back(tile.laplacian_variance);
  result.laplacian_variance_top = quantile(std::move(sharpness), kSharpQuantile);
  result.noise_sigma = noise_of(tiles);
}

Sums sums_of(const LumaCell& cell) {
  return {static_cast<std::int32_t>(cell.laplacian), cell.laplacian_squared,
          std::int64_t{cell.gradient_x} + cell.gradient_y, cell.noise, cell.luma};
}

// The pixels of tile t of `tiles` along an interior of that many.
std::size_t pixels_along(std::size_t t, std::size_t tiles, std::size_t interior) {
  return t + 1 == tiles ? interior - t * kTile : kTile;
}

}  // namespace

struct LumaAccumulator::State {
  State(std::uint32_t wide, std::uint32_t high) : width(wide), height(high), layout(wide, high) {
    for (auto& row : window) row.resize(width);
    if (width >= 3 && height >= 3) row_of_tiles.resize(layout.columns);
  }

  const AddRow add_row = choose_add_row();
  const std::uint32_t width, height;
  const LumaTiles layout;
  std::uint32_t seen = 0;
  // Four tables, so that equal neighbours do not wait for each other's count.
  std::array<std::array<std::uint32_t, 256>, 4> histograms{};
  std::array<std::vector<std::int16_t>, 3> window;  // row y at y modulo 3
  std::vector<Sums> row_of_tiles;                   // empty if the picture is too small
  std::size_t rows_in_tile = 0;
  Sums whole;
  double pixels = 0;
  std::vector<Tile> tiles;

  [[nodiscard]] std::uint32_t tile_row(std::uint32_t y) const { return LumaTiles::at(y, layout.rows); }
  [[nodiscard]] Measured measured(std::uint32_t tile_row) const {
    return {layout.first(tile_row), layout.step, layout.columns};
  }
  // The measured row of tiles that row y belongs to or is a neighbour of. If there are two, all tiles are measured.
  [[nodiscard]] std::optional<std::uint32_t> needed_by(std::uint32_t y) const {
    for (const std::uint32_t row : {tile_row(y < 1 ? 0 : y - 1), tile_row(y + 1)})
      if (layout.measures_row(row)) return row;
    return std::nullopt;
  }

  void count(std::span<const std::uint8_t> luma) {
    std::size_t x = 0;
    for (; x + 4 <= luma.size(); x += 4)
      for (std::size_t i = 0; i < 4; ++i) ++histograms[i][luma[x + i]];
    for (; x < luma.size(); ++x) ++histograms[0][luma[x]];
  }

  // The pixels from `before` ahead of each measured tile's first to as many behind its last.
  template <typename Use>
  void for_tiles(std::uint32_t tile_row, std::size_t before, Use use) const {
    for (std::size_t t = layout.first(tile_row); t < layout.columns; t += layout.step) {
      const std::size_t begin = t == 0 ? 0 : 1 + t * kTile - before;
      const std::size_t end = t + 1 == layout.columns ? width : 1 + (t + 1) * kTile + before;
      use(begin, end);
    }
  }

  void take(std::span<const std::uint8_t> luma) {
    if (const std::uint32_t row = tile_row(seen); layout.measures_row(row))
      for_tiles(row, 0, [&](std::size_t begin, std::size_t end) { count(luma.subspan(begin, end - begin)); });
    if (const auto row = needed_by(seen))
      for_tiles(*row, 1, [&](std::size_t begin, std::size_t end) {
        std::copy(&luma[begin], luma.data() + end, &window[seen % 3][begin]);
      });
  }

  // Row `seen` was taken or skipped: the one before has both its neighbours now.
  void advance() {
    if (++seen < 3 || row_of_tiles.empty()) return;
    const std::uint32_t y = seen - 2, row = tile_row(y);
    if (!layout.measures_row(row)) return;
    const auto at = [&](std::uint32_t of) { return window[of % 3].data(); };
    add_row({at(y - 1), at(y), at(y + 1)}, measured(row), width - 2, row_of_tiles.data());
    ++rows_in_tile;
    if (y % kTile == 0 && row + 1 < layout.rows) close_tiles(row);
  }

  void close_tiles(std::uint32_t row) {
    for (std::size_t t = layout.first(row); t < layout.columns; t += layout.step) {
      const auto size = static_cast<double>(pixels_along(t, layout.columns, width - 2) * rows_in_tile);
      tiles.push_back(describe(row_of_tiles[t], size));
      whole += row_of_tiles[t];
      pixels += size;
    }
    std::fill(row_of_tiles.begin(), row_of_tiles.end(), Sums{});
    rows_in_tile = 0;
  }
};

LumaAccumulator::LumaAccumulator() : state_(std::make_unique<State>(0, 0)) {}
LumaAccumulator::~LumaAccumulator() = default;
LumaAccumulator::LumaAccumulator(LumaAccumulator&&) noexcept = default;
LumaAccumulator& LumaAccumulator::operator=(LumaAccumulator&&) noexcept = default;

void LumaAccumulator::begin(std::uint32_t width, std::uint32_t height) {
  state_ = std::make_unique<State>(width, height);
}

void LumaAccumulator::add_row(std::span<const std::uint8_t> luma) {
  if (luma.size() != state_->width || state_->seen == state_->height) return;
  state_->take(luma);
  state_->advance();
}

bool LumaAccumulator::needs_row() const {
  const State& s = *state_;
  return s.seen < s.height && (s.layout.measures_row(s.tile_row(s.seen)) || s.needed_by(s.seen));
}

void LumaAccumulator::skip_row() {
  if (state_->seen < state_->height) state_->advance();
}

LumaStatistics LumaAccumulator::finish() {
  auto& s = *state_;
  LumaStatistics result;
  result.width = s.width;
  result.height = s.seen;
  for (std::size_t level = 0; level < 256; ++level)
    for (const auto& histogram : s.histograms) result.histogram[level] += histogram[level];
  if (s.rows_in_tile > 0) s.close_tiles(s.tile_row(s.seen - 2));
  if (!s.tiles.empty()) describe_all(s.whole, s.tiles, s.pixels, result);
  return result;
}

LumaStatistics luma_statistics(std::uint32_t width, std::uint32_t height,
                               const std::array<std::uint32_t, 256>& histogram, std::span<const LumaCell> cells) {
  LumaStatistics result{width, height, histogram};
  const std::size_t across = luma_cells_along(width), down = luma_cells_along(height);
  if (across == 0 || down == 0 || cells.size() != across * down) return result;
  const LumaTiles layout(width, height);
  const std::size_t columns = layout.columns, rows = layout.rows;
  std::vector<Sums> sums(columns * rows);
  for (std::size_t y = 0; y < down; ++y)
    for (std::size_t x = 0; x < across; ++x)
      sums[std::min(y, rows - 1) * columns + std::min(x, columns - 1)] += sums_of(cells[y * across + x]);
  std::vector<Tile> tiles;
  Sums whole;
  double pixels = 0;
  for (std::uint32_t row = 0; row < rows; row += layout.step)
    for (std::uint32_t t = layout.first(row); t < columns; t += layout.step) {
      const auto size = static_cast<double>(pixels_along(t, columns, width - 2) * pixels_along(row, rows, height - 2));
      tiles.push_back(describe(sums[row * columns + t], size));
      whole += sums[row * columns + t];
      pixels += size;
    }
  describe_all(whole, tiles, pixels, result);
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
