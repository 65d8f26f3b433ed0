// Building TensorRT engines, in a process of its own: a builder that crashes or takes all memory is a message.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "infer/engine.h"

namespace image_engine::infer {

struct EngineJob {
  std::string model;       // ONNX
  SessionOptions options;  // `tensorrt` is set; its cache_folder is where timings are kept between builds, if any
};

// What whoever waits for a build sees and says.
struct BuildWatch {
  std::function<void(double seconds)> waiting = [](double) {};  // a few times a second
  std::stop_token stop;
};

// Builds into `folder`/engine; the record lacks identity, size and checksum, which who publishes it adds. The process
// is this program's own: image-engine beside the running one. Errors: kUnsupported (an operator that TensorRT does not
// take, with each line that its parser wrote; a graph that it takes only in parts, with the nodes left over),
// kOutOfMemory, kCrashed, kInterrupted, those of check_provider() and Session::create().
Result<EngineRecord> build_engine(const EngineJob& job, const std::string& folder, const BuildWatch& watch);

// The same in this process: what the other one runs. Leaves `engine` and its sidecar.
Status build_engine_here(const EngineJob& job, const std::string& engine);

// Of what a failed build wrote to stderr: why, in one or more lines.
Error build_error(std::string_view written, int exit_code, int signal);

// The name of the built file in a folder.
inline constexpr const char* kBuiltEngine = "engine";

}  // namespace image_engine::infer
