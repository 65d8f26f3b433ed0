// The pass over the sound of videos and recordings: after the frames of videos.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/json.h"
#include "pipeline/run_stages.h"
#include "pipeline/sound_analysis.h"
#include "pipeline/sound_keys.h"
#include "types/language.h"

namespace image_engine::pipeline {
namespace {

// audio.track: auto, a number from 1, or a language.
worker::SoundTask track_of(const std::string& wanted) {
  worker::SoundTask task;
  if (wanted == "auto") return task;
  int number = 0;
  const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), number);
  if (error == std::errc() && end == wanted.data() + wanted.size())
    task.track = number - 1;
  else
    wanted.copy(task.language, sizeof task.language - 1);
  return task;
}

class SoundPass {
 public:
  SoundPass(Run& run, RunStages& stages) : run_(run), stages_(stages) {}

  Status all() {
    if (!run_.hears()) return {};
    const PhaseClock::Scope phase(run_.clock, run_.report.sounds);
    IE_CHECK(stages_.choose());
    models_ = stages_.meaning().models();
    if (models_ == nullptr) return {};
    IE_TRY(specs_, find_sound_models(*models_));
    choose();
    if (!speech_ && !sounds_ && !loudness_) return {};
    IE_TRY(const std::vector<SoundFile> files, pending());
    if (files.empty()) return {};
    double seconds = 0;
    for (const SoundFile& file : files) seconds += file.duration;
    Progress progress("Sound", static_cast<std::uint64_t>(seconds), run_.options.progress, ProgressUnit::kSecond);
    progress.append_text(run_.options.beside_progress);
    const std::size_t workers = std::max<std::size_t>(static_cast<std::size_t>(run_.pool.options().workers), 1);
    const std::size_t at_once = std::min(files.size(), workers);
    SoundPlan plan{.run = run_, .progress = progress};
    plan.speech = speech_;
    plan.sounds = sounds_;
    plan.loudness = loudness_;
    plan.whisper = whisper_;
    plan.track = track_of(run_.options.config.audio.track);
    const auto threads = static_cast<int>(std::max<std::size_t>(workers / at_once, 1));
    {
      const PhaseClock::Scope loading(run_.clock, run_.report.loading);
      IE_TRY(plan.models, load_sound_models(*models_, specs_, whisper_, threads));
    }
    IE_CHECK(analyze_all(plan, files, at_once));
    return run_.batch.commit();
  }

 private:
  void choose() {
    const auto& config = run_.options.config;
    whisper_.language = language_code(config.audio.language);
    whisper_.translate = config.audio.translate;
    if (!run_.asked_for(kSpeechStage)) specs_.speech = nullptr;
    if (specs_.speech == nullptr) specs_.voice = nullptr;
    if (!run_.asked_for(kSoundsStage)) specs_.events = specs_.tags = nullptr;
    const SoundKeys keys = sound_keys(specs_, config);
    if (run_.asked_for(kSpeechStage)) speech_ = keys.speech;
    sounds_ = keys.sounds;
    const bool named = std::ranges::find(run_.options.only, kLoudnessStage) != run_.options.only.end();
    if (named)
      loudness_ = loudness_key(config);
    else if (run_.asked_for(kLoudnessStage))
      loudness_ = keys.loudness;
  }

  Result<std::vector<SoundFile>> pending() {
    SubtitleSidecars sidecars;
    if (speech_ && run_.options.config.audio.subtitles == "prefer") {
      IE_TRY(sidecars, find_sidecars(run_, whisper_.language));
    }
    store::PendingQuery query;
    query.roots = run_.options.paths;
    for (const auto* key : {&speech_, &sounds_, &loudness_})
      for (const MediaKind kind : {MediaKind::kVideo, MediaKind::kAudio})
        if (*key) query.stages.push_back({**key, kind});
    for (store::WantedStage& wanted : query.stages)
      if (wanted.key.stage == kSpeechStage) wanted.renewed = sidecars.changed;
    query.gates = {metadata_key(), content_key()};
    query.retry = run_.options.retry;
    query.redo = run_.options.redo;
    IE_TRY(std::vector<store::PendingFile> pending, run_.writer.pending(query));
    std::vector<SoundFile> files;
    const bool is_asked_again = std::ranges::find(query.redo, kSpeechStage) != query.redo.end();
    const std::lock_guard lock(run_.reader_mutex);
    for (store::PendingFile& file : pending) {
      const bool has_sound = file.seen.kind == MediaKind::kVideo || file.seen.kind == MediaKind::kAudio;
      if (!has_sound || !file.hashed || run_.unreadable.contains(file.file)) continue;
      IE_TRY(const store::AssetRecord asset, run_.reader.asset_record(file.asset));
      const bool has_tracks = !asset.metadata || !asset.metadata->audio_tracks.empty();
      SoundFile& added = files.emplace_back(std::move(file), duration_of(asset.metadata), has_tracks);
      if (const auto found = sidecars.now.find(asset.id); found != sidecars.now.end()) added.sidecar = found->second;
      added.is_heard = sidecars.changed.contains(asset.id) && !is_asked_again && was_heard(asset);
    }
    if (run_.options.config.video.order == "short") std::ranges::stable_sort(files, {}, &SoundFile::duration);
    return files;
  }

  // Whether the current model has written down what is said.
  [[nodiscard]] bool was_heard(const store::AssetRecord& asset) const {
    const auto record = std::ranges::find(asset.records, *speech_, &store::Record::key);
    if (record == asset.records.end()) return false;
    const nlohmann::json data = parse_json(record->data);
    return data.is_object() && data.value("source", nlohmann::json()) == kHeardByModel;
  }

  static double duration_of(const std::optional<Metadata>& metadata) {
    if (metadata && metadata->video) return metadata->video->duration;
    return metadata && metadata->audio ? metadata->audio->duration : 0;
  }

  Status analyze_all(SoundPlan& plan, const std::vector<SoundFile>& files, std::size_t at_once) {
    std::atomic<std::size_t> next = 0, done = 0;
    Status status;
    const auto work = [&] {
      while (!plan.stop && !run_.cancelled()) {
        const std::size_t index = next++;
        if (index >= files.size()) return;
        SoundAnalysis analysis(plan, files[index]);
        const Status heard = analysis.run();
        if (heard && analysis.is_done()) ++done;
        if (heard) continue;
        const std::lock_guard lock(plan.write);
        if (!plan.stop.exchange(true)) status = heard;
      }
    };
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 1; i < at_once; ++i) threads.emplace_back(work);
      work();
    }
    run_.report.sounds.files = done;
    run_.report.sound_seconds = static_cast<double>(plan.progress.done());
    run_.report.waiting += files.size() - done;
    return status;
  }

  Run& run_;
  RunStages& stages_;
  std::shared_ptr<const InstalledModels> models_;
  SoundSpecs specs_;
  audio::WhisperOptions whisper_;
  std::optional<store::StageKey> speech_, sounds_, loudness_;
};

}  // namespace

Status read_sounds(Run& run, RunStages& stages) { return SoundPass(run, stages).all(); }

}  // namespace image_engine::pipeline
