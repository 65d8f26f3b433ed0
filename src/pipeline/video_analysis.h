// One video: its frames through the stages, its scenes, and what is kept of both.
#pragma once

#include <atomic>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/progress.h"
#include "pipeline/run_stages.h"
#include "video/scene_changes.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {

// How videos of a run are analyzed. The same for all of them; only `write` is shared among threads.
struct VideoPlan {
  Run& run;
  store::StageKey key;                      // of the videos' own record
  std::vector<const PictureStage*> stages;  // that run on frames, loaded
  std::optional<store::StageKey> thumbnail;
  std::uint32_t edge = 0;  // of decoded frames, pixels
  std::uint32_t decode_threads = 1;
  Progress& progress;              // seconds of video
  std::mutex write;                // guards the run's writer, report and what else is the sink's
  std::atomic<bool> stop = false;  // an error of the run has occurred
  // Empty: scenes are not looked for.
  std::function<std::unique_ptr<video::SceneDetector>()> make_detector = {};
};

// What the run knows of a video before it is decoded.
struct VideoFile {
  store::PendingFile file;
  Hash128 hash;
  double duration = 0;  // seconds, by its header; 0: unknown
};

// Thread-safe as far as several objects share a plan.
class VideoAnalysis {
 public:
  VideoAnalysis(VideoPlan& plan, const VideoFile& video);

  // Decodes from where an earlier run was interrupted, and writes what was found every few seconds, so that no more is
  // lost. What the file is to blame for is in the ledger, with what could be analyzed kept. Errors are the run's.
  Status run();
  // Whether run() has gone through the whole video; false after a cancellation.
  [[nodiscard]] bool is_done() const { return !was_cancelled_; }

 private:
  // A frame that was analyzed and is not yet in the catalogue.
  struct Frame {
    store::Moment moment;
    std::vector<std::pair<store::MomentRecord, std::vector<store::Fact>>> records;
  };
  struct Batch {
    std::vector<StageWork> works;
    std::vector<std::size_t> frames;  // indices of frames_
  };

  Status load_progress();
  Status drop_former();
  // Reads to the end, or until the run is cancelled. Errors: those of the worker, or with run_failed_ the run's.
  Status read_frames(std::uint32_t decode_threads);
  Status of_the_run(Status status);
  [[nodiscard]] bool has_kept() const { return std::isfinite(until_); }
  [[nodiscard]] double rewind() const;
  Status take_chunk(worker::LeasedFile& leased, const worker::VideoChunk& chunk);
  // Errors: the detector's, which are the run's.
  Status take_changes(const Result<std::vector<video::SceneChange>>& changes);
  void add_frame(worker::LeasedFile& leased, const worker::ChosenFrame& chosen, std::span<const std::uint8_t> small);
  void run_batch(const PictureStage& stage);
  void note_failure(const PictureStage& stage, double seconds, const Error& error);
  Status write_frames();
  [[nodiscard]] std::string progress_data() const;
  // `broken`: why the rest cannot be decoded. What was found before it stays, and is searched for; the video's own
  // record is left out, so that --retry begins anew.
  Status finish(const std::optional<Error>& broken);
  Status keep_thumbnail();

  VideoPlan& plan_;
  const VideoFile& video_;
  store::KnownFile row_;
  std::string progress_key_;

  std::unique_ptr<video::SceneDetector> detector_;
  std::vector<video::SceneChange> changes_;
  std::vector<Frame> frames_;  // since the last write; the first may be in the catalogue already
  std::map<const PictureStage*, Batch> batches_;
  std::map<const PictureStage*, Error> failures_;  // the first of each stage
  std::vector<std::uint8_t> last_small_;
  std::vector<std::byte> best_jpeg_;
  double best_score_ = -1;
  worker::VideoSummary summary_;
  std::int64_t next_index_ = 0;
  store::MomentId next_moment_ = 1;
  std::optional<double> first_;  // the first frame's time, seconds
  // Sampled frames up to here are in the catalogue, seconds; infinite: none.
  double until_ = -std::numeric_limits<double>::infinity();
  double resumed_at_ = -std::numeric_limits<double>::infinity();  // `until_` when the decode at hand began
  double sampled_ = -std::numeric_limits<double>::infinity();     // the last sampled frame's time
  double spacing_ = 0;                                            // of the last two decoded frames, seconds
  double position_ = 0;                                           // of the last decoded frame
  double counted_ = 0;                                            // seconds that the progress knows of
  Trace::Clock::time_point written_ = Trace::Clock::now();
  double written_position_ = 0;
  bool was_cancelled_ = false;
  bool run_failed_ = false;  // the error that read_frames() returns is the run's
};

}  // namespace image_engine::pipeline
