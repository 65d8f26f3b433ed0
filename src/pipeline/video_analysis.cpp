#include "pipeline/video_analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json.h"
#include "core/text.h"
#include "pipeline/cloud_frames.h"
#include "pipeline/video_summary.h"
#include "video/scenes.h"
#include "vision/quality.h"

namespace image_engine::pipeline {
namespace {

using nlohmann::json;

// What is lost when the program is killed: at most this much of the video, or of the time that it took.
constexpr double kWriteEverySeconds = 20;
constexpr std::chrono::seconds kWriteEvery{10};
// The detector is sure of a change at most so many seconds of video after it (video/scene_changes.h).
constexpr double kDetectorDelay = 3;
constexpr double kDetectorFrames = 8;  // and where frames are few, so many frames
constexpr double kRounding = 1e-6;     // seconds

json changes_json(const std::vector<video::SceneChange>& changes) {
  json list = json::array();
  for (const video::SceneChange& change : changes)
    list.push_back({static_cast<int>(change.kind), change.from_seconds, change.to_seconds, change.score});
  return list;
}

std::vector<video::SceneChange> changes_from(const json& list) {
  std::vector<video::SceneChange> changes;
  for (const json& item : list) {
    const auto kind = static_cast<video::ChangeKind>(std::clamp(item.at(0).get<int>(), 0, 2));
    changes.push_back({kind, 0, 0, item.at(1).get<double>(), item.at(2).get<double>(), item.at(3).get<float>()});
  }
  return changes;
}

bool overlap(const video::SceneChange& a, const video::SceneChange& b) {
  return a.from_seconds <= b.to_seconds && b.from_seconds <= a.to_seconds;
}

}  // namespace

VideoAnalysis::VideoAnalysis(VideoPlan& plan, const VideoFile& video) : plan_(plan), video_(video) {
  row_.id = video.file.file;
  row_.seen = video.file.seen;
  progress_key_ = plan.key.params;
  for (const PictureStage* stage : plan_.stages)
    progress_key_ +=
        fmt::format(" {}={} {} {}", stage->key.stage, stage->key.model, stage->key.version, stage->key.params);
}

Status VideoAnalysis::run() {
  IE_CHECK(load_progress());
  // What an earlier file left behind, or threads that each hold frames, may have brought the worker down: a fresh one
  // tries again from there, with one thread.
  for (int tries = 2; tries > 0; --tries) {
    const Status read = read_frames(tries == 2 ? plan_.decode_threads : 1);
    if (was_cancelled_) return write_frames();
    if (read) return finish(std::nullopt);
    const ErrorCode code = read.error().code;
    if (run_failed_ || is_of_the_run(code)) return read;
    IE_CHECK(write_frames());
    if (tries > 1 && (code == ErrorCode::kCrashed || code == ErrorCode::kOutOfMemory)) continue;
    if (code != ErrorCode::kKilled) return finish(read.error());
    const std::lock_guard lock(plan_.write);
    return plan_.run.record_failure(row_, decode_key(), read.error());
  }
  return {};
}

Status VideoAnalysis::load_progress() {
  std::optional<store::AnalysisProgress> progress;
  std::vector<store::Moment> moments;
  {
    const std::lock_guard lock(plan_.run.reader_mutex);
    IE_TRY(progress, plan_.run.reader.progress(video_.file.asset));
    IE_TRY(moments, plan_.run.reader.moments(video_.file.asset));
  }
  if (!progress || progress->key != progress_key_ || moments.empty()) return drop_former();
  try {
    const json data = parse_json(progress->data);
    const double first = data.at("first").get<double>(), until = data.at("until").get<double>();
    changes_ = changes_from(data.at("changes"));
    for (const json& failed : data.at("failures"))
      for (const PictureStage* stage : plan_.stages)
        if (stage->key.stage == failed.at(0).get<std::string>())
          failures_.emplace(
              stage, Error{error_code_from_name(failed.at(1).get<std::string>()), failed.at(2).get<std::string>()});
    next_moment_ = data.at("next").get<store::MomentId>();
    spacing_ = data.at("spacing").get<double>();
    first_ = first;
    until_ = sampled_ = position_ = written_position_ = until;
  } catch (const json::exception&) {
    changes_.clear(), failures_.clear(), next_moment_ = 1;
    return drop_former();
  }
  counted_ = std::max(std::floor(until_ - *first_), 0.0);
  frames_.push_back({moments.back(), {}});  // what follows may be the same picture
  return {};
}

// What was found at other times, and the records that describe it.
Status VideoAnalysis::drop_former() {
  const std::lock_guard lock(plan_.write);
  Run& run = plan_.run;
  IE_CHECK(run.batch.open());
  IE_CHECK(run.writer.drop_moments(video_.file.asset));
  const auto drop_records = [&](const char* stage) {
    return run.writer.drop_other_records(video_.file.asset, {stage, "", "", ""});  // no record has this key
  };
  IE_CHECK(drop_records(kVideoStage));
  for (const VideoStageRow& row : video_stages()) IE_CHECK(drop_records(row.stage));
  IE_CHECK(drop_cloud_answers(run.writer, video_.file.asset));
  return run.batch.commit();
}

// Seconds before the last sampled frame from which on the detector sees again what it was not sure of.
double VideoAnalysis::rewind() const { return std::max(2 * kDetectorDelay, kDetectorFrames * spacing_); }

Status VideoAnalysis::read_frames(std::uint32_t decode_threads) {
  const Config& config = plan_.run.options.config;
  detector_ = config.video.scene_detection ? video::make_scene_detector() : nullptr;
  last_small_.clear();
  resumed_at_ = until_;
  IE_TRY(worker::LeasedFile leased, worker::LeasedFile::open(plan_.run.pool, video_.file.seen.path));
  worker::Task task{.operations = worker::kThumbnail | worker::kLuma, .max_edge = plan_.edge};
  task.thumbnail_edge = static_cast<std::uint32_t>(config.thumbnails.size);
  task.thumbnail_quality = static_cast<std::uint32_t>(config.thumbnails.quality);
  task.video = {.from = has_kept() ? std::max(until_ - rewind(), 0.0) : 0,
                .fps = config.video.fps,
                .anchor = first_.value_or(0),
                .small_width = video::kSmallWidth,
                .small_height = video::kSmallHeight,
                .threads = decode_threads,
                .key_frames_only = config.video.key_frames_only};
  IE_CHECK(leased.start_video(task));
  for (;;) {
    IE_TRY(const std::optional<worker::VideoChunk> chunk, leased.next_chunk());
    if (!chunk) break;
    IE_CHECK(take_chunk(leased, *chunk));
    const bool due =
        position_ - written_position_ >= kWriteEverySeconds || Trace::Clock::now() - written_ >= kWriteEvery;
    if (due)
      if (const Status written = write_frames(); !written) {
        run_failed_ = true;
        return written;
      }
    if (plan_.run.cancelled() || plan_.stop) {
      was_cancelled_ = true;
      return {};
    }
  }
  if (detector_) take_changes(detector_->finish());
  summary_ = leased.summary();
  return {};
}

Status VideoAnalysis::take_chunk(worker::LeasedFile& leased, const worker::VideoChunk& chunk) {
  if (!first_ && !chunk.seconds.empty()) first_ = chunk.seconds.front();
  auto chosen = chunk.chosen.begin();
  for (std::size_t i = 0; i < chunk.seconds.size(); ++i) {
    const double seconds = chunk.seconds[i];
    const std::span<const std::uint8_t> small = leased.small(chunk, i);
    if (detector_) take_changes(detector_->add({next_index_++, seconds, small}));
    if (seconds > position_) spacing_ = seconds - position_;
    position_ = std::max(position_, seconds);
    if (chosen == chunk.chosen.end() || chosen->seconds != seconds) continue;
    if (seconds > resumed_at_ + kRounding)
      add_frame(leased, *chosen, small);
    else
      last_small_.assign(small.begin(), small.end());
    ++chosen;
  }
  const double position = position_ - *first_;
  if (position - counted_ >= 1) {
    plan_.progress.add(static_cast<std::uint64_t>(position - counted_));
    counted_ += std::floor(position - counted_);
  }
  return {};
}

void VideoAnalysis::take_changes(const std::vector<video::SceneChange>& changes) {
  for (const video::SceneChange& change : changes) {
    const auto is_known = [&](const video::SceneChange& known) { return overlap(known, change); };
    // What an earlier run was sure of is known; a resumed detector may see it otherwise, as it begins in its middle.
    if (change.to_seconds < resumed_at_ - rewind() / 2) continue;
    if (std::ranges::none_of(changes_, is_known)) changes_.push_back(change);
  }
}

void VideoAnalysis::add_frame(worker::LeasedFile& leased, const worker::ChosenFrame& chosen,
                              std::span<const std::uint8_t> small) {
  const double step = 1 / plan_.run.options.config.video.fps;
  sampled_ = chosen.seconds;
  if (!frames_.empty() && video::is_same_picture(small, last_small_)) {
    frames_.back().moment.to = chosen.seconds + step;
    return;
  }
  if (!frames_.empty()) frames_.back().moment.to = chosen.seconds;
  last_small_.assign(small.begin(), small.end());
  frames_.push_back({{next_moment_++, store::MomentKind::kFrame, chosen.seconds, chosen.seconds + step}, {}});
  const worker::Picture& picture = chosen.picture;
  const ImageView pixels = leased.pixels(picture);
  const double score = vision::assess_quality(picture.luma, pixels).score;
  if (score > best_score_) {
    best_score_ = score;
    const std::span<const std::byte> jpeg = leased.bytes(chosen.thumbnail);
    best_jpeg_.assign(jpeg.begin(), jpeg.end());
  }
  StageInput input{pixels, picture.luma, picture.full_width, picture.full_height};
  input.larger = [&](std::uint32_t) -> Result<ImageView> { return pixels; };  // frames come as large as any stage asks
  for (const PictureStage* stage : plan_.stages) {
    const Trace::Clock::time_point start = Trace::Clock::now();
    Result<StageWork> work = stage->prepare(input);
    if (!work) {
      note_failure(*stage, chosen.seconds, work.error());
      continue;
    }
    Batch& batch = batches_[stage];
    batch.works.push_back(std::move(*work));
    batch.frames.push_back(frames_.size() - 1);
    const std::size_t most = stage->batch > 0
                                 ? stage->batch
                                 : static_cast<std::size_t>(plan_.run.options.config.analysis.ml_models.batch_size);
    if (batch.works.size() >= most) run_batch(*stage);
    plan_.run.trace.add(stage->load ? Step::kModels : Step::kAnalyze, start);
  }
}

void VideoAnalysis::run_batch(const PictureStage& stage) {
  Batch batch = std::exchange(batches_[&stage], {});
  if (batch.works.empty()) return;
  std::vector<Result<StageOutput>> outputs = run_each(stage, batch.works);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    Frame& frame = frames_[batch.frames[i]];
    if (outputs[i])
      frame.records.emplace_back(store::MomentRecord{frame.moment.id, stage.key.stage, std::move(outputs[i]->data)},
                                 std::move(outputs[i]->facts));
    else
      note_failure(stage, frame.moment.from, outputs[i].error());
  }
}

