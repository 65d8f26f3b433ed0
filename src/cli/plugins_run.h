// `plugins run` and `plugins validate`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/app.h"
#include "core/result.h"
#include "plugins/store.h"

namespace image_engine::cli {

struct PluginRunFlags {
  std::string name, folder;
  std::vector<std::string> files, values, inputs;  // values and inputs: NAME=…
  std::string format = "png", video_format = "webm";
  std::uint32_t quality = 90;
  bool force = false;
};

// Runs the installed plugin on each photo and video and writes its outputs into the folder. The exit code: kDone,
// kFailed (nothing was made), kDoneWithFailures, kInterrupted.
Result<int> run_plugin_command(const Context& context, const plugins::Store& store, const PluginRunFlags& flags);

// Loads a plugin's file and runs it on small pictures of many shapes; the exit code says whether it keeps to plugin.h.
Result<int> validate_plugin(const Context& context, const plugins::Store& store, const std::string& file);

}  // namespace image_engine::cli
