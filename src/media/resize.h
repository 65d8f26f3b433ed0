// Antialiased resizing of rows as they are decoded, without the whole source in memory.
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

// `full` scaled to a longer edge of at most `max_edge` (0: no limit), the other rounded to nearest, at least 1.
Size fit(Size full, std::uint32_t max_edge);

// Lanczos (a = 3) whose support grows with the ratio, horizontal first, 8 bits between the passes: as Pillow's
// Image.resize(size, LANCZOS), except for the last bits of the weights. Memory: the result and about 6 × ratio rows of
// its width.
class RowResizer {
 public:
  // `extent_*` is the part of the input, from its top left, that maps to the whole output: the input's size, or
  // slightly less if a decoder rounded its scaled size up.
  RowResizer(Size in, Size out, double extent_width, double extent_height);
  RowResizer(Size in, Size out) : RowResizer(in, out, in.width, in.height) {}

  // Adds every input row to `luma`, which is borrowed and begun.
  void watch(LumaAccumulator* luma);

  // The buffer for the next row: in.width × RGB. Valid until the next commit_row().
  std::uint8_t* next_row();
  void commit_row();
  [[nodiscard]] std::uint32_t rows() const { return rows_in_; }
  // The result; missing rows are grey.
  Image finish();

 private:
  Size in_, out_;
  bool copy_;                               // sizes are equal: rows are copied
  std::optional<ResampledRows> resampled_;  // unless copy_
  std::vector<std::uint8_t> row_;           // next_row()'s buffer, padded
  std::uint32_t rows_in_ = 0, rows_out_ = 0;
  Image image_;
  LumaAccumulator* luma_ = nullptr;
  std::vector<std::uint8_t> luma_row_;
};

// Rotates and mirrors `image` by its EXIF orientation 1…8, so that it is upright.
Image apply_orientation(Image image, std::uint32_t orientation);

// Whether the orientation swaps width and height.
constexpr bool swaps_edges(std::uint32_t orientation) { return orientation >= 5 && orientation <= 8; }
constexpr Size upright(Size size, std::uint32_t orientation) {
  return swaps_edges(orientation) ? Size{size.height, size.width} : size;
}

}  // namespace image_engine::media
