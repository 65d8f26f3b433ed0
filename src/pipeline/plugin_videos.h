// Videos through a plugin that makes pictures, frame by frame.
#pragma once

#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "pipeline/plugin_photos.h"
#include "pipeline/video_edit.h"
#include "plugins/plugin.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

struct PluginVideo {
  RewrittenFile file;
  std::vector<std::string> messages;  // of the plugin, each once
};

// The plugin's first output that is a picture of its input's size. kUnsupported: it has none, and takes photos only.
Result<std::size_t> video_output(const plugins::Description& description);

// Whether that output has transparency, by the first frame. Errors as of run_plugin().
Result<bool> is_transparent(plugins::Plugin& plugin, worker::Pool& pool, const std::string& video,
                            const PhotoOptions& options, const plugins::RunWatch& watch);

// Gives each frame, upright and in sRGB, to the plugin, and writes what it makes into `target`. Masks that it asks for
// are steady from frame to frame. `coding` is not kAsSource. Errors: those of Plugin::run() and rewrite_video().
Result<PluginVideo> run_plugin_on_video(plugins::Plugin& plugin, worker::Pool& pool, const Config& config,
                                        const std::string& video, const PhotoOptions& options, ClipFormat format,
                                        VideoCoding coding, const std::string& target, plugins::RunWatch run_watch,
                                        const VideoWatch& watch);

}  // namespace image_engine::pipeline
