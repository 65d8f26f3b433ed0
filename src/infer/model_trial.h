// Tries a user's model in a process with limited memory and time before this one loads it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"

namespace image_engine::infer {

// Loads each ONNX file and runs it once on zeros, on the CPU, in a separate process (image-engine beside the running
// program), limited by run_watch.h and to 4 GiB of memory plus eight times the `bytes` of the files. A pass is stored
// in `memory_folder` under `key`, and not tried again. A model that fails with an error message passes: it is harmless
// in this process, too. Errors: kTimeout, kOutOfMemory, kCrashed, kInterrupted; kIo when the process cannot be started.
struct ModelTrial {
  std::vector<std::string> files;
  std::uint64_t bytes = 0;
  std::string key;
  std::string memory_folder;
};
Status try_model(const ModelTrial& trial);

// The process exits with this plus the ErrorCode of an error.
inline constexpr int kTrialCodes = 64;

// The work of that process. Limits this process's memory permanently.
Status try_model_here(const std::string& file, std::uint64_t memory);

}  // namespace image_engine::infer
