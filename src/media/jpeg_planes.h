// The planes of a YCbCr picture, before upsampling and conversion, as they are decoded: reduced and resized.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "media/block_pixels.h"
#include "media/jpeg_scan.h"
#include "media/resize.h"
#include "types/luma.h"

namespace image_engine::media {

// How a component lies in the picture.
struct PlaneShape {
  unsigned across = 1, down = 1;  // blocks in an MCU
  Size size;                      // samples
  std::array<std::uint16_t, 64> quantizers{};
};

struct PlaneLayout {
  Size size;
  std::array<PlaneShape, 3> planes;  // Y, Cb, Cr
  Size mcu;                          // pixels
  Size mcus;                         // of the picture

  // Whether cells of factor × factor pixels are whole numbers of samples of each plane, of which Y is the finest.
  // `factor` is 2, 4 or 8.
  [[nodiscard]] bool divides(unsigned factor) const;
};

// Makes the pixels of `resizer`, a cell of factor × factor pixels each, of the planes' samples. They are Y, Cb and Cr:
// the result is to be converted by ycc_to_rgb().
class PlaneReader {
 public:
  // `halved`: the planes that a cell has more than one sample of, in both directions, are read as means of two by two.
  PlaneReader(const PlaneLayout& layout, unsigned factor, bool halved);

  // Where the samples of the next row of MCUs go: rows of `stride` samples.
  struct Plane {
    Size size;                // samples in all
    unsigned fx = 1, fy = 1;  // samples of a cell
    bool halved = false;
    std::size_t stride = 0;
    std::vector<std::uint8_t> samples;
    std::vector<std::uint8_t*> rows;
    std::vector<std::uint8_t> reduced;
  };
  [[nodiscard]] std::array<Plane, 3>& planes() { return planes_; }

  // The row of MCUs that begins at pixel row `top` has been read.
  void pass_on(std::uint32_t top, RowResizer& resizer);

 private:
  unsigned factor_;
  std::uint32_t height_, rows_;
  std::array<Plane, 3> planes_;
};

// The picture, its longer edge at most options.max_edge, by one pass over a scan without fault; adds to options.luma,
// if set, what that needs. Nothing if there is a fault.
std::optional<Image> read_scan(JpegScan& scan, const PlaneLayout& layout, unsigned factor, Size target,
                               LumaAccumulator* luma);

}  // namespace image_engine::media
