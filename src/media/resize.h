// Antialiased resizing of rows as they are decoded: the whole source never has to be in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/result.h"
#include "types/image.h"
#include "types/luma.h"
#include "types/resample.h"

namespace image_engine::media {

struct Size {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  bool operator==(const Size&) const = default;
};

// The size of `full` with its longer edge at most `max_edge` (0: no limit), the other rounded to nearest, at least 1.
Size fit(Size full, std::uint32_t max_edge);

// Lanczos (a = 3) whose support grows with the ratio, across first, 8 bits between the passes: the definition of
// Pillow's Image.resize(size, LANCZOS), which it matches but for its weights' last bits.
// Memory: the result and about 6 × ratio rows of its width.
class RowResizer {
 public:
  // `extent_*` is the part of the input, from its top left, that maps onto the whole output: the input's own size, or
  // a fraction less where a decoder rounded its scaled size up.
  RowResizer(Size in, Size out, double extent_width, double extent_height);
  RowResizer(Size in, Size out) : RowResizer(in, out, in.width, in.height) {}

  // Tells `luma` of every row that comes in. Borrowed; begins it.
  void watch(LumaAccumulator* luma);

  // Where the decoder writes the next row: in.width × RGB. Valid until the next commit_row().
  std::uint8_t* next_row();
  void commit_row();
  [[nodiscard]] std::uint32_t rows() const { return rows_in_; }
  // The result; rows that never came are grey.
  Image finish();

 private:
  Size in_, out_;
  bool copy_;                               // sizes agree: rows land in the result untouched
  std::optional<ResampledRows> resampled_;  // unless copy_
  std::vector<std::uint8_t> row_;           // what next_row() hands out, padded
  std::uint32_t rows_in_ = 0, rows_out_ = 0;
  Image image_;
  LumaAccumulator* luma_ = nullptr;
  std::vector<std::uint8_t> luma_row_;
};

// `image` turned and mirrored as EXIF orientation 1…8 asks, so that it is upright.
Image apply_orientation(Image image, std::uint32_t orientation);

// Whether the orientation swaps width and height.
constexpr bool swaps_edges(std::uint32_t orientation) { return orientation >= 5 && orientation <= 8; }
constexpr Size upright(Size size, std::uint32_t orientation) {
  return swaps_edges(orientation) ? Size{size.height, size.width} : size;
}

}  // namespace image_engine::media
