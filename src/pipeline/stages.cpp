#include "pipeline/stages.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/hash.h"
#include "core/json.h"
#include "video/fingerprint.h"
#include "vision/colour_signature.h"
#include "vision/hashes.h"
#include "vision/quality.h"

namespace image_engine::pipeline {

store::StageKey metadata_key() { return {kMetadataStage, "", "6", ""}; }

std::string metadata_version(const Config& config) {
  return metadata_key().version + (config.scan.dates_from_names ? "" : " without names");
}

store::StageKey content_key() { return {kContentStage, "", "1", ""}; }

store::StageKey decode_key() { return {kDecodeStage, "", "2", ""}; }

store::StageKey quality_key() { return {kQualityStage, "", std::to_string(vision::kQualityVersion), ""}; }

store::StageKey hash_key() { return {kHashStage, "", std::to_string(vision::kHashesVersion), ""}; }

store::StageKey fingerprint_key() { return {kFingerprintStage, "", video::kFingerprintVersion, ""}; }

namespace {

Result<StageOutput> find_quality(const StageInput& input) {
  const auto quality = input.of_condensed_or_pixels(
      [&](const auto& picture) { return vision::rate_quality(vision::measure_quality(input.luma, picture)); });
  return StageOutput{json_text(nlohmann::json(quality)), {}};
}

Result<StageOutput> find_hashes(const StageInput& input) {
  const nlohmann::json data = input.of_condensed_or_pixels([](const auto& picture) {
    const vision::PerceptualHashes hashes = vision::perceptual_hashes(picture);
    return nlohmann::json{{"dhash", vision::to_hex(hashes.dhash)},
                          {"phash", vision::to_hex(hashes.phash)},
                          {"colours", vision::to_hex(vision::colour_signature(picture))}};
  });
  return StageOutput{json_text(data), {}};
}

constexpr StageRow kStageRows[] = {
    {kMetadataStage, Pass::kHeaders, false, nullptr},  // its record is the file's, not the asset's
    {kContentStage, Pass::kPictures, false, nullptr},
    {kDecodeStage, Pass::kPictures, false, nullptr},
    {kThumbnailStage, Pass::kPictures, true, nullptr},
    {kQualityStage, Pass::kPictures, true, "quality"},
    {kHashStage, Pass::kPictures, true, "hashes"},
    {kObjectsStage, Pass::kPictures, true, ""},
    {kEmbeddingStage, Pass::kPictures, true, nullptr},
    {kFeaturesStage, Pass::kPictures, true, nullptr},
    {kSceneStage, Pass::kPictures, true, "scene"},
    {kTextStage, Pass::kPictures, true, ""},
    {kSegmentationStage, Pass::kPictures, true, ""},
    {kActionsStage, Pass::kPictures, true, ""},
    {kSpeechMeaningStage, Pass::kPictures, false, nullptr},
    {kVideoStage, Pass::kPictures, true, nullptr},
    {kSpeechStage, Pass::kPictures, true, nullptr},
    {kSoundsStage, Pass::kPictures, true, nullptr},
    {kLoudnessStage, Pass::kPictures, true, "loudness"},
    {kLivePhotoStage, Pass::kHeaders, false, ""},
    {kFingerprintStage, Pass::kPictures, false, nullptr},
    {kPluginsStage, Pass::kPictures, true, "plugins"},
    {kRetailProductsStage, Pass::kServers, true, "retail_products"},
    {kDescriptionStage, Pass::kServers, true, "caption"},  // "description" is from the file's metadata
};

}  // namespace

store::Record record_of(const PictureStage& stage, std::string data) {
  auto [device, precision] = stage.placement();
  return {stage.key, std::move(device), std::move(precision), std::move(data), ""};
}

std::vector<Result<StageOutput>> run_each(const PictureStage& stage, std::span<StageWork> works) {
  std::vector<Result<StageOutput>> each;
  Result<std::vector<StageOutput>> all = stage.run(works);
  if (all)
    for (StageOutput& output : *all) each.emplace_back(std::move(output));
  else if (works.size() == 1)
    each.emplace_back(fail(all.error()));
  else
    for (StageWork& work : works) each.push_back(std::move(run_each(stage, {&work, 1}).front()));
  return each;
}

void run_alone(PictureStage& stage, std::function<Result<StageOutput>(const StageInput&)> find) {
  stage.batch = 1;
  stage.prepare = [find = std::move(find)](const StageInput& input) -> Result<StageWork> {
    IE_TRY(StageOutput output, find(input));
    return output;
  };
  stage.run = [](std::span<StageWork> works) -> Result<std::vector<StageOutput>> {
    std::vector<StageOutput> outputs;
    for (StageWork& work : works) outputs.push_back(std::move(std::get<StageOutput>(work)));
    return outputs;
  };
}

const std::vector<PictureStage>& picture_stages() {
  static const std::vector<PictureStage> kStages = [] {
    std::vector<PictureStage> stages = {{quality_key(), kWorkingEdge, true}, {hash_key(), kWorkingEdge, false}};
    run_alone(stages[0], find_quality);
    run_alone(stages[1], find_hashes);
    return stages;
  }();
  return kStages;
}

std::span<const StageRow> stage_rows() { return kStageRows; }

std::vector<std::string> stage_names(Pass pass) {
  std::vector<std::string> names;
  for (const StageRow& row : kStageRows)
    if (row.pass == pass && row.selectable) names.emplace_back(row.name);
  return names;
}

const std::vector<store::JsonSection>& json_sections() {
  static const std::vector<store::JsonSection> kSections = [] {
    std::vector<store::JsonSection> sections;
    for (const StageRow& row : kStageRows)
      if (row.section != nullptr) sections.push_back({row.name, row.section});
    return sections;
  }();
  return kSections;
}

store::StageKey thumbnail_key(const Config& config) {
  const std::string params = fmt::format("size={} quality={}", config.thumbnails.size, config.thumbnails.quality);
  return {kThumbnailStage, "jpeg", "2", hash128(params).hex().substr(0, 16)};
}

}  // namespace image_engine::pipeline
