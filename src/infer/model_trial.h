// Models of the user's own: loaded and run in a process of little memory and time first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"

namespace image_engine::infer {

// Loads each ONNX file and runs it once on zeros, on the CPU, in a process of its own (image-engine beside the
// running one), within the limits of runs (run_watch.h) and 4 GiB of memory and eight times the `bytes` of the files.
// What passed is kept in `memory_folder` under `key`, and not tried again. A model that fails with a message passes: it
// does so anywhere. Errors: kTimeout, kOutOfMemory, kCrashed, kInterrupted; kIo when the process cannot be started.
struct ModelTrial {
  std::vector<std::string> files;
  std::uint64_t bytes = 0;
  std::string key;
  std::string memory_folder;
};
Status try_model(const ModelTrial& trial);

// The exit code of that process for an error: its ErrorCode and this.
inline constexpr int kTrialCodes = 64;

// What that process does. Limits this process's memory for good.
Status try_model_here(const std::string& file, std::uint64_t memory);

}  // namespace image_engine::infer
