// What is heard in a video or a recording, for its JSON document.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>

#include "store/moments.h"
#include "store/types.h"

namespace image_engine::pipeline {

// Adds `speech`, each segment with its words, `sounds`, and `transcript`: what the record says of all of it. Times are
// seconds of presentation time. kCorrupt: a record is damaged.
Status add_speech(nlohmann::json& document, const store::AssetRecord& asset, std::span<const store::Moment> all,
                  std::span<const store::MomentRecord> records, std::span<const store::MomentThing> things);

}  // namespace image_engine::pipeline
