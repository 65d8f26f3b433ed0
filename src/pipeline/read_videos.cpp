// The pass over videos: after photos, so that these can be searched first.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "core/hash.h"
#include "pipeline/scene_model.h"
#include "pipeline/video_analysis.h"
#include "pipeline/video_summary.h"

namespace image_engine::pipeline {
namespace {

// Raise it when the same video would get other frames or scenes.
constexpr char kVideoVersion[] = "2";
// Larger frames are reduced to this where text is read: its detector takes time by the area (docs/adr/0011-videos.md).
// Without text, stages ask for less.
constexpr std::uint32_t kTextEdge = 1280;
constexpr std::uint32_t kFastTextEdge = 960;  // with key frames only

class VideoPass {
 public:
  VideoPass(Run& run, RunStages& stages) : run_(run), stages_(stages) {}

  Status all() {
    if (!run_.options.config.video.enabled || !asks_for_frames()) return {};
    const PhaseClock::Scope phase(run_.clock, run_.report.videos);
    IE_CHECK(stages_.choose());
    IE_CHECK(choose_scene_model());
    IE_TRY(std::vector<store::PendingFile> files, pending());
    if (files.empty()) return {};
    const auto has_work = [&](const PictureStage& stage) { return video_stage(stage.key.stage) != nullptr; };
    IE_TRY(const bool left_out, stages_.load(has_work));
    if (left_out) {
      IE_TRY(files, pending());
    }
    IE_CHECK(stages_.meaning().begin(stages_.all()));
    IE_TRY(std::vector<VideoFile> videos, facts_of(std::move(files)));
    double seconds = 0;
    for (const VideoFile& video : videos) seconds += video.duration;
    Progress progress("Videos", static_cast<std::uint64_t>(seconds), run_.options.progress, ProgressUnit::kSecond);
    progress.append_text(run_.options.beside_progress);
    VideoPlan plan{.run = run_, .meaning = stages_.meaning(), .progress = progress, .trace = VideoTrace(steps())};
    fill(plan, videos.size());
    IE_TRY(plan.make_detector, make_detector());
    IE_CHECK(analyze_all(plan, videos));
    return run_.cancelled() ? Status{} : stages_.meaning().finish();
  }

 private:
  Status choose_scene_model() {
    const Config& config = run_.options.config;
    if (!wants_scene_model(config)) {
      key_ = video_key(config, nullptr);
      return {};
    }
    models_ = stages_.meaning().models();
    if (models_ == nullptr) return fail(ErrorCode::kInvalidArgument, "video.scene_model needs the registry of models");
    IE_TRY(scene_model_, find_scene_model(*models_));
    const store::StageKey model = model_key(kVideoStage, *scene_model_);
    key_ = video_key(config, &model);
    return {};
  }

  // Empty: no scenes are wanted.
  Result<std::function<std::unique_ptr<video::SceneDetector>()>> make_detector() {
    using Make = std::function<std::unique_ptr<video::SceneDetector>()>;
    if (!run_.options.config.video.scene_detection) return Make{};
    if (scene_model_ == nullptr) return Make([] { return video::make_scene_detector(); });
    const PhaseClock::Scope phase(run_.clock, run_.report.loading);
    IE_TRY(const video::ScoreWindow score, load_scene_model(*models_, *scene_model_));
    return Make([score] { return video::make_model_detector(score); });
  }

  // In the order in which a frame goes through them.
  [[nodiscard]] std::vector<std::string> steps() const {
    std::vector<std::string> names = {"decode", "reduce", kSceneChangesStep, "convert", "thumbnail"};
    for (const PictureStage* stage : stages_.of_frames()) names.push_back(stage->key.stage);
    return names;
  }

  Result<std::vector<store::PendingFile>> pending() {
    store::PendingQuery query;
    query.roots = run_.options.paths;
    query.stages.push_back({key_, MediaKind::kVideo});
    for (const PictureStage* stage : stages_.of_frames()) query.stages.push_back({stage->key, MediaKind::kVideo});
    query.gates = {metadata_key(), content_key(), decode_key()};
    query.retry = run_.options.retry;
    query.redo = run_.options.redo;
    IE_TRY(std::vector<store::PendingFile> files, run_.writer.pending(query));
    std::erase_if(files, [&](const store::PendingFile& file) {
      return file.seen.kind != MediaKind::kVideo || !file.hashed || run_.unreadable.contains(file.file);
    });
    return files;
  }

