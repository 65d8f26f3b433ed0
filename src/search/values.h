// The values that a field can have. Each function gives kInvalidArgument with an example for anything else.
#pragma once

#include <string_view>

#include "core/result.h"
#include "search/search.h"
#include "store/asset_query.h"

namespace image_engine::search {

// A year, year-month, date, or date with a time, as the range of seconds that it covers.
Result<store::TakenCondition> parse_time_range(std::string_view value);
// "4" (at least), "=4", "<3", "<=3", ">3", ">=3".
Result<store::RatingCondition> parse_rating(std::string_view value);
// "person>=2": a name, then a comparison as in a rating and a number. Blanks of a name may be written - or _.
Result<store::ObjectsCondition> parse_objects(std::string_view value);
// "LAT,LON", "LAT,LON,KM", and where places are known "NAME", "NAME,KM".
Result<store::NearCondition> parse_near(std::string_view value, const FindPlace& find_place);
// "photo", "video", "raw" or a format's name or usual extension.
Result<store::TypeCondition> parse_type(std::string_view value);
Result<store::StateCondition> parse_state(std::string_view value);

}  // namespace image_engine::search
