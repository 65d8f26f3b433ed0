// One video: its frames through the stages, its scenes, and what is kept of both.
#pragma once

#include <atomic>
#include <cmath>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/progress.h"
#include "pipeline/action_windows.h"
#include "pipeline/frames_between.h"
#include "pipeline/run_stages.h"
#include "pipeline/video_trace.h"
#include "video/fingerprint.h"
#include "video/scene_changes.h"
#include "video/scenes.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {

// How videos of a run are analyzed. The same for all of them; only `write` is shared among threads.
struct VideoPlan {
  Run& run;
  Meaning& meaning;
  store::StageKey key;                      // of the videos' own record
  std::vector<const PictureStage*> stages;  // that run on frames, loaded
  std::optional<store::StageKey> thumbnail;
  const PictureStage* clips = nullptr;  // of these, the one that sees several frames at once
  std::uint32_t edge = 0;               // of decoded frames, pixels
  std::uint32_t decode_threads = 1;
  std::uint32_t stage_threads = 1;  // frames of one video that are analyzed at once
  double track_fps = 0;             // of frames between the sampled ones; 0: none
  std::uint32_t between_edge = 0;   // of these, pixels
  Progress& progress;               // seconds of video
  VideoTrace trace;                 // where the time goes
  std::mutex write;                 // guards the run's writer, report and what else is the sink's
  std::atomic<bool> stop = false;   // an error of the run has occurred
  // Empty: scenes are not looked for.
  std::function<std::unique_ptr<video::SceneDetector>()> make_detector = {};
};

// What the run knows of a video before it is decoded.
struct VideoFile {
  store::PendingFile file;
  Hash128 hash;
  double duration = 0;            // seconds, by its header; 0: unknown
  std::uint32_t orientation = 1;  // as in EXIF
};

// Thread-safe as far as several objects share a plan.
class VideoAnalysis {
 public:
  // Where the video's frames are known, only the stages that it lacks run on them, and all else stays. With `anew`, or
  // where they are not, frames and scenes are chosen anew, for all stages of the plan.
  VideoAnalysis(VideoPlan& plan, const VideoFile& video, bool anew);

  // Decodes from where an earlier run was interrupted, and writes what was found every few seconds, so that no more is
  // lost. What the file is to blame for is in the ledger, with what could be analyzed kept. Errors are the run's.
  Status run();
  // Whether run() has gone through the whole video; false after a cancellation.
  [[nodiscard]] bool is_done() const { return !was_cancelled_; }
  // Whether run() ended because the frames are not the known ones (another version of the decoder): begin anew.
  [[nodiscard]] bool must_begin_anew() const { return are_other_frames_; }

 private:
  // A frame that was analyzed and is not yet in the catalogue.
  struct Frame {
    store::Moment moment;
    std::vector<std::pair<store::MomentRecord, std::vector<store::Fact>>> records;
    std::vector<FrameBetween> between;  // this and the frame before, until the objects of both are known
  };
  struct Batch {
    std::vector<StageWork> works;
    std::vector<std::size_t> frames;  // indices of frames_
  };
  // What a stage does with a frame: its outputs, or where it takes several at once, what waits for others.
  struct StageRun {
    const PictureStage* stage = nullptr;
    std::optional<Result<StageWork>> work;
    std::vector<Result<StageOutput>> outputs;
  };
  // A frame that is being analyzed.
  struct Flight {
    std::size_t frame = 0;  // index of frames_
    worker::Picture picture;
    Image copy;  // of its pixels
    std::vector<StageRun> runs;
    std::future<void> done;  // of another thread; invalid: none works on it
  };

