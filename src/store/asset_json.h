// The record that `show`, `analyze` and the server give for one asset; docs/schema/asset.json describes it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "store/types.h"

namespace image_engine::store {

nlohmann::json asset_json(const AssetRecord& record);
nlohmann::json failure_json(const Failure& failure);

// Sets "path", and "path_base64" where the path is not UTF-8.
void put_path(nlohmann::json& object, const std::string& path);

}  // namespace image_engine::store
