// A part of a video as a file of its own, and a video as a short animation.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "core/config.h"
#include "core/result.h"
#include "worker/protocol.h"

namespace image_engine::pipeline {

struct Clip {
  worker::CutSummary cut;
  std::uint64_t bytes = 0;
};

// Copies the part of the video in `path` into the file `target`, which is written beside and renamed. Errors: those of
// media::cut_video() and of writing, kInterrupted once `stop` is requested; `target` is then as it was.
Result<Clip> write_clip(const std::string& path, const Config& config, const worker::CutTask& part,
                        const std::string& target, const std::stop_token& stop = {});

// Some frames of the video in `path` as an animated WebP, which is written beside `target` and renamed. Returns its
// size in bytes. Errors as write_clip().
Result<std::uint64_t> write_preview(const std::string& path, const Config& config, const worker::PreviewTask& preview,
                                    const std::string& target);

}  // namespace image_engine::pipeline
