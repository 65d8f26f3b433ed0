// Parts of decoded frames made unrecognisable, in the frame's own samples.
#pragma once

#include <cstdint>
#include <span>

#include "core/result.h"
#include "media/ffmpeg.h"
#include "media/media.h"
#include "types/video_edit.h"

namespace image_engine::media {

// How what is hidden looks. `squares`: that many along the longer edge of what is hidden, of at least 8 pixels each.
struct HideOptions {
  HideStyle style = HideStyle::kMosaic;
  std::uint32_t squares = 4;
};

// Replaces the samples of the areas, which are of the frame turned upright by `orientation` (EXIF's number), with
// square pixels. Colour samples that reach over an area's edge are replaced, too. Of areas that overlap, the larger
// comes last. `frame` must be writable. kUnsupported: the frame's samples cannot be reached one by one.
Status hide_areas(AVFrame& frame, std::uint32_t orientation, std::span<const HiddenArea> areas,
                  const HideOptions& options);

// The same of all pixels where the upright grey `mask`, of any size, is below 128. The squares' colours are of these
// pixels alone.
Status hide_outside(AVFrame& frame, std::uint32_t orientation, const RawPicture& mask, const HideOptions& options);

}  // namespace image_engine::media
