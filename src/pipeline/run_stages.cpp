#include "pipeline/run_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "pipeline/plugin_stages.h"
#include "pipeline/video_summary.h"

namespace image_engine::pipeline {

Status RunStages::choose() {
  const PhaseClock::Scope phase(run_.clock, run_.report.loading);
  if (std::exchange(chosen_, true)) return {};
  stages_ = picture_stages();
  IE_TRY(std::vector<PictureStage> with_models, meaning_.choose());
  std::ranges::move(with_models, std::back_inserter(stages_));
  PluginStages plugins = plugin_stages(run_.options.config);
  std::ranges::move(plugins.notes, std::back_inserter(run_.report.notes));
  of_videos_ = meaning_.choose_of_videos();
  const auto is_left_out = [&](const PictureStage& stage) { return !run_.asked_for(stage.key.stage); };
  std::erase_if(of_videos_, is_left_out);
  std::erase_if(stages_, is_left_out);
  own_ = stages_.size();
  std::erase_if(plugins.stages, is_left_out);
  std::ranges::move(plugins.stages, std::back_inserter(stages_));
  return {};
}

void RunStages::load_ahead() {
  ahead_ = std::async(std::launch::async, [this] {
    // Plugins' processes would end with the thread that starts them.
    for (PictureStage& stage : std::span(stages_).first(own_))
      if (stage.load && !run_.cancelled()) (void)stage.load(stage);
  });
}

Result<bool> RunStages::load(const std::function<bool(const PictureStage&)>& has_work) {
  const PhaseClock::Scope phase(run_.clock, run_.report.loading);
  if (ahead_.valid()) ahead_.get();
  IE_TRY(const bool left_out, load(stages_, has_work));
  // Its own model is needed only where the other stage's vectors are not at hand.
  for (PictureStage& stage : of_videos_)
    if (stage.follows && has_work(stage) && std::ranges::none_of(stages_, [&](const PictureStage& other) {
          return other.key == *stage.follows && other.is_loaded();
        }))
      stage.follows.reset();
  IE_TRY(const bool left_out_of_videos, load(of_videos_, has_work));
  return left_out || left_out_of_videos;
}

Result<bool> RunStages::load(std::vector<PictureStage>& stages,
                             const std::function<bool(const PictureStage&)>& has_work) {
  std::vector<PictureStage> ready;
  for (PictureStage& stage : stages) {
    const Status loaded = !stage.load || stage.is_loaded() || !has_work(stage) ? Status{} : stage.load(stage);
    if (loaded)
      ready.push_back(std::move(stage));
    else if (run_.options.config.inference.require_gpu && loaded.error().code == ErrorCode::kUnsupported)
      return fail(loaded.error());
    else
      run_.report.notes.push_back(fmt::format("{}: left out: {}", stage.key.stage, loaded.error().message));
  }
  const bool left_out = ready.size() < stages.size();
  stages = std::move(ready);
  return left_out;
}

std::vector<const PictureStage*> RunStages::of_frames() const {
  std::vector<const PictureStage*> stages;
  for (const std::vector<PictureStage>* list : {&stages_, &of_videos_})
    for (const PictureStage& stage : *list)
      if (video_stage(stage.key.stage) != nullptr) stages.push_back(&stage);
  return stages;
}

}  // namespace image_engine::pipeline
