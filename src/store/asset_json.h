// The record that `show`, `analyze` and the server give for one asset; docs/schema/asset.json describes it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "store/types.h"

namespace image_engine::store {

// Where a stage's data stands in an asset's JSON: the member of that name; empty: its members are the asset's own.
struct JsonSection {
  std::string_view stage, name;
};

// Stages without a section are listed among the records only.
nlohmann::json asset_json(const AssetRecord& record, std::span<const JsonSection> sections);
nlohmann::json failure_json(const Failure& failure);

// Sets "path", and "path_base64" where the path is not UTF-8.
void put_path(nlohmann::json& object, const std::string& path);

}  // namespace image_engine::store
