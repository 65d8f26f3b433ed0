// What was found in a photo, drawn on it: `show FILE --draw OUT`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "cli/canvas.h"

namespace image_engine::cli {

struct Drawn {
  std::size_t objects = 0, texts = 0, labels = 0;
};

// `asset`: as store::asset_json gives it, its boxes in pixels of the upright photo of full_width × full_height, of
// which the canvas is a reduced or whole picture. Boxes come in a colour of their name with name and confidence, text
// as polygons with what it says, scenes and learned labels in the lower left corner. Without a font there are no words.
Drawn draw_findings(Canvas& canvas, const std::optional<Font>& font, const nlohmann::json& asset,
                    std::uint32_t full_width, std::uint32_t full_height);

}  // namespace image_engine::cli