  [[nodiscard]] bool asks_for_frames() const {
    const auto& only = run_.options.only;
    return only.empty() || std::ranges::any_of(only, [](const std::string& name) {
             return name == kVideoStage || video_stage(name) != nullptr;
           });
  }

  Result<std::vector<VideoFile>> facts_of(std::vector<store::PendingFile> files) {
    std::vector<VideoFile> videos;
    const std::lock_guard lock(run_.reader_mutex);
    for (store::PendingFile& file : files) {
      IE_TRY(const store::AssetRecord asset, run_.reader.asset_record(file.asset));
      if (!asset.hash) continue;
      const bool known = asset.metadata && asset.metadata->video;
      videos.push_back({std::move(file), *asset.hash, known ? asset.metadata->video->duration : 0,
                        asset.metadata ? asset.metadata->orientation : 1});
    }
    if (run_.options.config.video.order == "short") std::ranges::stable_sort(videos, {}, &VideoFile::duration);
    return videos;
  }

  void follow_things(VideoPlan& plan, std::uint32_t edge) const {
    if (run_.options.config.video.key_frames_only) return;
    plan.track_fps = run_.options.config.video.track_fps;
    plan.between_edge = edge;
  }

  void fill(VideoPlan& plan, std::size_t videos) {
    plan.key = key_;
    plan.edge = kWorkingEdge;
    const std::uint32_t text_edge = run_.options.config.video.key_frames_only ? kFastTextEdge : kTextEdge;
    for (const PictureStage* stage : stages_.of_frames()) {
      plan.stages.push_back(stage);
      if (stage->clip) plan.clips = stage;
      if (stage->key.stage == kObjectsStage) follow_things(plan, stage->edge);
      plan.edge = std::max(plan.edge, stage->key.stage == kTextStage ? text_edge : stage->edge);
    }
    if (run_.asked_for(kThumbnailStage)) plan.thumbnail = thumbnail_key(run_.options.config);
    const auto workers = static_cast<std::size_t>(run_.pool.options().workers);
    plan.decode_threads = plan.stage_threads = static_cast<std::uint32_t>(std::max<std::size_t>(workers / videos, 1));
  }

  // False: it was cancelled.
  static Result<bool> analyze(VideoPlan& plan, const VideoFile& video) {
    VideoAnalysis analysis(plan, video, false);
    IE_CHECK(analysis.run());
    if (!analysis.must_begin_anew()) return analysis.is_done();
    VideoAnalysis again(plan, video, true);
    IE_CHECK(again.run());
    return again.is_done();
  }

  Status analyze_all(VideoPlan& plan, const std::vector<VideoFile>& videos) {
    std::atomic<std::size_t> next = 0, done = 0;
    Status status;
    const auto work = [&] {
      while (!plan.stop && !run_.cancelled()) {
        const std::size_t index = next++;
        if (index >= videos.size()) return;
        const Result<bool> finished = analyze(plan, videos[index]);
        if (finished && *finished) ++done;
        if (finished) continue;
        const std::lock_guard lock(plan.write);
        if (!plan.stop.exchange(true)) status = fail(finished.error());
      }
    };
    const std::size_t count = std::min(videos.size(), static_cast<std::size_t>(run_.pool.options().workers));
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 1; i < count; ++i) threads.emplace_back(work);
      work();
    }
    run_.report.videos.files = done;
    run_.report.video_times = plan.trace.times(count, plan.progress.seconds());
    run_.report.video_times->decode_threads = plan.decode_threads;
    run_.report.video_seconds = static_cast<double>(plan.progress.done());
    run_.report.waiting += videos.size() - done;
    IE_CHECK(status);
    return run_.batch.commit();
  }

  Run& run_;
  RunStages& stages_;
  std::shared_ptr<const InstalledModels> models_;
  const models::Spec* scene_model_ = nullptr;  // null: the built-in detector
  store::StageKey key_;
};

}  // namespace

store::StageKey video_key(const Config& config, const store::StageKey* scene_model) {
  std::string params = fmt::format("fps={} keys={} scenes={} track={}", config.video.fps, config.video.key_frames_only,
                                   config.video.scene_detection, config.video.track_fps);
  if (scene_model != nullptr)
    params += fmt::format(" by={} {} {}", scene_model->model, scene_model->version, scene_model->params);
  return {kVideoStage, "", kVideoVersion, hash128(params).hex().substr(0, 16)};
}

Status read_videos(Run& run, RunStages& stages) { return VideoPass(run, stages).all(); }

}  // namespace image_engine::pipeline