  Status choose_stages();
  Status load_progress();
  Status load_last_objects(store::MomentId moment);
  Status drop_former();
  Status drop_stages();
  [[nodiscard]] bool runs(std::string_view stage) const;
  // Reads to the end, or until the run is cancelled. Errors: those of the worker, or with run_failed_ the run's.
  Status read_frames(std::uint32_t decode_threads);
  Status of_the_run(Status status);
  [[nodiscard]] bool has_kept() const { return std::isfinite(until_); }
  [[nodiscard]] double rewind() const;
  // From which on a decode has all that an interrupted one left undone; seconds.
  [[nodiscard]] double resume_from() const;
  Status take_chunk(worker::LeasedFile& leased, const worker::VideoChunk& chunk);
  // Errors: the detector's, which are the run's.
  Status take_changes(const Result<std::vector<video::SceneChange>>& changes);
  void add_frame(worker::LeasedFile& leased, const worker::ChosenFrame& chosen, std::span<const std::uint8_t> small);
  void add_between(worker::LeasedFile& leased, const worker::ChosenFrame& chosen);
  void rate(worker::LeasedFile& leased, const worker::ChosenFrame& chosen);
  // Begins to analyze a frame; `stage_threads` of them are in flight at once, and land in order.
  void launch(const worker::ChosenFrame& chosen, const ImageView& pixels);
  void run_stages(Flight& flight, const ImageView& pixels) const;  // thread-safe
  void land();
  [[nodiscard]] std::size_t batch_of(const PictureStage& stage) const;
  void run_batch(const PictureStage& stage);
  std::vector<Result<StageOutput>> outputs_of(const PictureStage& stage, std::span<StageWork> works) const;
  void keep_outputs(const PictureStage& stage, std::span<const std::size_t> frames,
                    std::vector<Result<StageOutput>> outputs);
  // Once a frame's objects are known, and those of the frame before.
  std::vector<FrameBetween> drop_between(Frame& frame);
  void follow(const PictureStage& stage, Frame& frame, const std::string& objects);
  void add_steps(worker::LeasedFile& leased, const worker::VideoChunk& chunk);
  // Each frame with what was named in the windows that it is in. The sink's.
  Status put_actions(const std::vector<store::Moment>& frames);
  // Keeps it with the frame, and what other stages make of its vector.
  void add_output(Frame& frame, const PictureStage& stage, StageOutput output);
  void note_failure(const PictureStage& stage, double seconds, const Error& error);
  Status write_frames();
  [[nodiscard]] std::string progress_data() const;
  [[nodiscard]] const store::Moment* known_frame(double seconds) const;
  // Those that were found in this run; of known ones, the best frame, where `quality` runs.
  Status put_scenes(std::span<const store::Moment> known, std::span<const store::MomentRecord> records,
                    std::span<const video::Scene> scenes, std::span<const video::FrameScore> scores);
  // `broken`: why the rest cannot be decoded. What was found before it stays, and is searched for; the video's own
  // record is left out, so that --retry begins anew.
  Status finish(const std::optional<Error>& broken);
  Status keep_thumbnail();
  // The fingerprint is written part by part, each at the frame at hand, and put together at the end.
  Status resume_fingerprint(double first, double until);
  Status write_fingerprint_part();
  Status keep_fingerprint(const std::string& cells);

  VideoPlan& plan_;
  const VideoFile& video_;
  store::KnownFile row_;
  std::string progress_key_;
  bool anew_;                                // frames and scenes are chosen in this run
  std::vector<const PictureStage*> stages_;  // of the plan's, those that run on this video
  const PictureStage* clips_ = nullptr;      // of these, the one that sees several frames at once
  std::vector<store::Moment> known_;         // its frames, by time, unless they are chosen anew
  bool are_other_frames_ = false;

  ActionWindows actions_;
  std::unique_ptr<video::SceneDetector> detector_;
  std::optional<video::Fingerprinter> fingerprinter_;  // none where only key frames are decoded
  std::string part_;                                   // of the fingerprint, as it is kept at `part_moment_`
  store::MomentId part_moment_ = 0;
  std::vector<video::SceneChange> changes_;
  std::vector<Frame> frames_;  // since the last write; the first may be in the catalogue already
  std::map<const PictureStage*, Batch> batches_;
  std::deque<std::unique_ptr<Flight>> flights_;    // threads work on them
  std::map<const PictureStage*, Error> failures_;  // the first of each stage
  std::vector<FrameBetween> between_;              // since the last sampled frame
  std::size_t frames_between_ = 0;                 // in all of frames_
  std::string last_objects_;                       // the record of the last frame whose objects are known
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
  bool is_incomplete_ = false;  // a model's run was interrupted: the next run begins where frames were last written
  bool run_failed_ = false;     // the error that read_frames() returns is the run's
};

}  // namespace image_engine::pipeline
