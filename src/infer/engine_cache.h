// A cache of engines: each is built once, then loaded.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "core/temporary_folder.h"
#include "infer/engine_build.h"

namespace image_engine::infer {

// Moves the file `built` to `engine`, and writes its loader and, last, its sidecar, without which an engine is not
// used. Each of the three appears complete or not at all. `built` must be on the same file system.
Status publish_engine(const std::string& built, const std::string& engine, EngineRecord record);

// Builds into the folder: build_engine(), or a test's function.
using BuildEngine = std::function<Result<EngineRecord>(const std::string& folder)>;

struct ReadyEngine {
  std::string model;                            // the file to load
  bool built = false;                           // by this call
  std::shared_ptr<TemporaryFolder> until_then;  // holds an engine that could not be cached; keep it while it is loaded
};

// The engine of `identity` from `folder`/<key>/<name>.engine. Built when it is missing, stale, truncated or changed: by
// one process, while others wait. If the folder cannot be written, this is logged once, and the engine is built for
// this session only. Removes engines of that name for other versions of driver or libraries. Errors: those of `build`,
// kInterrupted.
Result<ReadyEngine> ready_engine(const std::string& folder, const std::string& name, const EngineIdentity& identity,
                                 const BuildEngine& build, const std::stop_token& stop);

// The same for a model on this machine, as Session::create() does when it has a cache folder.
Result<ReadyEngine> engine_for(const std::string& model, const SessionOptions& options);

// A prebuilt engine of `model`, at any precision and batches. Errors: those of check_engine(), engine_identity();
// kNotFound: its loader is missing.
Result<ReadyEngine> prebuilt_engine(const std::string& engine, const std::string& model, int device);

}  // namespace image_engine::infer
