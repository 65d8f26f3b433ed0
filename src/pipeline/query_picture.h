// A picture given as a query; it need not be in the catalogue.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "preprocess/plan.h"
#include "types/image.h"

namespace image_engine::pipeline {

// Decodes the picture in `path`, with a longer edge of at least `edge` pixels if the photo is that large, and calls
// `use` with it and the photo's full size. `orientation`: EXIF's number that turns it upright; 0: as the file says.
Status with_picture(const std::string& path, const Config& config, std::uint32_t edge,
                    const std::function<Status(const ImageView&, preprocess::FullSize)>& use,
                    std::uint32_t orientation = 0);

// The frames of the video in `path` that are shown at these times in seconds, their longer edge at most `edge`, in that
// order.
Status with_frames(const std::string& path, const Config& config, std::uint32_t edge, std::span<const double> times,
                   const std::function<Status(const ImageView&, preprocess::FullSize)>& use);

// The frame of a video that is meant by a query, seconds; nullopt: the file is a picture.
using FrameTime = std::optional<double>;

// with_picture(), or with_frames() of that one frame.
Status with_query(const std::string& path, FrameTime at, const Config& config, std::uint32_t edge,
                  const std::function<Status(const ImageView&, preprocess::FullSize)>& use);

// The perceptual hashes (phash) of the picture and its seven rotated and mirrored versions.
Result<std::vector<std::uint64_t>> query_hashes(const std::string& path, FrameTime at, const Config& config);

}  // namespace image_engine::pipeline
