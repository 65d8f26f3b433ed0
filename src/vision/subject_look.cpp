#include "vision/subject_look.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "vision/hashes.h"

namespace image_engine::vision {
namespace {

constexpr std::uint32_t kLookEdge = 32;  // pixels of the window that is compared
constexpr double kDeviations = 2;        // from the window's centre to its edges; a rectangle has 1.73
constexpr std::uint64_t kLeastPixels = 256;
constexpr double kLeastDeviation = 6;  // of luma within the subject, levels
constexpr double kInsideCell = 0.5;    // least share of a cell that is the subject
// What two looks of one subject may differ by.
constexpr int kMostShapeBits = 26;  // of 256
constexpr int kMostAspect = 8;      // a quarter of an octave

// The pixels of the picture that a window covers along one edge: [from, from + length), which may reach beyond it.
struct LookWindow {
  double from = 0, length = 0;
};

struct Moments {
  double count = 0, x = 0, y = 0, xx = 0, yy = 0;
  void add(double at_x, double at_y) { ++count, x += at_x, y += at_y, xx += at_x * at_x, yy += at_y * at_y; }
};

// In shares of the picture's edges.
Moments moments_of(const Mask& mask) {
  Moments moments;
  for (std::uint32_t y = 0; y < mask.height; ++y)
    for (std::uint32_t x = 0; x < mask.width; ++x)
      if (mask.pixels[std::size_t{y} * mask.width + x] != 0)
        moments.add((x + 0.5) / mask.width, (y + 0.5) / mask.height);
  return moments;
}

LookWindow window_of(double sum, double squares, double count, std::uint32_t pixels) {
  const double mean = sum / count, variance = std::max(0.0, squares / count - mean * mean);
  const double half = std::max(kDeviations * std::sqrt(variance) * pixels, 0.5);
  return {mean * pixels - half, 2 * half};
}

struct Cell {
  double red = 0, green = 0, blue = 0, inside = 0, all = 0;
};

// The subject's pixels, summed by the cells of the window.
class LookCells {
 public:
  LookCells(const ImageView& picture, const Mask& mask, const LookWindow& across, const LookWindow& down)
      : picture_(picture), mask_(mask), across_(across), down_(down), cells_(std::size_t{kLookEdge} * kLookEdge) {
    const auto first = [](double from) { return static_cast<std::uint32_t>(std::max(0.0, std::floor(from))); };
    const auto end = [](const LookWindow& window, std::uint32_t pixels) {
      return static_cast<std::uint32_t>(std::clamp(std::ceil(window.from + window.length), 0.0, double{1.0} * pixels));
    };
    for (std::uint32_t y = first(down.from); y < end(down, picture.height); ++y)
      for (std::uint32_t x = first(across.from); x < end(across, picture.width); ++x) add(x, y);
  }

  [[nodiscard]] const Cell& total() const { return total_; }
  [[nodiscard]] double deviation() const {
    const double mean = luma_ / total_.inside;
    return std::sqrt(std::max(0.0, squares_ / total_.inside - mean * mean));
  }
  [[nodiscard]] bool is_inside(std::uint32_t x, std::uint32_t y) const {
    const Cell& cell = cells_[std::size_t{y} * kLookEdge + x];
    return cell.inside > 0 && cell.inside >= kInsideCell * cell.all;
  }
  // All but the subject in its mean colour.
  [[nodiscard]] Image image() const {
    Image image{kLookEdge, kLookEdge, {}};
    for (std::uint32_t y = 0; y < kLookEdge; ++y)
      for (std::uint32_t x = 0; x < kLookEdge; ++x) {
        const Cell& cell = is_inside(x, y) ? cells_[std::size_t{y} * kLookEdge + x] : total_;
        for (const double sum : {cell.red, cell.green, cell.blue})
          image.pixels.push_back(static_cast<std::uint8_t>(std::lround(sum / cell.inside)));
      }
    return image;
  }

 private:
  static std::optional<std::uint32_t> cell_at(std::uint32_t pixel, const LookWindow& window) {
    const double at = (pixel + 0.5 - window.from) / window.length * kLookEdge;
    if (at < 0 || at >= kLookEdge) return std::nullopt;
    return static_cast<std::uint32_t>(at);
  }

