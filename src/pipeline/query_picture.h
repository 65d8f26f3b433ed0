// A picture that a person asks with: it need not be in the catalogue.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "preprocess/plan.h"
#include "types/image.h"

namespace image_engine::pipeline {

// Decodes the picture in `path`, its longer edge at least `edge` where it has that much, and shows it to `see`, with
// the photo's own size.
Status look_at(const std::string& path, const Config& config, std::uint32_t edge,
               const std::function<Status(const ImageView&, preprocess::FullSize)>& see);

// The frames of the video in `path` that are shown at these times in seconds, their longer edge at most `edge`, in that
// order.
Status see_frames(const std::string& path, const Config& config, std::uint32_t edge, std::span<const double> times,
                  const std::function<Status(const ImageView&, preprocess::FullSize)>& see);

// The perceptual hashes (phash) of the picture in `path` and its seven rotated and mirrored versions.
Result<std::vector<std::uint64_t>> query_hashes(const std::string& path, const Config& config);

}  // namespace image_engine::pipeline
