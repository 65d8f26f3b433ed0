// The records that make a pair of a Live Photo's still and clip; FileWriter::pair_live_photos() keeps them.
#pragma once

#include "store/sql.h"
#include "store/types.h"

namespace image_engine::store {

// Whether the asset is a clip whose still is there: it is then no result of its own.
bool is_live_clip(Connection& connection, AssetId asset);

}  // namespace image_engine::store
