#include "vision/cut_out.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>

#include "preprocess/resample.h"
#include "vision/in_threads.h"

namespace image_engine::vision {
namespace {

// From one row to before another.
struct Rows {
  std::uint32_t first = 0, end = 0;
};
// And so many on each side, where there are any.
Rows widened(const Rows& rows, std::uint32_t by, std::uint32_t count) {
  return {rows.first - std::min(rows.first, by), std::min(rows.end + by, count)};
}

// Several numbers for each place of a grid, or of some of its rows.
template <std::size_t N>
struct Grid {
  std::uint32_t width = 0, height = 0;  // of the whole grid
  Rows rows;                            // those that are here
  std::vector<std::array<float, N>> cells;
  Grid(std::uint32_t w, std::uint32_t h) : Grid(w, h, Rows{0, h}) {}
  Grid(std::uint32_t w, std::uint32_t h, const Rows& here)
      : width(w), height(h), rows(here), cells(std::size_t{w} * (here.end - here.first)) {}
  [[nodiscard]] const std::array<float, N>* row(std::uint32_t y) const {
    return cells.data() + std::size_t{y - rows.first} * width;
  }
  [[nodiscard]] std::array<float, N>* row(std::uint32_t y) {
    return cells.data() + std::size_t{y - rows.first} * width;
  }
};

// Cells of a window around the i-th of `count` that exist.
std::uint32_t cells_around(std::uint32_t i, std::uint32_t radius, std::uint32_t count) {
  return std::min(i + radius, count - 1) - (i - std::min(i, radius)) + 1;
}

// The means of windows of 2 × radius + 1, of what lies within the grid; of the rows whose windows are here.
template <std::size_t N>
Grid<N> window_means(const Grid<N>& grid, std::uint32_t radius) {
  const Rows& here = grid.rows;
  const Rows inner{here.first == 0 ? 0 : here.first + radius, here.end == grid.height ? here.end : here.end - radius};
  Grid<N> across(grid.width, grid.height, here), result(grid.width, grid.height, inner);
  for (std::uint32_t y = here.first; y < here.end; ++y) {
    const auto* const from = grid.row(y);
    auto* const to = across.row(y);
    std::array<double, N> sum{};
    const auto add = [&](std::uint32_t x, double sign) {
      for (std::size_t k = 0; k < N; ++k) sum[k] += sign * static_cast<double>(from[x][k]);
    };
    for (std::uint32_t x = 0; x < std::min(radius, grid.width); ++x) add(x, 1);
    for (std::uint32_t x = 0; x < grid.width; ++x) {
      if (x + radius < grid.width) add(x + radius, 1);
      if (x > radius) add(x - radius - 1, -1);
      const double share = 1.0 / cells_around(x, radius, grid.width);
      for (std::size_t k = 0; k < N; ++k) to[x][k] = static_cast<float>(sum[k] * share);
    }
  }
  // Down the columns, all of them at once.
  std::vector<std::array<double, N>> sums(grid.width);
  const auto add_row = [&](std::uint32_t y, double sign) {
    const auto* const row = across.row(y);
    for (std::uint32_t x = 0; x < grid.width; ++x)
      for (std::size_t k = 0; k < N; ++k) sums[x][k] += sign * static_cast<double>(row[x][k]);
  };
  const std::uint32_t highest = inner.first - std::min(inner.first, radius);  // of the first window
  for (std::uint32_t y = highest; y < std::min(inner.first + radius, grid.height); ++y) add_row(y, 1);
  for (std::uint32_t y = inner.first; y < inner.end; ++y) {
    if (y + radius < grid.height) add_row(y + radius, 1);
    if (y > inner.first && y > radius) add_row(y - radius - 1, -1);
    const double share = 1.0 / cells_around(y, radius, grid.height);
    auto* const row = result.row(y);
    for (std::uint32_t x = 0; x < grid.width; ++x)
      for (std::size_t k = 0; k < N; ++k) row[x][k] = static_cast<float>(sums[x][k] * share);
  }
  return result;
}

// A picture's pixels between the grid's places, row by row.
template <std::size_t N>
class Interpolated {
 public:
  Interpolated(const Grid<N>& grid, std::uint32_t width, std::uint32_t height)
      : grid_(&grid), height_(height), columns_(width), mixed_(grid.width) {
    for (std::uint32_t x = 0; x < width; ++x) columns_[x] = place(x, width, grid.width);
  }
  void go_to_row(std::uint32_t y) {
    const Place down = place(y, height_, grid_->height);
    const auto *const top = grid_->row(down.first), *const below = grid_->row(down.second);
    for (std::uint32_t x = 0; x < grid_->width; ++x) mixed_[x] = mix(top[x], below[x], down.part);
  }
  // The grid's rows that `count` rows from `first` on of `height` lie between.
  static Rows grid_rows(std::uint32_t first, std::uint32_t count, std::uint32_t height, std::uint32_t cells) {
    return {place(first, height, cells).first, place(first + count - 1, height, cells).second + 1};
  }
  // In that row.
  [[nodiscard]] std::array<float, N> at(std::uint32_t x) const {
    const Place& across = columns_[x];
    return mix(mixed_[across.first], mixed_[across.second], across.part);
  }

