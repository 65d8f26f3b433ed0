// Builds TensorRT engines in a separate process: a builder that crashes or takes all memory causes only an error.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "infer/engine.h"

namespace image_engine::infer {

struct EngineJob {
  std::string model;       // ONNX
  SessionOptions options;  // `tensorrt` is set; its cache_folder, if any, keeps timings between builds
};

// The caller's callbacks while it waits for a build.
struct BuildWatch {
  std::function<void(double seconds)> waiting = [](double) {};  // called a few times a second
  std::stop_token stop;
};

// Builds into `folder`/engine; the record lacks identity, size and checksum, which publish_engine() adds. The process
// runs the image-engine beside the running program. Errors: kUnsupported (an operator that TensorRT does not support,
// with each line of its parser; a graph that it supports only in part, with the remaining nodes), kOutOfMemory,
// kCrashed, kInterrupted, those of check_provider() and Session::create().
Result<EngineRecord> build_engine(const EngineJob& job, const std::string& folder, const BuildWatch& watch);

// The same in this process, as run by the separate one. Writes `engine` and its sidecar.
Status build_engine_here(const EngineJob& job, const std::string& engine);

// The cause of a failed build from its stderr, in one or more lines.
Error build_error(std::string_view written, int exit_code, int signal);

// The file name of the built engine in a folder.
inline constexpr const char* kBuiltEngine = "engine";

}  // namespace image_engine::infer
