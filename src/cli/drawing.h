// Draws what was found in a photo on it: `show FILE --draw OUT`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "cli/canvas.h"

namespace image_engine::cli {

struct Drawn {
  std::size_t objects = 0, texts = 0, labels = 0, masks = 0;
};

// `asset`: from store::asset_json(), with boxes in pixels of the upright photo of full_width × full_height, which the
// canvas shows at full or reduced size. Boxes have a colour by name, with name and confidence; text has polygons with
// the recognised text; scenes and learned labels are in the lower left corner. `masks`: also those, tinted and
// outlined in a colour by name, beneath all else. Without a font no text is drawn.
enum class DrawMasks : bool { kNo, kYes };
Drawn draw_findings(Canvas& canvas, const std::optional<Font>& font, const nlohmann::json& asset,
                    std::uint32_t full_width, std::uint32_t full_height, DrawMasks masks = DrawMasks::kNo);

}  // namespace image_engine::cli
