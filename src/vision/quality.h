// The technical quality of a photo. docs/quality.md has the measures, constants and their distribution on real photos.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "types/condensed.h"
#include "types/image.h"
#include "types/luma.h"

namespace image_engine::vision {

// Increment it whenever the same picture would get other numbers: it is the version of the stage's records.
inline constexpr int kQualityVersion = 1;

// The measures behind Quality, in their published units.
struct QualityMeasures {
  double sharpness = 0;  // variance of the Laplacian of the sharpest tiles (Pech-Pacheco et al. 2000), less the noise's
  double noise = 0;      // standard deviation of white noise, 0…255 scale (Immerkær 1996)
  double contrast = 0;   // root mean square of luma 0…1 about its mean (Peli 1990)
  double colourfulness = 0;  // M of Hasler and Süsstrunk 2003: 0 grey … 109 extremely colourful
  double well_exposed = 0;   // mean of exp(−(i − 0.5)² / (2 · 0.2²)) over luma i (Mertens et al. 2007), 0…1
  double clipped = 0;        // fraction of pixels at or next to black or white
};

// Each is in [0, 1].
struct Quality {
  double sharpness = 0;  // 1 is sharp at full resolution
  double exposure = 0;   // 1 is neither clipped nor far from middle grey
  double contrast = 0;
  double colourfulness = 0;  // 0 is black and white
  double noise = 0;          // 0 is clean, 1 is noisy
  double score = 0;          // of all but colourfulness

  bool operator==(const Quality&) const = default;
};

// `luma` is of the full-resolution picture, `image` the same picture reduced (any size; 640 px is meant). Numbers in
// `luma` may have any value, even NaN or infinity: they come from a worker.
QualityMeasures measure_quality(const LumaStatistics& luma, const ImageView& image);
// The same of what was made of `image`.
QualityMeasures measure_quality(const LumaStatistics& luma, const CondensedPicture& image);
Quality rate_quality(const QualityMeasures& measures);
Quality assess_quality(const LumaStatistics& luma, const ImageView& image);

// The record's "quality": every field by its name, rounded to four decimals.
void to_json(nlohmann::json& json, const Quality& quality);
void from_json(const nlohmann::json& json, Quality& quality);

}  // namespace image_engine::vision
