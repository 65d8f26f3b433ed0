// The JSON that `show`, `analyze` and the server return for one asset; docs/schema/asset.json describes it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "store/types.h"

namespace image_engine::store {

// The member of an asset's JSON that holds a stage's data. An empty name merges the data into the asset itself.
// A stage "X:Y" belongs to the section of "X", where its data is the member "Y".
struct JsonSection {
  std::string_view stage, name;
};

// Stages without a section appear only in the list of records.
nlohmann::json asset_json(const AssetRecord& record, std::span<const JsonSection> sections);
nlohmann::json failure_json(const Failure& failure);

// Sets "path", and "path_base64" where the path is not UTF-8.
void put_path(nlohmann::json& object, const std::string& path);

}  // namespace image_engine::store
