// `plugins run` on videos.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/app.h"
#include "cli/photo_outputs.h"
#include "cli/plugins_run.h"
#include "core/result.h"
#include "pipeline/plugin_photos.h"
#include "pipeline/video_edit.h"
#include "plugins/plugin.h"
#include "worker/pool.h"

namespace image_engine::cli {

// What a run made of a photo or a video.
struct WrittenOutput {
  std::string output, path;
  std::uint32_t width = 0, height = 0;  // 0 of a record
};
struct MadeOutputs {
  std::vector<WrittenOutput> files;
  std::vector<std::string> messages;
  double seconds = 0;
};

// A plugin of the program hides, or cuts out, in a way of the engine's own that follows things through the video; every
// other one is given the frames. Not thread-safe.
class PluginVideos {
 public:
  // All must outlive it. `is_shipped`: the plugin comes with the program.
  PluginVideos(const Context& context, const PluginRunFlags& flags, plugins::Plugin& plugin, bool is_shipped,
               const pipeline::PhotoOptions& options, const OutputFolder& folder)
      : context_(context),
        flags_(flags),
        plugin_(plugin),
        is_shipped_(is_shipped),
        options_(options),
        folder_(folder) {}

  // `beginning`: of the outputs' names. Errors: of OutputFolder::path_of(), kInvalidArgument (a parameter), those of
  // the way that is taken.
  Result<MadeOutputs> run(const std::string& video, const std::string& beginning, const plugins::RunWatch& run_watch,
                          const pipeline::VideoWatch& watch);

 private:
  struct Video {
    const std::string& path;
    const std::string& beginning;
    const plugins::RunWatch& run_watch;
    const pipeline::VideoWatch& watch;
    worker::Pool& pool;
  };
  using Way = Result<MadeOutputs> (PluginVideos::*)(const Video&);
  Result<MadeOutputs> hide(const Video& video);
  Result<MadeOutputs> isolate(const Video& video);
  Result<MadeOutputs> frame_by_frame(const Video& video);
  [[nodiscard]] const plugins::Value& value(const std::string& name) const;

  const Context& context_;
  const PluginRunFlags& flags_;
  plugins::Plugin& plugin_;
  bool is_shipped_;
  const pipeline::PhotoOptions& options_;
  const OutputFolder& folder_;
  std::unique_ptr<worker::Pool> pool_;  // started by the first video
};

}  // namespace image_engine::cli
