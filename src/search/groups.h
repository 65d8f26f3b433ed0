// Kinds of things that detectors know by several names: people, vehicles.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "store/asset_query.h"

namespace image_engine::search {

// Detectors' class names for persons, in lower case.
const std::vector<std::string_view>& people_names();

// What a plain word such as "people" means besides its letters: things with other names. ASCII case is ignored.
std::optional<store::ObjectsCondition> things_called(std::string_view word);

// "yes", "no", or a comparison with a number as in parse_rating(): persons by any class name.
Result<store::ObjectsCondition> parse_people(std::string_view value);
// The same for vehicles of any kind; or a kind ("car", "plane"), optionally with a comparison ("car>=2").
Result<store::ObjectsCondition> parse_vehicle(std::string_view value);

}  // namespace image_engine::search
