// Mean colours of a picture's squares: what is left of it when its detail must not show.
#pragma once

#include <image_engine/plugin.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace shipped {

// In pixels; within the picture.
struct Area {
  std::uint32_t x = 0, y = 0, width = 0, height = 0;
};

struct Colour {
  float red = 0, green = 0, blue = 0;
};

inline Area whole(const ie_picture& picture) { return {0, 0, picture.width, picture.height}; }

inline std::uint8_t* pixel(const ie_picture& picture, std::uint32_t x, std::uint32_t y) {
  return picture.pixels + y * picture.row_bytes + std::size_t{x} * picture.format;
}

inline Colour colour_at(const ie_picture& picture, std::uint32_t x, std::uint32_t y) {
  const std::uint8_t* at = pixel(picture, x, y);
  return {static_cast<float>(at[0]), static_cast<float>(at[1]), static_cast<float>(at[2])};
}

inline void put(std::uint8_t* at, const Colour& colour) {
  const auto level = [](float value) { return static_cast<std::uint8_t>(std::clamp(value + 0.5F, 0.0F, 255.0F)); };
  at[0] = level(colour.red), at[1] = level(colour.green), at[2] = level(colour.blue);
}

// `a` and `b` in shares of 1 - t and t.
inline Colour mixed(const Colour& a, const Colour& b, float t) {
  return {a.red + (b.red - a.red) * t, a.green + (b.green - a.green) * t, a.blue + (b.blue - a.blue) * t};
}

// Colours come out of the means alone, so nothing that is smaller than a square can be found in them again.
class ColourField {
 public:
  // Of an area of an IE_RGB8 picture, in squares of `side` pixels from its top left corner; weight(x, y) is a pixel's
  // share in its square's mean, 0 to 255.
  template <typename Weight>
  ColourField(const ie_picture& picture, const Area& area, std::uint32_t side, Weight weight)
      : area_(area),
        side_(side),
        columns_((area.width + side - 1) / side),
        rows_((area.height + side - 1) / side),
        cells_(std::size_t{columns_} * rows_) {
    for (std::uint32_t y = 0; y < area.height; ++y) {
      Cell* row = &cells_[std::size_t{y / side} * columns_];
      for (std::uint32_t x = 0; x < area.width; ++x) {
        const std::uint32_t at_x = area.x + x, at_y = area.y + y;
        if (const int share = weight(at_x, at_y); share > 0) row[x / side].add(colour_at(picture, at_x, at_y), share);
      }
    }
    for (Cell& cell : cells_) cell.divide();
    fill_gaps();
  }

  // Blends each square with its neighbours.
  void soften(int times) {
    for (; times > 0; --times) {
      const std::vector<Cell> before = cells_;
      each([&](std::uint32_t column, std::uint32_t row, Cell& cell) { cell = around(before, column, row, true); });
    }
  }

  // Of the square in which the picture's pixel lies.
  [[nodiscard]] Colour square(std::uint32_t x, std::uint32_t y) const {
    return cells_[std::size_t{(y - area_.y) / side_} * columns_ + (x - area_.x) / side_].colour;
  }

  // Between the middles of squares, without edges.
  [[nodiscard]] Colour smooth(std::uint32_t x, std::uint32_t y) const {
    const Place across = place(x - area_.x, columns_), down = place(y - area_.y, rows_);
    const auto of_row = [&](std::uint32_t row) {
      const Cell* cells = &cells_[std::size_t{row} * columns_];
      return mixed(cells[across.first].colour, cells[across.second].colour, across.share);
    };
    return mixed(of_row(down.first), of_row(down.second), down.share);
  }

 private:
  struct Cell {
    double red = 0, green = 0, blue = 0, weight = 0;  // sums
    Colour colour;                                    // their mean

    void add(const Colour& at, double share) {
      red += at.red * share, green += at.green * share, blue += at.blue * share;
      weight += share;
    }
    void divide() {
      if (weight == 0) return;
      colour = {static_cast<float>(red / weight), static_cast<float>(green / weight),
                static_cast<float>(blue / weight)};
    }
  };

  struct Place {
    std::uint32_t first, second;
    float share;  // of the second
  };
  [[nodiscard]] Place place(std::uint32_t at, std::uint32_t count) const {
    const float middle = std::clamp((static_cast<float>(at) + 0.5F) / static_cast<float>(side_) - 0.5F, 0.0F,
                                    static_cast<float>(count - 1));
    const auto first = static_cast<std::uint32_t>(middle);
    return {first, std::min(first + 1, count - 1), middle - static_cast<float>(first)};
  }

  template <typename Work>
  void each(Work work) {
    for (std::uint32_t row = 0; row < rows_; ++row)
      for (std::uint32_t column = 0; column < columns_; ++column)
        work(column, row, cells_[std::size_t{row} * columns_ + column]);
  }

  // The mean of the squares around one that have a colour, and of it, too, if `itself`.
  [[nodiscard]] Cell around(const std::vector<Cell>& cells, std::uint32_t column, std::uint32_t row,
                            bool itself) const {
    Cell mean;
    for (std::uint32_t y = row - std::min(row, 1U); y <= std::min(row + 1, rows_ - 1); ++y)
      for (std::uint32_t x = column - std::min(column, 1U); x <= std::min(column + 1, columns_ - 1); ++x) {
        const Cell& cell = cells[std::size_t{y} * columns_ + x];
        if (cell.weight > 0 && (itself || x != column || y != row)) mean.add(cell.colour, 1);
      }
    mean.divide();
    return mean;
  }

  // Squares without a colour get that of their neighbours, from the edges of the gaps inwards; those that are too far
  // inside get the mean of all.
  void fill_gaps() {
    for (int reach = kReach; reach > 0 && spread(); --reach) continue;
    Cell all;
    for (const Cell& cell : cells_)
      if (cell.weight > 0) all.add(cell.colour, 1);
    all.divide();
    for (Cell& cell : cells_)
      if (cell.weight == 0) cell.colour = all.colour;
  }

  // One square further; whether there was anything to do.
  bool spread() {
    const std::vector<Cell> before = cells_;
    bool any = false;
    each([&](std::uint32_t column, std::uint32_t row, Cell& cell) {
      if (cell.weight > 0) return;
      cell = around(before, column, row, false);
      any = any || cell.weight > 0;
    });
    return any;
  }

  static constexpr int kReach = 24;

  Area area_;
  std::uint32_t side_, columns_, rows_;
  std::vector<Cell> cells_;
};

}  // namespace shipped