 private:
  struct Place {
    std::uint32_t first = 0, second = 0;
    float part = 0;
  };
  static Place place(std::uint32_t i, std::uint32_t count, std::uint32_t cells) {
    const double at = std::clamp((i + 0.5) * cells / count - 0.5, 0.0, cells - 1.0);
    const auto first = static_cast<std::uint32_t>(at);
    return {first, std::min(first + 1, cells - 1), static_cast<float>(at - first)};
  }
  static std::array<float, N> mix(const std::array<float, N>& a, const std::array<float, N>& b, float part) {
    std::array<float, N> out;
    for (std::size_t k = 0; k < N; ++k) out[k] = a[k] + (b[k] - a[k]) * part;
    return out;
  }

  const Grid<N>* grid_;
  std::uint32_t height_;
  std::vector<Place> columns_;
  std::vector<std::array<float, N>> mixed_;
};

std::uint8_t byte_of(float value) { return static_cast<std::uint8_t>(std::clamp(value, 0.0F, 255.0F) + 0.5F); }

// The matte at a size of at most the picture's.
Grid<1> matte_grid(const Matte& matte, std::uint32_t width, std::uint32_t height) {
  Grid<1> grid(width, height);
  if (width == matte.width && height == matte.height) {
    for (std::size_t i = 0; i < grid.cells.size(); ++i) grid.cells[i] = {matte.alpha[i]};
    return grid;
  }
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x) {
      const auto from = [](std::uint32_t i, std::uint32_t of, std::uint32_t cells) {
        return static_cast<std::uint32_t>(std::uint64_t{i} * of / cells);
      };
      const std::uint32_t right = std::max(from(x + 1, matte.width, width), from(x, matte.width, width) + 1),
                          bottom = std::max(from(y + 1, matte.height, height), from(y, matte.height, height) + 1);
      double sum = 0;
      std::uint32_t count = 0;
      for (std::uint32_t row = from(y, matte.height, height); row < bottom; ++row)
        for (std::uint32_t column = from(x, matte.width, width); column < right; ++column, ++count)
          sum += static_cast<double>(matte.alpha[std::size_t{row} * matte.width + column]);
      grid.cells[std::size_t{y} * width + x] = {static_cast<float>(sum / count)};
    }
  return grid;
}

// The picture reduced to the grid, as models see it; 0…1.
Grid<3> reduced(const ImageView& picture, std::uint32_t width, std::uint32_t height) {
  Grid<3> grid(width, height);
  preprocess::Resampler rows(picture, ResampleFilter::kBilinear, {width, height, 0, 0, width, height});
  for (std::uint32_t y = 0; y < height; ++y) {
    const std::span<const std::uint8_t> row = rows.next_row();
    for (std::size_t x = 0; x < width; ++x)
      for (std::size_t c = 0; c < 3; ++c)
        grid.cells[std::size_t{y} * width + x][c] = static_cast<float>(row[x * 3 + c]) / 255;
  }
  return grid;
}

// alpha = a · colour + b
using Linear = std::array<float, 4>;

constexpr double kRegular = 1e-4;      // added to the variance of each channel, 0…1: two levels of noise are ignored
constexpr float kSmoothError = 2e-4F;  // squared errors of interpolation below which it is good enough
constexpr std::uint32_t kFitRadius = 1, kErrorRadius = 2;

// Of the least squares in one window, from its means of: 3 colours, alpha, 6 products of colours, 3 with alpha.
Linear fit(const std::array<float, 13>& m) {
  const auto at = [&](std::size_t i) { return static_cast<double>(m[i]); };
  const double xx = at(4) - at(0) * at(0) + kRegular, xy = at(5) - at(0) * at(1), xz = at(6) - at(0) * at(2),
               yy = at(7) - at(1) * at(1) + kRegular, yz = at(8) - at(1) * at(2), zz = at(9) - at(2) * at(2) + kRegular;
  const double px = at(10) - at(0) * at(3), py = at(11) - at(1) * at(3), pz = at(12) - at(2) * at(3);
  const double c0 = yy * zz - yz * yz, c1 = xz * yz - xy * zz, c2 = xy * yz - xz * yy;
  const double scale = 1 / (xx * c0 + xy * c1 + xz * c2);
  const double a0 = (c0 * px + c1 * py + c2 * pz) * scale;
  const double a1 = (c1 * px + (xx * zz - xz * xz) * py + (xy * xz - xx * yz) * pz) * scale;
  const double a2 = (c2 * px + (xy * xz - xx * yz) * py + (xx * yy - xy * xy) * pz) * scale;
  const double b = at(3) - a0 * at(0) - a1 * at(1) - a2 * at(2);
  return {static_cast<float>(a0), static_cast<float>(a1), static_cast<float>(a2), static_cast<float>(b)};
}

Grid<4> linear_models(const Grid<3>& colours, const Grid<1>& matte, const Rows& rows) {
  Grid<13> products(colours.width, colours.height, widened(rows, 2 * kFitRadius, colours.height));
  const auto* const colour = colours.row(products.rows.first);
  const auto* const alpha = matte.row(products.rows.first);
  for (std::size_t i = 0; i < products.cells.size(); ++i) {
    const auto& [r, g, b] = colour[i];
    const float p = alpha[i][0];
    products.cells[i] = {r, g, b, p, r * r, r * g, r * b, g * g, g * b, b * b, r * p, g * p, b * p};
  }
  products = window_means(products, kFitRadius);
  Grid<4> models(colours.width, colours.height, products.rows);
  std::ranges::transform(products.cells, models.cells.begin(), fit);
  return window_means(models, kFitRadius);
}

// With half as many places each way.
Grid<1> halved(const Grid<1>& matte) {
  Grid<1> half((matte.width + 1) / 2, (matte.height + 1) / 2);
  for (std::uint32_t y = 0; y < half.height; ++y)
    for (std::uint32_t x = 0; x < half.width; ++x) {
      const std::uint32_t right = std::min(2 * x + 1, matte.width - 1), below = std::min(2 * y + 1, matte.height - 1);
      const auto at = [&](std::uint32_t column, std::uint32_t row) {
        return matte.cells[std::size_t{row} * matte.width + column][0];
      };
      half.cells[std::size_t{y} * half.width + x] = {
          (at(2 * x, 2 * y) + at(right, 2 * y) + at(2 * x, below) + at(right, below)) / 4};
    }
  return half;
}

// What the models of all places are made of.
struct Fitting {
  Grid<3> colours;
  Grid<1> matte, half;
};

// The squared errors, around each place, of the models and of interpolation: that of half as many places each way.
Grid<2> squared_errors(const Fitting& given, const Grid<4>& models) {
  Interpolated<1> coarse(given.half, models.width, models.height);
  Grid<2> errors(models.width, models.height, models.rows);
  for (std::uint32_t y = models.rows.first; y < models.rows.end; ++y) {
    coarse.go_to_row(y);
    const auto* const colours = given.colours.row(y);
    const auto* const matte = given.matte.row(y);
    const Linear* const fits = models.row(y);
    auto* const to = errors.row(y);
    for (std::uint32_t x = 0; x < models.width; ++x) {
      const auto& [r, g, b] = colours[x];
      const Linear& m = fits[x];
      const float fitted = m[0] * r + m[1] * g + m[2] * b + m[3] - matte[x][0];
      const float interpolated = coarse.at(x)[0] - matte[x][0];
      to[x] = {fitted * fitted, interpolated * interpolated};
    }
  }
  return window_means(errors, kErrorRadius);
}

// The models of these rows, where they are no better mixed with the matte as it is.
Grid<4> mixed_models(const Fitting& given, const Rows& rows) {
  const std::uint32_t width = given.matte.width, height = given.matte.height;
  const Grid<4> models = linear_models(given.colours, given.matte, widened(rows, kErrorRadius, height));
  const Grid<2> errors = squared_errors(given, models);
  Grid<4> mixed(width, height, rows);
  for (std::uint32_t y = rows.first; y < rows.end; ++y)
    for (std::uint32_t x = 0; x < width; ++x) {
      const auto& [fitted, interpolated] = errors.row(y)[x];
      const float part = interpolated / (interpolated + fitted + kSmoothError);
      Linear& model = mixed.row(y)[x] = models.row(y)[x];
      for (float& number : model) number *= part;
      model[3] += (1 - part) * given.matte.row(y)[x][0];
    }
  return mixed;
}

constexpr std::uint32_t kBandRows = 64;  // of the grid, whose models exist at once in a thread

// The alpha of these rows of the picture.
void refine_rows(const ImageView& picture, const Fitting& given, const Rows& rows, std::uint8_t* alpha) {
  const Grid<4> models = mixed_models(
      given, Interpolated<4>::grid_rows(rows.first, rows.end - rows.first, picture.height, given.matte.height));
  Interpolated<4> places(models, picture.width, picture.height);
  const std::size_t begin = std::size_t{rows.first} * picture.width;
  const std::uint8_t* pixel = picture.pixels.data() + begin * 3;
  std::uint8_t* to = alpha + begin;
  for (std::uint32_t y = rows.first; y < rows.end; ++y) {
    places.go_to_row(y);
    for (std::uint32_t x = 0; x < picture.width; ++x, pixel += 3) {
      const Linear m = places.at(x);
      const float red = pixel[0], green = pixel[1], blue = pixel[2];
      *to++ = byte_of(m[0] * red + m[1] * green + m[2] * blue + m[3] * 255);
    }
  }
}

constexpr int kPure = 16;  // the power of alpha by which places count as wholly foreground
// Windows in places of the grid, and how much each counts: nearer ones first, where they have something.
struct Window {
  std::uint32_t radius;
  float share;
};
constexpr std::array kWindows = {Window{1, 1}, Window{4, 0.05F}, Window{16, 0.002F}};
constexpr float kLeastWeight = 1e-9F, kSlack = 0.02F;
constexpr std::uint32_t kGridEdge = 1024;  // places of the longer edge

using Sums = std::array<float, 8>;  // foreground's colour and weight, background's

Grid<8> sums_of(const ImageView& picture, const std::vector<std::uint8_t>& alpha) {
  std::array<float, 256> weight{};
  for (std::size_t i = 0; i < 256; ++i) weight[i] = std::pow(static_cast<float>(i) / 255, static_cast<float>(kPure));
  const double scale = std::min(1.0, static_cast<double>(kGridEdge) / std::max(picture.width, picture.height));
  const auto places = [&](std::uint32_t edge) { return std::max(1U, static_cast<std::uint32_t>(edge * scale)); };
  Grid<8> grid(places(picture.width), places(picture.height));
  for (std::uint32_t y = 0; y < picture.height; ++y) {
    const std::size_t row = std::uint64_t{y} * grid.height / picture.height * grid.width;
    for (std::uint32_t x = 0; x < picture.width; ++x) {
      const std::size_t i = std::size_t{y} * picture.width + x;
      Sums& sums = grid.cells[row + std::uint64_t{x} * grid.width / picture.width];
      const float inside = weight[alpha[i]], outside = weight[255 - alpha[i]];
      for (std::size_t c = 0; c < 3; ++c) {
        const auto colour = static_cast<float>(picture.pixels[i * 3 + c]);
        sums[c] += inside * colour;
        sums[4 + c] += outside * colour;
      }
      sums[3] += inside;
      sums[7] += outside;
    }
  }
  return grid;
}

// The colours of the foreground and of the background around each place; a weight of 0: there is none.
Grid<8> pure_colours(const ImageView& picture, const std::vector<std::uint8_t>& alpha) {
  const Grid<8> sums = sums_of(picture, alpha);
  Grid<8> colours(sums.width, sums.height);
  for (const Window& window : kWindows) {
    const Grid<8> means = window_means(sums, window.radius);
    for (std::size_t i = 0; i < colours.cells.size(); ++i)
      for (std::size_t k = 0; k < 8; ++k) colours.cells[i][k] += window.share * means.cells[i][k];
  }
  for (Sums& cell : colours.cells)
    for (const std::size_t first : {0, 4}) {
      float& total = cell[first + 3];
      for (std::size_t c = 0; c < 3; ++c) cell[first + c] = total > kLeastWeight ? cell[first + c] / total : 0;
      total = total > kLeastWeight ? 1.0F : 0.0F;
    }
  return colours;
}

// Of a pixel that is partly transparent.
void write_foreground(const std::uint8_t* pixel, float alpha, const Sums& around, std::uint8_t* out) {
  constexpr float kAlmost = 0.5F;  // of the places around it, which are interpolated
  const bool has_both = around[3] > kAlmost && around[7] > kAlmost;
  const float gain = alpha / (alpha * alpha + (1 - alpha) * (1 - alpha) + kSlack);
  for (std::size_t c = 0; c < 3; ++c) {
    const auto shown = static_cast<float>(pixel[c]);
    const float rest = shown - alpha * around[c] - (1 - alpha) * around[4 + c];
    out[c] = has_both ? byte_of(around[c] + gain * rest) : pixel[c];
  }
}

}  // namespace

