#include "store/asset_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/text.h"
#include "store/rows.h"

namespace image_engine::store {
namespace {

using nlohmann::json;

json file_json(const KnownFile& file) {
  json out = json::object();
  put_path(out, file.seen.path);
  out["state"] = state_name(file.state);
  out["bytes"] = file.seen.stamp.size;
  if (file.seen.sidecar) out["sidecar"] = to_utf8(file.seen.sidecar->path);
  return out;
}

json record_json(const Record& record) {
  json out = {{"stage", record.key.stage}, {"version", record.key.version}, {"created", record.created}};
  if (!record.key.model.empty()) out["model"] = record.key.model;
  if (!record.device.empty()) out["device"] = record.device;
  if (!record.precision.empty()) out["precision"] = record.precision;
  return out;
}

json place_json(const Place& place) {
  json out = json::object();
  if (!place.city.empty()) out["city"] = place.city;
  if (!place.region.empty()) out["region"] = place.region;
  if (!place.country.empty()) out["country"] = place.country;
  if (!place.country_code.empty()) out["country_code"] = place.country_code;
  if (!place.location.empty()) out["location"] = place.location;
  return out;
}

// Merges a stage's data into the asset; appends its warnings to the existing ones.
void merge_data(json& out, json& warnings, const Record& record, std::span<const JsonSection> sections) {
  const json data = parse_json(record.data);
  if (!data.is_object()) return;
  const std::string_view whole = record.key.stage;
  const size_t colon = whole.find(':');
  for (const auto& [stage, section] : sections)
    if (colon != std::string_view::npos && whole.substr(0, colon) == stage)
      out[std::string(section)][std::string(whole.substr(colon + 1))] = data;
    else if (whole == stage)
      section.empty() ? out.update(data) : void(out[std::string(section)] = data);
  for (const char* flag : {"partial", "animated"})
    if (data.contains(flag)) out[flag] = data[flag];
  if (!data.contains("warnings") || !data["warnings"].is_array()) return;
  for (const json& warning : data["warnings"]) warnings.push_back(warning);
}

}  // namespace

void put_path(json& object, const std::string& path) {
  object["path"] = to_utf8(path);
  if (!is_utf8(path)) object["path_base64"] = base64_encode(path);
}

json failure_json(const Failure& failure) {
  json out = json::object();
  put_path(out, failure.path);
  out["stage"] = failure.key.stage;
  out["code"] = error_name(failure.error.code);
  out["message"] = to_utf8(failure.error.message);
  out["tries"] = failure.tries;
  out["first"] = failure.first_at;
  out["last"] = failure.last_at;
  return out;
}

json asset_json(const AssetRecord& record, std::span<const JsonSection> sections) {
  json out = json::object(), found = json::object(), warnings = json::array();
  if (!record.files.empty()) put_path(out, record.files.front().seen.path);
  out["asset"] = record.hash ? json(record.hash->hex()) : json();
  out["media"] = kind_name(record.kind);
  if (record.metadata) out.update(json(*record.metadata));
  if (record.place) out["place"] = place_json(*record.place);
  if (record.user_rating) out["user_rating"] = *record.user_rating;
  if (!record.user_title.empty()) out["user_title"] = record.user_title;
  if (!record.labels.empty()) out["labels"] = record.labels;
  for (const FoundClass& label : record.learned) {
    json entry = {{"label", label.name}, {"confidence", std::round(label.confidence * 1000) / 1000}};
    const auto tenths = [](float pixels) { return std::round(double{pixels} * 10) / 10; };
    if (const auto& box = label.box)
      entry["bbox"] = {tenths(box->x), tenths(box->y), tenths(box->width), tenths(box->height)};
    out["learned"].push_back(std::move(entry));
  }
  out["files"] = json::array();
  for (const KnownFile& file : record.files) out["files"].push_back(file_json(file));
  out["records"] = json::array();
  for (const Record& entry : record.records) {
    out["records"].push_back(record_json(entry));
    if (entry.key.stage != kMetadataStage) merge_data(found, warnings, entry, sections);
  }
  out["failures"] = json::array();
  for (const Failure& failure : record.failures) out["failures"].push_back(failure_json(failure));
  found.erase("warnings");
  for (const json& warning : warnings) out["warnings"].push_back(warning);
  // Records cannot override the catalogue's own data.
  found.update(out);
  return found;
}

}  // namespace image_engine::store
