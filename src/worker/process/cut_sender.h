// Sends a part of a video to the engine as the bytes of a file.
#pragma once

#include <cstddef>
#include <span>

#include "media/media.h"
#include "worker/protocol.h"

namespace image_engine::worker {

// Cuts as the request says and sends the parts in slots of `memory`, which is all of the shared memory. Waits where the
// engine has released none. Errors: those of media::cut_video().
Result<CutSummary> send_cut(std::span<std::byte> memory, media::Bytes file, const Request& request);

}  // namespace image_engine::worker
