// Sends the sound of a video or of a recording to the engine as samples.
#pragma once

#include <cstddef>
#include <span>

#include "media/media.h"
#include "worker/protocol.h"

namespace image_engine::worker {

// Decodes as the request says and sends chunks in slots of `memory`, which is all of the shared memory. Waits where the
// engine has released none. Errors: those of media::SoundReader; what was sent before one counts.
Result<SoundSummary> send_sound(std::span<std::byte> memory, media::Bytes file, const Request& request);

}  // namespace image_engine::worker
