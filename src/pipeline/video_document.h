// Everything known about a video as one JSON document; docs/schema/video.json describes it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "store/catalogue.h"

namespace image_engine::pipeline {

// store::asset_json() with `scenes`, `frames` (what stages found in each) and `moments` (what was found in each scene).
// Of another asset it is that alone. Errors: the catalogue's.
Result<nlohmann::json> video_json(const store::CatalogueReader& reader, const store::AssetRecord& record);

// Of one frame that was analyzed, as in `frames`; the one that is shown at `seconds`. Null without frames.
Result<nlohmann::json> frame_json(const store::CatalogueReader& reader, store::AssetId asset, double seconds);

}  // namespace image_engine::pipeline
