// Frames of videos for cloud models: which are asked about, and what is kept of the answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/hash.h"
#include "core/result.h"
#include "nvidia/endpoint.h"
#include "pipeline/run.h"
#include "pipeline/stages.h"
#include "store/catalogue.h"

namespace image_engine::pipeline {

// One kind of request to cloud models, and the stage that its answers are recorded for.
struct CloudTask {
  nvidia::Task task{};
  store::StageKey key;
  bool of_frames = false;   // of videos; else of photos
  std::string prompt = {};  // of a description
};

// Whether a run with this configuration sends frames, where cloud models are enabled.
bool sends_frames(const Config& config);
// The key of a video's own record when all wanted frames have an answer. `question`: CloudModels::params().
store::StageKey frames_key(const char* stage, const std::string& endpoint, const std::string& question,
                           const Config& config);

// An analyzed frame, with what stages recorded at it.
struct CloudFrame {
  store::Moment moment;
  std::vector<store::MomentRecord> records;
  bool is_wanted = true;  // is to be asked about
  // Its name in the journal and the cache, where a photo has the hash of its content.
  [[nodiscard]] Hash128 content(const Hash128& video) const;
};
// The frames of a video in order of time; wanted are `all`, or the best one of each scene. Errors: the catalogue's.
Result<std::vector<CloudFrame>> frames_of(const store::CatalogueReader& reader, store::AssetId asset, bool all);
// A frame as privacy is checked: the video's files, and the frame's records with the keys of the video's own ones.
store::AssetRecord frame_record(const store::AssetRecord& video, const CloudFrame& frame);

// A video with one task: the answers that are in the catalogue, and what is missing. One thread at a time.
//
// The video's own record lists all answers so far; as long as a wanted frame has none, it has a key of its own, so that
// the next run goes on. So it is known which question the answers of frames belong to.
class VideoAnswers {
 public:
  // `video`: from the catalogue, with its `frames`. `anew`: its answers are to be replaced (--redo).
  VideoAnswers(store::KnownFile file, const store::AssetRecord& video, const std::vector<CloudFrame>& frames,
               const CloudTask& task, bool anew);

  [[nodiscard]] bool is_missing(store::MomentId frame) const { return missing_.contains(frame); }
  // One more frame is asked about in this run.
  void expect() { ++left_; }

  // Writes an answer about a frame.
  Status keep(Run& run, const char* device, const CloudFrame& frame, const StageOutput& output);
  // Notes that a frame has failed in this run.
  void note_failure(double at, const Error& error);
  // Writes the video's own record, if there is something new for it.
  Status put(Run& run, const char* device);
  // The same; and brings the ledger up to date: whether an entry was added. Call once.
  Result<bool> finish(Run& run, const char* device);
  // Whether all that was expected is there.
  [[nodiscard]] bool is_through() const { return left_ == 0; }
  [[nodiscard]] bool is_finished() const { return finished_; }

 private:
  struct Answer {
    double at = 0;
    std::string data;
  };
  [[nodiscard]] store::StageKey partial_key() const;
  Status drop_others(Run& run);

  store::KnownFile file_;
  CloudTask task_;
  std::map<store::MomentId, Answer> answers_;
  std::set<store::MomentId> missing_;  // wanted, without an answer
  bool outdated_ = false;              // the catalogue's answers are to another question
  bool changed_ = false;               // since the video's record was written
  bool finished_ = false;
  std::uint64_t left_ = 0, failed_ = 0;
  std::optional<Error> error_;
};

// Deletes what cloud models said about a video whose frames are chosen anew; moments are deleted by drop_moments().
Status drop_cloud_answers(store::CatalogueWriter& writer, store::AssetId asset);

}  // namespace image_engine::pipeline
