// The stages of a run that analyze pictures: chosen once, for the passes of photos and of videos.
#pragma once

#include <functional>
#include <future>
#include <vector>

#include "pipeline/meaning.h"
#include "pipeline/run.h"
#include "pipeline/stages.h"

namespace image_engine::pipeline {

// The main thread's, between passes; during one, all() is read by its threads.
class RunStages {
 public:
  explicit RunStages(Run& run) : run_(run), meaning_(run) {}

  // Those that the run was asked for and whose models are installed. Does nothing when called again.
  Status choose();
  // Begins to load the models of photos' stages on another thread, for a run that is sure to need them: load() waits
  // for it, and tries those again that could not be loaded. After choose().
  void load_ahead();
  // Gets those ready for which `has_work` holds. One that cannot be is left out of this run, with a note: true then. An
  // error where a GPU was required and none is available.
  Result<bool> load(const std::function<bool(const PictureStage&)>& has_work);

  // Of photos.
  [[nodiscard]] const std::vector<PictureStage>& all() const { return stages_; }
  // Of frames of videos.
  [[nodiscard]] std::vector<const PictureStage*> of_frames() const;
  [[nodiscard]] Meaning& meaning() { return meaning_; }

 private:
  Run& run_;
  Meaning meaning_;
  Result<bool> load(std::vector<PictureStage>& stages, const std::function<bool(const PictureStage&)>& has_work);

  std::vector<PictureStage> stages_, of_videos_;
  std::size_t own_ = 0;  // the first so many stages are none of plugins
  bool chosen_ = false;
  std::future<void> ahead_;  // the last member: its thread reads the others until it ends
};

}  // namespace image_engine::pipeline
