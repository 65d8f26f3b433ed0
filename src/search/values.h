// Parsers of field values. Each returns kInvalidArgument with an example for an invalid value.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "core/result.h"
#include "search/search.h"
#include "store/asset_query.h"

namespace image_engine::search {

// kInvalidArgument: the field's value "is not understood", with what to write instead.
tl::unexpected<Error> wrong_value(std::string_view field, std::string_view value, std::string_view expected);

// Likewise, of a value that is one of these names: the nearest one, or `expected` where none is near.
tl::unexpected<Error> wrong_name(std::string_view field, std::string_view value,
                                 std::span<const std::string_view> names, std::string_view expected);

// A comparison as in a rating, with a non-negative number; both ends inclusive.
struct CountRange {
  std::int64_t least = 0, most = 0;
};
std::optional<CountRange> compared_count(std::string_view value);

// A year, year-month, date, or date with a time, as the range of seconds that it covers.
Result<store::TakenCondition> parse_time_range(std::string_view value);
// The same, "A..B" with either end left out, and a comparison: ">=2016", "<2016-05". "2016-2018" is a range of years.
Result<store::TakenCondition> parse_taken(std::string_view value);
// As parse_taken(), of whole years only.
Result<store::TakenCondition> parse_year(std::string_view value);
// "7", "july", "jul" of any year, or a month of one: "2016-07", "july 2016".
Result<store::Condition> parse_month(std::string_view value);
// "4" (at least), "=4", "<3", "<=3", ">3", ">=3".
Result<store::RatingCondition> parse_rating(std::string_view value);
// "person>=2": a name, then a comparison as in a rating and a number. - and _ stand for blanks in a name.
Result<store::ObjectsCondition> parse_objects(std::string_view value);
// "dog", "dog>30%", "dog<10%", ">50%" (of any subject), "yes", "no": the share of the picture in percent; = means that
// it rounds to that number.
Result<store::SubjectCondition> parse_subject(std::string_view value);
// The same for products.
Result<store::ObjectsCondition> parse_products(std::string_view value);
// "LAT,LON", "LAT,LON,KM", and with `find_places` "NAME", "NAME,REGION", each with ",KM": near any place of that name.
Result<store::Condition> parse_near(std::string_view value, const FindPlaces& find_places);
// "photo", "video", "audio", "raw" or a format's name or usual extension.
Result<store::TypeCondition> parse_type(std::string_view value);
Result<store::StateCondition> parse_state(std::string_view value);

}  // namespace image_engine::search
