#include "pipeline/stages.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/hash.h"
#include "core/json.h"
#include "vision/hashes.h"
#include "vision/quality.h"

namespace image_engine::pipeline {

store::StageKey metadata_key() { return {kMetadataStage, "", "1", ""}; }

store::StageKey content_key() { return {kContentStage, "", "1", ""}; }

store::StageKey decode_key() { return {kDecodeStage, "", "1", ""}; }

store::StageKey quality_key() { return {"quality", "", std::to_string(vision::kQualityVersion), ""}; }

store::StageKey hash_key() { return {"hash", "", std::to_string(vision::kHashesVersion), ""}; }

namespace {

Result<Finding> look_at_quality(const Sight& sight) {
  Finding finding;
  finding.data = json_text(nlohmann::json(vision::assess_quality(sight.luma, sight.picture)));
  return finding;
}

Result<Finding> look_at_hashes(const Sight& sight) {
  const vision::PerceptualHashes hashes = vision::perceptual_hashes(sight.picture);
  Finding finding;
  finding.data =
      json_text(nlohmann::json{{"dhash", vision::to_hex(hashes.dhash)}, {"phash", vision::to_hex(hashes.phash)}});
  return finding;
}

}  // namespace

const std::vector<PictureStage>& picture_stages() {
  static const std::vector<PictureStage> kStages = {
      {quality_key(), kWorkingEdge, true, look_at_quality},
      {hash_key(), kWorkingEdge, false, look_at_hashes},
  };
  return kStages;
}

std::vector<std::string> content_stage_names() {
  std::vector<std::string> names = {kThumbnailStage};
  for (const PictureStage& stage : picture_stages()) names.push_back(stage.key.stage);
  for (const char* name : {kObjectsStage, kEmbeddingStage, kFeaturesStage, kSceneStage, kTextStage})
    names.emplace_back(name);
  return names;
}

std::vector<std::string> cloud_stage_names() { return {kRetailProductsStage, kDescriptionStage}; }

store::StageKey thumbnail_key(const Config& config) {
  const std::string params = fmt::format("size={} quality={}", config.thumbnails.size, config.thumbnails.quality);
  return {kThumbnailStage, "jpeg", "1", hash128(params).hex().substr(0, 16)};
}

}  // namespace image_engine::pipeline
