// Installed plugins as stages of pass 2: what they find in photos becomes records.
#pragma once

#include <string>
#include <vector>

#include "core/config.h"
#include "pipeline/stages.h"

namespace image_engine::pipeline {

struct PluginStages {
  std::vector<PictureStage> stages;
  std::vector<std::string> notes;  // why one that is configured is left out
};

// Of the plugins in `plugins.stages`: each runs on the whole photo with its defaults, and its records are kept, by the
// names of its outputs. It may ask where things are and what belongs to a subject; the models that answer are not part
// of its key. Its stage is "plugins:NAME", anew with another file of it. Left out are those that are not installed,
// refused or set aside, that make no record, and that need more than the photo.
PluginStages plugin_stages(const Config& config);

// The names of stages, in which "plugins" stands for all of these, too.
std::vector<std::string> with_plugin_stages(std::vector<std::string> names, const Config& config);

}  // namespace image_engine::pipeline
