// What `show VIDEO` writes besides pictures: a part of it, an animated preview.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/app.h"
#include "core/result.h"
#include "store/catalogue.h"

namespace image_engine::cli {

// The part of the video in `path` that `range` names ("0:12-0:20"), into the file `target`; the container goes by its
// extension. Prints what was cut. kInvalidArgument: no such range or container; nothing of the range is in the video.
Result<int> cut_clip(const Context& context, const store::AssetRecord& record, const std::string& path,
                     const std::string& range, const std::string& target);

// An animated WebP of the video in `path` into the file `target`: the best frames of its scenes, or evenly spaced
// frames where it has only a few. Prints what was written. kInvalidArgument: not a video, not a .webp.
Result<int> animate(const Context& context, const store::CatalogueReader& reader, const store::AssetRecord& record,
                    const std::string& path, const std::string& target);

}  // namespace image_engine::cli
