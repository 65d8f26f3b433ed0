// Answers requests until the engine hangs up.
#pragma once

namespace image_engine::worker {

// Serves kSocketFd with results in the shared memory behind kMemoryFd. Returns the program's exit code.
int serve();

}  // namespace image_engine::worker