void VideoAnalysis::note_failure(const PictureStage& stage, double seconds, const Error& error) {
  failures_.try_emplace(&stage, Error{error.code, fmt::format("frame at {:.3f} s: {}", seconds, error.message)});
}

std::string VideoAnalysis::progress_data() const {
  json failures = json::array();
  for (const auto& [stage, error] : failures_)
    failures.push_back({stage->key.stage, error_name(error.code), to_utf8(error.message)});
  return json_text(json{{"first", first_.value_or(0)},
                        {"until", until_},
                        {"next", next_moment_},
                        {"spacing", spacing_},
                        {"changes", changes_json(changes_)},
                        {"failures", std::move(failures)}});
}

// All frames so far; the last stays at hand, since what follows may be the same picture.
Status VideoAnalysis::write_frames() {
  for (const PictureStage* stage : plan_.stages) run_batch(*stage);
  written_ = Trace::Clock::now();
  written_position_ = position_;
  if (frames_.empty()) return {};
  const Trace::Clock::time_point start = Trace::Clock::now();
  until_ = std::max(until_, sampled_);
  const std::lock_guard lock(plan_.write);
  Run& run = plan_.run;
  IE_CHECK(run.batch.open());
  for (Frame& frame : frames_) {
    IE_CHECK(run.writer.put_moment(video_.file.asset, frame.moment));
    for (const auto& [record, facts] : frame.records)
      IE_CHECK(run.writer.put_moment_record(video_.file.asset, record, facts));
  }
  IE_CHECK(run.writer.put_progress(video_.file.asset, store::AnalysisProgress{progress_key_, progress_data()}));
  IE_CHECK(run.batch.commit());
  frames_.erase(frames_.begin(), frames_.end() - 1);
  frames_.back().records.clear();
  run.trace.add(Step::kWrite, start);
  return {};
}

