#include "pipeline/plugin_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/json.h"
#include "pipeline/plugin_detectors.h"
#include "pipeline/plugin_photos.h"
#include "pipeline/segment.h"
#include "plugins/store.h"

namespace image_engine::pipeline {
namespace {

std::string stage_of(const std::string& plugin) { return fmt::format("{}:{}", kPluginsStage, plugin); }

// What stages answer when a plugin asks; models are loaded at its first question. One answer at a time.
class StageAnswers {
 public:
  explicit StageAnswers(const Config& config) : config_(config), detectors_(config, {}) {}

  Result<std::vector<std::uint8_t>> segment(const ImageView& picture, const std::string& target) {
    const std::lock_guard lock(mutex_);
    if (!segmenter_) {
      IE_TRY(segmenter_, PictureSegmenter::open(config_));
    }
    IE_TRY(Segmented found, segmenter_->segment(picture, target));
    return std::move(found.alpha);
  }
  Result<std::vector<plugins::FoundRegion>> detect(const ImageView& picture, const std::string& what) {
    const std::lock_guard lock(mutex_);
    return detectors_.find(picture, what);
  }

 private:
  const Config config_;
  std::mutex mutex_;
  std::optional<PictureSegmenter> segmenter_;
  PluginDetectors detectors_;
};

plugins::RunWatch watch_with(const std::shared_ptr<StageAnswers>& answers) {
  plugins::RunWatch watch;
  watch.offers.segment = [answers](const ImageView& picture, const std::string& target) {
    return answers->segment(picture, target);
  };
  watch.offers.detect = [answers](const ImageView& picture, const std::string& what) {
    return answers->detect(picture, what);
  };
  return watch;
}

// Processes of one plugin, as many as threads want at once. Thread-safe.
class PluginProcesses {
 public:
  PluginProcesses(plugins::Store store, std::string name, plugins::RunWatch watch)
      : store_(std::move(store)), name_(std::move(name)), watch_(std::move(watch)) {}

  Result<StageOutput> find(const StageInput& input) {
    IE_TRY(std::unique_ptr<plugins::Plugin> plugin, take());
    Result<StageOutput> output = run(*plugin, input, watch_);
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(plugin));
    return output;
  }

  Status start() {
    IE_TRY(std::unique_ptr<plugins::Plugin> plugin, take());
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(plugin));
    return {};
  }

 private:
  Result<std::unique_ptr<plugins::Plugin>> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        std::unique_ptr<plugins::Plugin> plugin = std::move(idle_.back());
        idle_.pop_back();
        return plugin;
      }
    }
    return store_.load(name_);
  }

  static Result<StageOutput> run(plugins::Plugin& plugin, const StageInput& input, const plugins::RunWatch& watch) {
    IE_TRY(const ImageView photo, input.larger(std::max(input.full_width, input.full_height)));
    const plugins::Description& about = plugin.description();
    std::vector<plugins::Input> inputs(about.inputs.size());
    inputs[0].picture = {3, photo.width, photo.height, photo.pixels};
    const worker::SharedPixels shared = input.shared ? input.shared(photo) : worker::SharedPixels{};
    inputs[0].descriptor = shared.descriptor, inputs[0].offset = shared.offset;
    IE_TRY(const std::vector<plugins::Value> values, plugins::parameter_values(about, {}));
    IE_TRY(const plugins::RunResult result, plugin.run(inputs, values, watch));
    nlohmann::json records = nlohmann::json::object();
    for (std::size_t i = 0; i < about.outputs.size(); ++i)
      if (!result.outputs[i].record.empty()) records[about.outputs[i].name] = parse_json(result.outputs[i].record);
    return StageOutput{json_text(records), {}};
  }

  const plugins::Store store_;
  const std::string name_;
  const plugins::RunWatch watch_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<plugins::Plugin>> idle_;
};

// Why it cannot be a stage; "": it can.
std::string obstacle(const plugins::Installed* plugin) {
  if (plugin == nullptr) return "it is not installed (image-engine plugins list)";
  if (plugin->standing != plugins::Standing::kReady) return plugin->reason;
  const plugins::Description& about = plugin->description;
  const auto is_record = [](const plugins::Port& port) { return port.kind == plugins::PortKind::kRecord; };
  if (std::ranges::none_of(about.outputs, is_record)) return "it makes no record";
  if (!std::all_of(about.inputs.begin() + 1, about.inputs.end(),
                   [](const plugins::Port& port) { return port.optional; }))
    return "it needs more than the photo";
  return "";
}

PictureStage stage_for(const plugins::Store& store, const plugins::Installed& plugin,
                       const std::shared_ptr<StageAnswers>& answers) {
  PictureStage stage;
  stage.key = {stage_of(plugin.name), plugin.name, plugin.description.version, plugin.sha256.substr(0, 16)};
  stage.edge = kWorkingEdge;
  stage.load = [processes = std::make_shared<PluginProcesses>(store, plugin.name, watch_with(answers))](
                   PictureStage& loaded) -> Status {
    IE_CHECK(processes->start());
    run_alone(loaded, [processes](const StageInput& input) { return processes->find(input); });
    return {};
  };
  return stage;
}

}  // namespace

PluginStages plugin_stages(const Config& config) {
  PluginStages made;
  if (config.plugins.stages.empty()) return made;
  const plugins::Store store(plugin_options(config));
  const Result<std::vector<plugins::Installed>> all = store.list();
  if (!all) made.notes.push_back(fmt::format("{}: left out: {}", kPluginsStage, all.error().message));
  if (!all) return made;
  const auto answers = std::make_shared<StageAnswers>(config);
  for (const std::string& name : config.plugins.stages) {
    const auto found = std::ranges::find(*all, name, &plugins::Installed::name);
    const plugins::Installed* plugin = found == all->end() ? nullptr : &*found;
    if (const std::string why = obstacle(plugin); !why.empty())
      made.notes.push_back(fmt::format("{}: left out: {}", stage_of(name), why));
    else
      made.stages.push_back(stage_for(store, *plugin, answers));
  }
  return made;
}

std::vector<std::string> with_plugin_stages(std::vector<std::string> names, const Config& config) {
  if (std::ranges::find(names, kPluginsStage) == names.end()) return names;
  for (const std::string& plugin : config.plugins.stages) names.push_back(stage_of(plugin));
  return names;
}

}  // namespace image_engine::pipeline
