#include "video/fingerprint.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace image_engine::video {
namespace {

constexpr float kRed = 77.0F / 256, kGreen = 150.0F / 256, kBlue = 29.0F / 256;  // BT.601

bool is_turned(std::uint32_t orientation) { return orientation >= 5 && orientation <= 8; }
bool has_columns_mirrored(std::uint32_t orientation) {
  return orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
}
bool has_rows_mirrored(std::uint32_t orientation) {
  return orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
}

}  // namespace

Fingerprinter::Fingerprinter(std::uint32_t orientation) : orientation_(orientation) {
  // Pixel i of n covers the range from i · cells to (i + 1) · cells, a cell a range of n.
  const auto fill = [](std::span<Taps> taps, int cells, bool mirrored) {
    const int pixels = static_cast<int>(taps.size());
    for (int i = 0; i < pixels; ++i) {
      const int from = (mirrored ? pixels - 1 - i : i) * cells, cell = from / pixels;
      const int in_first = std::min((cell + 1) * pixels - from, cells);
      const auto share = [&](int range) { return static_cast<float>(range) / static_cast<float>(pixels); };
      taps[static_cast<std::size_t>(i)] = {cell, share(in_first), share(cells - in_first)};
    }
  };
  const bool turned = is_turned(orientation);
  fill(columns_, turned ? kPrintRows : kPrintColumns, has_columns_mirrored(orientation));
  fill(rows_, turned ? kPrintColumns : kPrintRows, has_rows_mirrored(orientation));
}

Fingerprinter::Cells Fingerprinter::cells_of(std::span<const std::uint8_t> rgb) const {
  const bool turned = is_turned(orientation_);
  const int across = turned ? kPrintRows : kPrintColumns;
  Cells cells{};
  std::array<float, kPrintColumns + 1> line{};  // one more, of which the last cell's pixels have no share
  const auto add_line = [&](int row, float share) {
    if (share <= 0) return;
    for (int column = 0; column < across; ++column)
      cells[static_cast<std::size_t>(turned ? column * kPrintColumns + row : row * kPrintColumns + column)] +=
          share * line[static_cast<std::size_t>(column)];
  };
  const std::uint8_t* pixel = rgb.data();
  for (const Taps& row : rows_) {
    line.fill(0);
    for (const Taps& column : columns_) {
      const float luma = kRed * pixel[0] + kGreen * pixel[1] + kBlue * pixel[2];
      line[static_cast<std::size_t>(column.cell)] += column.first * luma;
      line[static_cast<std::size_t>(column.cell) + 1] += column.second * luma;
      pixel += 3;
    }
    add_line(row.cell, row.first);
    add_line(row.cell + 1, row.second);
  }
  return cells;
}

void Fingerprinter::resume(double first, std::size_t steps) {
  first_ = first;
  steps_ = steps;
  has_frame_ = false;
  shown_from_ = static_cast<double>(steps) * kPrintStep;
}

void Fingerprinter::add(double seconds, std::span<const std::uint8_t> rgb) {
  if (rgb.size() != std::size_t{kSmallWidth} * kSmallHeight * 3 || (has_frame_ && seconds <= last_)) return;
  if (!first_) first_ = seconds;
  if (has_frame_) show_until(seconds);
  frame_ = cells_of(rgb);
  last_ = seconds;
  has_frame_ = true;
}

void Fingerprinter::show_until(double seconds) {
  if (!has_frame_ || !first_ || is_too_long_) return;
  const double end = seconds - *first_;
  is_too_long_ = end > kLongestPrint;
  while (!is_too_long_ && shown_from_ < end) {
    const double step_end = static_cast<double>(steps_ + 1) * kPrintStep;
    const double share = (std::min(end, step_end) - shown_from_) / kPrintStep;
    for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += share * static_cast<double>(frame_[i]);
    shown_from_ = std::min(end, step_end);
    if (end < step_end) break;
    for (double& sum : sums_)
      done_ += static_cast<char>(static_cast<std::uint8_t>(std::clamp(std::lround(std::exchange(sum, 0)), 0L, 255L)));
    ++steps_;
  }
}

std::string Fingerprinter::take() { return std::exchange(done_, {}); }

}  // namespace image_engine::video