Status VideoAnalysis::finish(const std::optional<Error>& broken) {
  if (first_ && summary_.frames > 0 && !frames_.empty()) {
    const double frame = summary_.frame_rate > 0 ? 1 / summary_.frame_rate : 0;
    double end = std::max(position_, summary_.last) + frame;
    // What is behind the last key frame was not decoded.
    if (plan_.run.options.config.video.key_frames_only) end = std::max(end, *first_ + summary_.duration);
    frames_.back().moment.to = std::max(frames_.back().moment.from, end);
  }
  IE_CHECK(write_frames());
  std::vector<store::Moment> moments;
  std::vector<store::MomentRecord> records;
  {
    const std::lock_guard lock(plan_.run.reader_mutex);
    IE_TRY(moments, plan_.run.reader.moments(video_.file.asset));
    IE_TRY(records, plan_.run.reader.moment_records(video_.file.asset));
  }
  std::erase_if(moments, [](const store::Moment& moment) { return moment.kind != store::MomentKind::kFrame; });
  std::map<store::MomentId, double> times;
  for (const store::Moment& moment : moments) times[moment.id] = moment.from;
  std::map<std::string, std::vector<FrameData>, std::less<>> by_stage;
  for (const store::MomentRecord& record : records)
    if (const auto at = times.find(record.moment); at != times.end())
      by_stage[record.stage].push_back({at->second, record.data});
  for (auto& [stage, frames] : by_stage) std::ranges::stable_sort(frames, {}, &FrameData::seconds);

  std::ranges::sort(changes_, {}, &video::SceneChange::from_seconds);
  const double end = moments.empty() ? position_ : std::max(moments.back().to, position_);
  const std::vector<video::Scene> scenes = video::scenes_of(changes_, first_.value_or(0), end);
  std::vector<video::FrameScore> scores;
  for (const FrameData& frame : by_stage[kQualityStage]) {
    const json data = parse_json(frame.data);
    scores.push_back({frame.seconds, data.is_object() ? data.value("score", 0.0) : 0.0});
  }

  const std::lock_guard lock(plan_.write);
  Run& run = plan_.run;
  const store::AssetId asset = video_.file.asset;
  IE_CHECK(run.batch.open());
  store::MomentId next = next_moment_;
  for (const video::Scene& scene : scenes) {
    IE_CHECK(run.writer.put_moment(asset, {next, store::MomentKind::kScene, scene.from, scene.to}));
    json data = {{"begins", scene.begins}};
    if (const auto best = video::best_frame(scores, scene); best >= 0)
      data["best"] = scores[static_cast<std::size_t>(best)].seconds;
    IE_CHECK(run.writer.put_moment_record(asset, {next++, plan_.key.stage, json_text(data)}));
  }
  for (const PictureStage* stage : plan_.stages) {
    if (failures_.contains(stage)) continue;
    StageOutput output = video_stage(stage->key.stage)->summarize(by_stage[stage->key.stage], scenes);
    const auto [device, precision] = stage->placement();
    IE_CHECK(run.writer.put_record(asset, {stage->key, device, precision, std::move(output.data), ""}, output.facts));
    IE_CHECK(run.writer.drop_other_records(asset, stage->key));
  }
  if (broken) {
    const std::string where = moments.empty() ? "" : fmt::format("from {:.3f} s on: ", position_);
    IE_CHECK(run.record_failure(row_, decode_key(), {broken->code, where + broken->message}));
  } else {
    json data = {{"frames", moments.size()}, {"scenes", scenes.size()}};
    for (const std::string& warning : summary_.warnings) data["warnings"].push_back(to_utf8(warning));
    IE_CHECK(run.writer.put_record(asset, {plan_.key, "cpu", "", json_text(data), ""}));
    IE_CHECK(run.writer.drop_other_records(asset, plan_.key));
    IE_CHECK(run.writer.clear_failure(video_.file.seen.path, kDecodeStage));
  }
  IE_CHECK(keep_thumbnail());
  IE_CHECK(run.writer.put_progress(asset, std::nullopt));
  for (const auto& [stage, error] : failures_) IE_CHECK(run.record_failure(row_, stage->key, error));
  run.renewed_videos.erase(asset);
  run.renewed.insert(asset);
  IE_CHECK(run.batch.commit());
  return run.announce();
}

Status VideoAnalysis::keep_thumbnail() {
  if (!plan_.thumbnail || best_jpeg_.empty()) return {};
  const auto edge = static_cast<std::uint32_t>(plan_.run.options.config.thumbnails.size);
  if (const Status kept = plan_.run.thumbnails.put(video_.hash, edge, best_jpeg_); !kept)
    return plan_.run.record_failure(row_, *plan_.thumbnail, kept.error());
  return plan_.run.writer.put_record(video_.file.asset,
                                     {*plan_.thumbnail, "cpu", "", json_text(json{{"size", edge}}), ""});
}

}  // namespace image_engine::pipeline
