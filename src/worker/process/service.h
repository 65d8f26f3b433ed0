// Answers requests until the engine closes the socket.
#pragma once

#include <string>

#include "worker/protocol.h"

namespace image_engine::worker {

// Sends Hello with the layers that hold and the problem (empty: none), then serves kSocketFd with results in the shared
// memory behind kMemoryFd. Returns the program's exit code.
int serve(const Layers& layers, std::string problem);

}  // namespace image_engine::worker
