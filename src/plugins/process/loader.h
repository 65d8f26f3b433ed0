// Loads the plugin behind the wall.
#pragma once

#include <image_engine/plugin.h>
#include "core/result.h"
#include "plugins/description.h"

namespace image_engine::plugins {

// Before the wall stands: the libraries that a plugin may need, and the handler that hands the plugin's descriptor to
// the loader, once, when it opens the one name that it can.
Status prepare_loader();

// The plugin as its header of any 1.x describes it; what it lacks is zero.
struct LoadedPlugin {
  ie_plugin table{};
  Description description;
};
// Behind the wall: loads kPluginFd, whose constructors run now. `by_handler`: openat() raises SIGSYS; else the file is
// opened under /proc, where that is. kUnsupported, for a person: not a shared object, a library or symbol is missing,
// not a plugin, another ABI. Not more than once.
Result<LoadedPlugin> load_plugin(bool by_handler);

}  // namespace image_engine::plugins
