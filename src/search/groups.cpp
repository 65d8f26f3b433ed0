#include "search/groups.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/text.h"
#include "search/values.h"

namespace image_engine::search {
namespace {

// Query words, and their class names in COCO, Pascal VOC, KITTI, Open Images and TAO. `why` uses the first name.
struct Kind {
  std::vector<std::string_view> written, names;
};

const std::vector<Kind>& vehicles() {
  static const std::vector<Kind> kVehicles = {
      {{"bicycle", "bike"}, {"bicycle", "cyclist"}},
      {{"car"}, {"car", "taxi", "limousine"}},
      {{"motorcycle", "motorbike"}, {"motorcycle", "motorbike"}},
      {{"airplane", "aeroplane", "plane", "aircraft"}, {"airplane", "aeroplane", "helicopter"}},
      {{"bus"}, {"bus"}},
      {{"train", "tram"}, {"train", "tram"}},
      {{"truck", "lorry", "van"}, {"truck", "van"}},
      {{"boat", "ship"}, {"boat", "barge"}},
  };
  return kVehicles;
}

store::ObjectsCondition condition_of(const std::vector<std::string_view>& names) {
  store::ObjectsCondition condition;
  condition.name = names.front();
  condition.others.assign(names.begin() + 1, names.end());
  return condition;
}

// yes, no or a comparison; false for anything else.
bool count(std::string_view value, store::ObjectsCondition& condition) {
  const std::string lower = ascii_lower(value);
  if (lower == "yes") return true;
  if (lower == "no") {
    condition.least = condition.most = 0;
    return true;
  }
  const auto range = compared_count(value);
  if (!range) return false;
  condition.least = range->least;
  condition.most = range->most;
  return true;
}

}  // namespace

const std::vector<std::string_view>& people_names() {
  static const std::vector<std::string_view> kNames = {"person", "people", "pedestrian", "person_sitting",
                                                       "man",    "woman",  "boy",        "girl"};
  return kNames;
}

std::optional<store::ObjectsCondition> things_called(std::string_view word) {
  constexpr std::string_view kPeople[] = {"people", "person", "persons", "human", "humans"};
  const std::string lower = ascii_lower(word);
  if (std::ranges::find(kPeople, lower) == std::end(kPeople)) return std::nullopt;
  return condition_of(people_names());
}

Result<store::ObjectsCondition> parse_people(std::string_view value) {
  store::ObjectsCondition condition = condition_of(people_names());
  if (!count(value, condition)) return wrong_value("people", value, "write people:yes, people:no or people:>=3");
  return condition;
}

Result<store::ObjectsCondition> parse_vehicle(std::string_view value) {
  std::vector<std::string_view> any = {"vehicle"}, written;
  for (const Kind& kind : vehicles()) {
    any.insert(any.end(), kind.names.begin(), kind.names.end());
    written.insert(written.end(), kind.written.begin(), kind.written.end());
  }
  store::ObjectsCondition condition = condition_of(any);
  if (count(value, condition)) return condition;
  const size_t sign = std::min(value.find_first_of("<>="), value.size());
  const std::string name = ascii_lower(value.substr(0, sign));
  for (const Kind& kind : vehicles()) {
    if (std::ranges::find(kind.written, name) == kind.written.end()) continue;
    condition = condition_of(kind.names);
    if (sign == value.size() || count(value.substr(sign), condition)) return condition;
  }
  return wrong_name("vehicle", name, written,
                    fmt::format("write vehicle:yes, vehicle:no, vehicle:>=2 or one of {}", fmt::join(written, ", ")));
}

}  // namespace image_engine::search
