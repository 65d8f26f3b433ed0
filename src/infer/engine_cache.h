// Engines that were built once and are loaded from then on.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "core/temporary_folder.h"
#include "infer/engine_build.h"

namespace image_engine::infer {

// Puts what lies at `built` at `engine`, with its loader and, last, its sidecar: without that nobody uses it. All three
// are whole or not there. `built` must be of the same file system.
Status publish_engine(const std::string& built, const std::string& engine, EngineRecord record);

// Builds into the folder: build_engine(), or a test's.
using BuildEngine = std::function<Result<EngineRecord>(const std::string& folder)>;

struct ReadyEngine {
  std::string model;                            // what to load
  bool built = false;                           // just now
  std::shared_ptr<TemporaryFolder> until_then;  // where it lies when it cannot be kept; to be held while it is loaded
};

// The engine of `identity` from `folder`/<key>/<name>.engine. Built when it is not there, stale, cut short or changed:
// once, by one process, for which others wait. A folder that cannot be written is told once in the log, and the engine
// is built for this session alone. Engines of that name by other versions of driver or libraries are removed. Errors:
// those of `build`, kInterrupted.
Result<ReadyEngine> ready_engine(const std::string& folder, const std::string& name, const EngineIdentity& identity,
                                 const BuildEngine& build, const std::stop_token& stop);

// The same of a model on this machine: what Session::create() does where a cache folder is named.
Result<ReadyEngine> engine_for(const std::string& model, const SessionOptions& options);

// An engine that somebody built of `model` before, at whatever precision and batches. Errors: those of check_engine(),
// engine_identity(); kNotFound: its loader is gone.
Result<ReadyEngine> prebuilt_engine(const std::string& engine, const std::string& model, int device);

}  // namespace image_engine::infer
