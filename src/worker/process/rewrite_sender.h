// Writes a video anew and sends it to the engine as the bytes of a file, asking the engine about each frame.
#pragma once

#include <cstddef>
#include <span>

#include "media/media.h"
#include "worker/protocol.h"

namespace image_engine::worker {

// `memory`: all of the shared memory. `answers`: the descriptor of the file that the engine answers in. Waits where the
// engine has released none of the slots, and for each answer. Errors: those of media::rewrite_video(); kIo: an answer
// cannot be read.
Result<RewriteSummary> send_rewritten(std::span<std::byte> memory, media::Bytes file, int answers,
                                      const Request& request);

}  // namespace image_engine::worker
