// A picture that a person asks with: it need not be in the catalogue.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"

namespace image_engine::pipeline {

// The perceptual hashes (phash) of the picture in `path` and its seven rotated and mirrored versions.
Result<std::vector<std::uint64_t>> query_hashes(const std::string& path, const Config& config);

}  // namespace image_engine::pipeline
