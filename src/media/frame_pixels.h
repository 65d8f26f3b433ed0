// A decoded frame's pixels as sRGB.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/result.h"
#include "media/ffmpeg.h"
#include "media/resize.h"
#include "media/tone_map.h"
#include "types/image.h"

struct SwsContext;

namespace image_engine::media {

// Keeps what conversions of one video have in common. Not thread-safe.
class FramePixels {
 public:
  FramePixels();
  ~FramePixels();
  FramePixels(const FramePixels&) = delete;

  // sRGB with the frame's own size, or half the height of an interlaced one: of its top field.
  Result<Image> srgb(const AVFrame& frame);
  // Upright, with square pixels, sRGB; the longer edge at most `max_edge` (0: full size). `luma` as of
  // VideoReader::picture().
  Result<Image> upright(const AVFrame& frame, std::uint32_t orientation, std::uint32_t max_edge = 0,
                        LumaAccumulator* luma = nullptr);
  // See VideoReader::reduce().
  Status reduce(const AVFrame& frame, Size size, std::span<std::uint8_t> rgb);

 private:
  Result<Image> tone_mapped(const AVFrame& frame, Transfer transfer);
  Status reduce_any(const AVFrame& frame, Size size, std::span<std::uint8_t> rgb);

  SwsContext* full_ = nullptr;
  SwsContext* reduced_ = nullptr;
  std::unique_ptr<ToneMapper> mapper_;
  std::vector<std::uint32_t> sums_;  // of columns
};

// The frame's size with square pixels, as stored: not upright.
Size display_size(const AVFrame& frame);
bool is_hdr(const AVFrame& frame);  // PQ or HLG: srgb() tone-maps it

}  // namespace image_engine::media