std::vector<std::uint8_t> interpolate_alpha(const ImageView& picture, const Matte& matte) {
  const Grid<1> grid = matte_grid(matte, std::min(matte.width, picture.width), std::min(matte.height, picture.height));
  Interpolated<1> rows(grid, picture.width, picture.height);
  std::vector<std::uint8_t> alpha;
  alpha.reserve(std::size_t{picture.width} * picture.height);
  for (std::uint32_t y = 0; y < picture.height; ++y) {
    rows.go_to_row(y);
    for (std::uint32_t x = 0; x < picture.width; ++x) alpha.push_back(byte_of(rows.at(x)[0] * 255));
  }
  return alpha;
}

std::vector<std::uint8_t> refine_alpha(const ImageView& picture, const Matte& matte, int threads) {
  const std::uint32_t width = std::min(matte.width, picture.width), height = std::min(matte.height, picture.height);
  const Grid<1> grid = matte_grid(matte, width, height);
  const Fitting given{reduced(picture, width, height), grid, halved(grid)};
  const std::uint32_t bands = (height + kBandRows - 1) / kBandRows;
  const auto edge = [&](std::uint32_t band) {
    return static_cast<std::uint32_t>(std::uint64_t{picture.height} * band / bands);
  };
  std::vector<std::uint8_t> alpha(std::size_t{picture.width} * picture.height);
  std::atomic<std::uint32_t> next = 0;
  in_threads(threads, [&](std::size_t) {
    for (std::uint32_t band = next.fetch_add(1); band < bands; band = next.fetch_add(1))
      refine_rows(picture, given, {edge(band), edge(band + 1)}, alpha.data());
  });
  return alpha;
}

std::vector<std::uint8_t> cut_out(const ImageView& picture, const std::vector<std::uint8_t>& alpha) {
  const Grid<8> colours = pure_colours(picture, alpha);
  Interpolated<8> rows(colours, picture.width, picture.height);
  std::vector<std::uint8_t> out(alpha.size() * 4);
  for (std::uint32_t y = 0; y < picture.height; ++y) {
    const std::size_t begin = std::size_t{y} * picture.width;
    const auto* const first = alpha.data() + begin;
    if (std::all_of(first, first + picture.width, [](std::uint8_t a) { return a == 0; })) continue;
    rows.go_to_row(y);
    for (std::uint32_t x = 0; x < picture.width; ++x) {
      const std::uint8_t* const pixel = picture.pixels.data() + (begin + x) * 3;
      std::uint8_t* const to = out.data() + (begin + x) * 4;
      to[3] = first[x];
      if (first[x] == 255) std::copy_n(pixel, 3, to);
      if (first[x] > 0 && first[x] < 255) write_foreground(pixel, static_cast<float>(first[x]) / 255, rows.at(x), to);
    }
  }
  return out;
}

}  // namespace image_engine::vision
