#include "pipeline/run_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace image_engine::pipeline {

Status RunStages::choose() {
  if (std::exchange(chosen_, true)) return {};
  stages_ = picture_stages();
  IE_TRY(std::vector<PictureStage> with_models, meaning_.choose());
  std::ranges::move(with_models, std::back_inserter(stages_));
  std::erase_if(stages_, [&](const PictureStage& stage) { return !run_.asked_for(stage.key.stage); });
  return {};
}

Result<bool> RunStages::load(const std::function<bool(const PictureStage&)>& has_work) {
  std::vector<PictureStage> ready;
  for (PictureStage& stage : stages_) {
    const Status loaded = !stage.load || stage.is_loaded() || !has_work(stage) ? Status{} : stage.load(stage);
    if (loaded)
      ready.push_back(std::move(stage));
    else if (run_.options.config.inference.require_gpu && loaded.error().code == ErrorCode::kUnsupported)
      return fail(loaded.error());
    else
      run_.report.notes.push_back(fmt::format("{}: left out: {}", stage.key.stage, loaded.error().message));
  }
  const bool left_out = ready.size() < stages_.size();
  stages_ = std::move(ready);
  return left_out;
}

}  // namespace image_engine::pipeline
