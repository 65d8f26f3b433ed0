// The sound of one video or recording: what is said and what else is heard.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "audio/sound_finder.h"
#include "audio/transcriber.h"
#include "core/progress.h"
#include "pipeline/run.h"
#include "pipeline/sound_models.h"
#include "pipeline/speech.h"
#include "pipeline/stages.h"
#include "pipeline/subtitle_changes.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {

// How the sound of files of a run is analyzed. The same for all of them; only what `write` guards is shared.
struct SoundPlan {
  Run& run;
  SoundModels models;
  std::optional<store::StageKey> speech, sounds, loudness;  // those that run
  audio::WhisperOptions whisper;
  worker::SoundTask track;         // which of several
  Progress& progress;              // seconds of sound
  std::mutex write;                // guards the run's writer, report and what else is the sink's
  std::atomic<bool> stop = false;  // an error of the run has occurred
};

// What the run knows of a file before its sound is decoded.
struct SoundFile {
  store::PendingFile file;
  double duration = 0;    // seconds, by its header; 0: unknown
  bool has_sound = true;  // by its header
  std::optional<AssetSidecar> sidecar = {};
  bool is_heard = false;  // a model has heard what is said: speech is due for its subtitles alone
};

// Thread-safe as far as several objects share a plan.
class SoundAnalysis {
 public:
  SoundAnalysis(SoundPlan& plan, const SoundFile& file);

  // Goes on where an earlier run was interrupted, and writes what was found every minute of sound at least. What the
  // file is to blame for is in the ledger, with what was heard before it kept. Errors are the run's.
  Status run();
  // Whether run() has gone through all of the sound; false after a cancellation.
  [[nodiscard]] bool is_done() const { return !was_cancelled_; }

 private:
  [[nodiscard]] bool is_due(const std::optional<store::StageKey>& key) const;
  Status take_subtitles();
  Status put_sidecar();
  Result<bool> is_as_heard(const std::vector<SpeechSegment>& subtitles);
  Status keep_heard();
  Status blame(const Error& error);
  Status forget();
  Status load_progress();
  Status drop_former(const std::optional<store::StageKey>& key, store::MomentRange moments);
  Status begin_anew();
  Result<double> decode_from();
  Status hear();
  Status begin(double first);
  Status listen();
  Status feed(double seconds, std::span<const float> samples);
  void take();
  void add_span(const SoundSpan& span);
  void count_to(double seconds);
  Status write();
  Status put_segments();
  Status put_sounds();
  Status put_record(const store::StageKey& key, const std::string& data, std::span<const store::Fact> facts = {});
  [[nodiscard]] audio::Dropped all_dropped() const;
  [[nodiscard]] std::string progress_data() const;
  [[nodiscard]] std::string speech_data() const;
  static nlohmann::json loudness_of(const worker::SoundSummary* summary);
  Status finish_models();
  Status finish(const worker::SoundSummary* summary);
  Status give_up(const Error& error);

  SoundPlan& plan_;
  const SoundFile& file_;
  store::KnownFile row_;
  bool speech_, sounds_, loudness_;  // whether they are due
  std::string progress_key_;
  std::optional<audio::Transcriber> transcriber_;
  // What finds sounds, by each model of the plan. Samples from `from` on, in seconds, are new to it.
  struct Listening {
    std::unique_ptr<audio::SoundFinder> finder;
    double from = 0;
  };
  std::vector<Listening> listening_;
  std::vector<SpeechSegment> segments_;   // since the last write
  std::vector<SoundSpan> spans_;          // likewise
  std::vector<SoundSpan> voice_;          // of the whole file
  std::map<std::string, double> surest_;  // of each sound the surest span's confidence
  audio::Dropped dropped_;                // before this run
  std::string language_;
  store::MomentId next_speech_ = store::kFirstSpeechMoment, next_sound_ = store::kFirstSoundMoment;
  std::uint64_t words_ = 0;
  std::optional<double> first_;                // the first sample's time, seconds
  std::optional<double> until_;                // where a former run stopped
  std::vector<std::string> listening_states_;  // likewise, of each model that finds sounds
  double position_ = 0;                        // seconds, of the last sample
  double written_ = 0;                         // position at the last write
  double counted_ = 0;
  std::chrono::steady_clock::time_point written_at_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point indexed_at_ = written_at_;
  bool has_begun_ = false, is_cut_off_ = false, was_cancelled_ = false, run_failed_ = false;
  bool is_sidecar_closed_ = false;  // it could not be opened or read from the disk
};

}  // namespace image_engine::pipeline
