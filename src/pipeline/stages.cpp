#include "pipeline/stages.h"

#include <fmt/format.h>

#include "core/hash.h"

namespace image_engine::pipeline {

store::StageKey metadata_key() { return {kMetadataStage, "", "1", ""}; }

store::StageKey content_key() { return {kContentStage, "", "1", ""}; }

store::StageKey thumbnail_key(const Config& config) {
  const std::string params = fmt::format("size={} quality={}", config.thumbnails.size, config.thumbnails.quality);
  return {kThumbnailStage, "jpeg", "1", hash128(params).hex().substr(0, 16)};
}

}  // namespace image_engine::pipeline
