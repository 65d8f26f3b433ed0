// Answers requests until the engine hangs up.
#pragma once

#include <string>

#include "worker/protocol.h"

namespace image_engine::worker {

// Says hello with the layers that hold and what is amiss (empty: nothing), then serves kSocketFd with results in the
// shared memory behind kMemoryFd. Returns the program's exit code.
int serve(const Layers& layers, std::string problem);

}  // namespace image_engine::worker