  void add(std::uint32_t x, std::uint32_t y) {
    const auto column = cell_at(x, across_), row = cell_at(y, down_);
    if (!column || !row) return;
    Cell& cell = cells_[std::size_t{*row} * kLookEdge + *column];
    ++cell.all;
    const std::size_t mask_x = std::uint64_t{x} * mask_.width / picture_.width,
                      mask_y = std::uint64_t{y} * mask_.height / picture_.height;
    if (mask_.pixels[mask_y * mask_.width + mask_x] == 0) return;
    const std::uint8_t* rgb = picture_.pixels.data() + (std::size_t{y} * picture_.width + x) * 3;
    for (Cell* sum : {&cell, &total_}) ++sum->inside, sum->red += rgb[0], sum->green += rgb[1], sum->blue += rgb[2];
    const double luma = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
    luma_ += luma, squares_ += luma * luma;
  }

  const ImageView& picture_;
  const Mask& mask_;
  LookWindow across_, down_;
  std::vector<Cell> cells_;
  Cell total_;
  double luma_ = 0, squares_ = 0;
};

}  // namespace

std::optional<SubjectLook> subject_look(const ImageView& picture, const Mask& mask) {
  const std::uint64_t pixels = std::uint64_t{picture.width} * picture.height;
  if (pixels == 0 || picture.pixels.size() / 3 < pixels) return std::nullopt;
  const Moments moments = moments_of(mask);
  if (moments.count == 0) return std::nullopt;
  const LookWindow across = window_of(moments.x, moments.xx, moments.count, picture.width);
  const LookWindow down = window_of(moments.y, moments.yy, moments.count, picture.height);
  const LookCells cells(picture, mask, across, down);
  if (cells.total().inside < kLeastPixels || cells.deviation() < kLeastDeviation) return std::nullopt;
  const Image image = cells.image();
  const ImageView view{image.width, image.height, image.pixels};
  SubjectLook look;
  look.phash = perceptual_hashes(view).phash;
  look.colours = colour_signature(view);
  constexpr std::uint32_t kStep = kLookEdge / SubjectLook::kEdge;
  for (std::uint32_t i = 0; i < SubjectLook::kEdge * SubjectLook::kEdge; ++i) {
    const std::uint32_t x = i % SubjectLook::kEdge * kStep, y = i / SubjectLook::kEdge * kStep;
    int inside = 0;
    for (std::uint32_t dy = 0; dy < kStep; ++dy)
      for (std::uint32_t dx = 0; dx < kStep; ++dx) inside += cells.is_inside(x + dx, y + dy) ? 1 : 0;
    if (2 * inside >= static_cast<int>(kStep * kStep)) look.shape[i / 8] |= static_cast<std::uint8_t>(0x80 >> i % 8);
  }
  look.aspect =
      static_cast<std::uint8_t>(std::clamp(std::lround(128 + 32 * std::log2(across.length / down.length)), 0L, 255L));
  return look;
}

bool are_looks_of_one(const SubjectLook& a, const SubjectLook& b) {
  if (std::abs(int{a.aspect} - int{b.aspect}) > kMostAspect) return false;
  int bits = 0;
  for (std::size_t i = 0; i < a.shape.size(); ++i)
    bits += std::popcount(static_cast<std::uint8_t>(a.shape[i] ^ b.shape[i]));
  return bits <= kMostShapeBits && have_same_colours(a.colours, b.colours);
}

std::string to_bytes(const SubjectLook& look) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(look.phash >> shift & 0xFF);
  for (const std::int8_t value : look.colours.chroma) bytes += static_cast<char>(value);
  for (const std::uint8_t value : look.shape) bytes += static_cast<char>(value);
  return bytes += static_cast<char>(look.aspect);
}

std::optional<SubjectLook> look_of_bytes(std::string_view bytes) {
  SubjectLook look;
  if (bytes.size() != sizeof look.phash + look.colours.chroma.size() + look.shape.size() + 1) return std::nullopt;
  const auto* at = reinterpret_cast<const std::uint8_t*>(bytes.data());
  for (std::size_t i = 0; i < sizeof look.phash; ++i) look.phash = look.phash << 8 | *at++;
  for (std::int8_t& value : look.colours.chroma) value = static_cast<std::int8_t>(*at++);
  for (std::uint8_t& value : look.shape) value = *at++;
  look.aspect = *at;
  return look;
}

}  // namespace image_engine::vision
