#include "pipeline/video_analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "core/json.h"
#include "core/text.h"
#include "pipeline/action_stages.h"
#include "pipeline/cloud_frames.h"
#include "pipeline/video_summary.h"
#include "vision/quality.h"

namespace image_engine::pipeline {
namespace {

using nlohmann::json;

// What is lost when the program is killed: at most this much of the video, or of the time that it took.
constexpr double kWriteEverySeconds = 20;
constexpr std::chrono::seconds kWriteEvery{10};
constexpr double kRounding = 1e-6;  // seconds
constexpr double kLeastRewind = 1;  // seconds, so that the last sampled frame is seen again

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

// One part of a fingerprint, as it is kept at a frame.
std::string part_data(const std::string& cells) { return json_text(json(base64_encode(cells))); }

Result<std::string> part_from(std::string_view data) {
  const json text = parse_json(data);
  if (!text.is_string()) return fail(ErrorCode::kCorrupt, "a part of a fingerprint is no text");
  return base64_decode(text.get<std::string>());
}

}  // namespace

VideoAnalysis::VideoAnalysis(VideoPlan& plan, const VideoFile& video, bool anew)
    : plan_(plan), video_(video), anew_(anew) {
  row_.id = video.file.file;
  row_.seen = video.file.seen;
}

Status VideoAnalysis::choose_stages() {
  std::vector<store::Record> done;
  {
    const std::lock_guard lock(plan_.run.reader_mutex);
    IE_TRY(known_, plan_.run.reader.moments(video_.file.asset));
    IE_TRY(store::AssetRecord asset, plan_.run.reader.asset_record(video_.file.asset));
    done = std::move(asset.records);
  }
  const auto is_pending = [&](const std::string& stage) {
    return std::ranges::find(video_.file.stages, stage) != video_.file.stages.end();
  };
  // Of two models of a stage, the one whose record is there may stay.
  const auto is_lacking = [&](const store::StageKey& key) {
    const auto& redo = plan_.run.options.redo;
    const bool again = std::ranges::find(redo, key.stage) != redo.end();
    return is_pending(key.stage) && (again || std::ranges::find(done, key, &store::Record::key) == done.end());
  };
  std::erase_if(known_, [](const store::Moment& moment) { return moment.kind != store::MomentKind::kFrame; });
  anew_ = anew_ || known_.empty() || is_pending(kVideoStage);
  if (anew_) known_.clear();
  const auto runs_here = [&](const PictureStage& stage) {
    const auto feeds = [&](const PictureStage* other) { return other->follows == stage.key && is_lacking(other->key); };
    return anew_ || is_lacking(stage.key) || std::ranges::any_of(plan_.stages, feeds);
  };
  for (const PictureStage* stage : plan_.stages)
    if (runs_here(*stage)) stages_.push_back(stage);
  clips_ = runs(kActionsStage) ? plan_.clips : nullptr;
  actions_ = ActionWindows(clips_ != nullptr ? clips_->clip : nullptr);
  if (anew_ && !plan_.run.options.config.video.key_frames_only) fingerprinter_.emplace(video_.orientation);
  progress_key_ = (anew_ ? "" : "known frames ") + plan_.key.params;
  for (const PictureStage* stage : stages_)
    progress_key_ +=
        fmt::format(" {}={} {} {}", stage->key.stage, stage->key.model, stage->key.version, stage->key.params);
  return {};
}

bool VideoAnalysis::runs(std::string_view stage) const {
  return std::ranges::any_of(stages_, [&](const PictureStage* one) { return one->key.stage == stage; });
}

const store::Moment* VideoAnalysis::known_frame(double seconds) const {
  const auto at = std::ranges::lower_bound(known_, seconds - kRounding, {}, &store::Moment::from);
  return at != known_.end() && at->from <= seconds + kRounding ? &*at : nullptr;
}

Status VideoAnalysis::run() {
  IE_CHECK(choose_stages());
  IE_CHECK(load_progress());
  // What an earlier file left behind, or threads that each hold frames, may have brought the worker down: a fresh one
  // tries again from there, with one thread.
  for (int tries = 2; tries > 0; --tries) {
    const Status read = read_frames(tries == 2 ? plan_.decode_threads : 1);
    if (are_other_frames_) return {};
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
    IE_TRY(progress, plan_.run.reader.progress(video_.file.asset, kVideoStage));
    IE_TRY(moments, plan_.run.reader.moments(video_.file.asset));
  }
  std::erase_if(moments, [](const store::Moment& moment) { return moment.kind != store::MomentKind::kFrame; });
  const auto begin = [&] { return anew_ ? drop_former() : drop_stages(); };
  if (!progress || progress->key != progress_key_ || moments.empty()) return begin();
  try {
    const json data = parse_json(progress->data);
    const double first = data.at("first").get<double>(), until = data.at("until").get<double>();
    if (!resume_fingerprint(first, until)) {
      part_.clear();
      return drop_former();
    }
    changes_ = changes_from(data.at("changes"));
    for (const json& failed : data.at("failures"))
      for (const PictureStage* stage : stages_)
        if (stage->key.stage == failed.at(0).get<std::string>())
          failures_.emplace(
              stage, Error{error_code_from_name(failed.at(1).get<std::string>()), failed.at(2).get<std::string>()});
    next_moment_ = data.at("next").get<store::MomentId>();
    spacing_ = data.at("spacing").get<double>();
    actions_.restore(data.at("actions"));
    first_ = first;
    until_ = sampled_ = position_ = written_position_ = until;
  } catch (const json::exception&) {
    changes_.clear(), failures_.clear(), next_moment_ = 1;
    return begin();
  }
  counted_ = std::max(std::floor(until_ - *first_), 0.0);
  std::erase_if(moments, [&](const store::Moment& moment) { return moment.from > until_ + kRounding; });
  if (moments.empty()) return {};
  IE_CHECK(load_last_objects(moments.back().id));
  frames_.push_back({moments.back(), {}, {}});  // what follows may be the same picture
  return {};
}

Status VideoAnalysis::load_last_objects(store::MomentId moment) {
  const std::lock_guard lock(plan_.run.reader_mutex);
  IE_TRY(const std::vector<store::MomentRecord> records, plan_.run.reader.moment_records(video_.file.asset));
  for (const store::MomentRecord& record : records)
    if (record.moment == moment && record.stage == kObjectsStage) last_objects_ = record.data;
  return {};
}

// What was found at other times, and the records that describe it.
Status VideoAnalysis::drop_former() {
  const std::lock_guard lock(plan_.write);
  Run& run = plan_.run;
  IE_CHECK(run.batch.open());
  IE_CHECK(run.writer.drop_moments(video_.file.asset, store::kPictureMoments));
  IE_CHECK(run.writer.put_progress(video_.file.asset, kVideoStage, std::nullopt));
  const auto drop_records = [&](const char* stage) {
    return run.writer.drop_other_records(video_.file.asset, {stage, "", "", ""});  // no record has this key
  };
  IE_CHECK(drop_records(kVideoStage));
  for (const VideoStageRow& row : video_stages()) IE_CHECK(drop_records(row.stage));
  IE_CHECK(drop_cloud_answers(run.writer, video_.file.asset));
  return run.batch.commit();
}

// Only what the stages of this run found.
Status VideoAnalysis::drop_stages() {
  const std::lock_guard lock(plan_.write);
  Run& run = plan_.run;
  IE_CHECK(run.batch.open());
  for (const PictureStage* stage : stages_) {
    IE_CHECK(run.writer.drop_moment_records(video_.file.asset, stage->key.stage));
    // Vectors of another model stay, and with them its record.
    IE_CHECK(stage->dimensions > 0 ? run.writer.drop_record(video_.file.asset, stage->key)
                                   : run.writer.drop_other_records(video_.file.asset, {stage->key.stage, "", "", ""}));
  }
  if (runs(kObjectsStage)) IE_CHECK(run.writer.drop_moment_records(video_.file.asset, kBetweenRecord));
  return run.batch.commit();
}

// Fails where what is kept does not reach to the time until which frames are.
Status VideoAnalysis::resume_fingerprint(double first, double until) {
  if (!fingerprinter_) return {};
  std::vector<store::MomentRecord> records;
  {
    const std::lock_guard lock(plan_.run.reader_mutex);
    IE_TRY(records, plan_.run.reader.moment_records(video_.file.asset));
  }
  std::size_t cells = 0;
  for (const store::MomentRecord& record : records) {
    if (record.stage != kFingerprintStage) continue;
    IE_TRY(part_, part_from(record.data));
    part_moment_ = record.moment;
    cells += part_.size();
  }
  const std::size_t steps = cells / video::kPrintCells;
  if (static_cast<double>(steps + 1) * video::kPrintStep < until - first)
    return fail(ErrorCode::kNotFound, "a part of the fingerprint is missing");
  fingerprinter_->resume(first, steps);
  return {};
}

// Seconds before the last sampled frame from which on the detector sees again what it was not sure of.
double VideoAnalysis::rewind() const { return std::max(kLeastRewind, detector_ ? 2 * detector_->delay(spacing_) : 0); }

Status VideoAnalysis::of_the_run(Status status) {
  if (!status) run_failed_ = true;
  return status;
}

double VideoAnalysis::resume_from() const {
  if (!has_kept()) return 0;
  double from = until_ - rewind();
  if (!frames_.empty()) from = std::min(from, frames_.front().moment.from);
  return std::max(clips_ != nullptr ? std::min(from, actions_.until()) : from, 0.0);
}

Status VideoAnalysis::read_frames(std::uint32_t decode_threads) {
  const Config& config = plan_.run.options.config;
  detector_ = anew_ && plan_.make_detector ? plan_.make_detector() : nullptr;
  last_small_.clear();
  between_.clear();
  resumed_at_ = until_;
  actions_.begin_again();
  IE_TRY(worker::LeasedFile leased, worker::LeasedFile::open(plan_.run.pool, video_.file.seen.path));
  worker::Task task{.operations = worker::kThumbnail | worker::kLuma, .max_edge = plan_.edge};
  task.thumbnail_edge = static_cast<std::uint32_t>(config.thumbnails.size);
  task.thumbnail_quality = static_cast<std::uint32_t>(config.thumbnails.quality);
  task.video = {.from = resume_from(),
                .fps = config.video.fps,
                .anchor = first_.value_or(0),
                .track_fps = runs(kObjectsStage) ? plan_.track_fps : 0,
                .between_edge = plan_.between_edge,
                .small_width = video::kSmallWidth,
                .small_height = video::kSmallHeight,
                .threads = decode_threads,
                .key_frames_only = config.video.key_frames_only};
  if (clips_ != nullptr) {
    const ClipModel& clip = *clips_->clip;
    task.video.step_seconds = clip.stride_seconds, task.video.step_frames = clip.stride_frames;
    task.video.step_edge = clip.edge;
  }
  IE_CHECK(leased.start_video(task));
  for (;;) {
    const Trace::Clock::time_point start = Trace::Clock::now();
    IE_TRY(const std::optional<worker::VideoChunk> chunk, leased.next_chunk());
    plan_.trace.add_wait(start);
    if (!chunk) break;
    IE_CHECK(take_chunk(leased, *chunk));
    if (are_other_frames_) return {};
    const bool due =
        position_ - written_position_ >= kWriteEverySeconds || Trace::Clock::now() - written_ >= kWriteEvery;
    if (due) IE_CHECK(of_the_run(write_frames()));
    if (plan_.run.cancelled() || plan_.stop) {
      was_cancelled_ = true;
      return {};
    }
  }
  if (detector_) IE_CHECK(take_changes(detector_->finish()));
  summary_ = leased.summary();
  plan_.trace.add(summary_);
  return {};
}

Status VideoAnalysis::take_chunk(worker::LeasedFile& leased, const worker::VideoChunk& chunk) {
  if (!first_ && !chunk.seconds.empty()) first_ = chunk.seconds.front();
  auto chosen = chunk.chosen.begin();
  for (std::size_t i = 0; i < chunk.seconds.size(); ++i) {
    const double seconds = chunk.seconds[i];
    const std::span<const std::uint8_t> small = leased.small(chunk, i);
    if (detector_) {
      const Trace::Clock::time_point start = Trace::Clock::now();
      IE_CHECK(take_changes(detector_->add({next_index_++, seconds, small})));
      plan_.trace.add(kSceneChangesStep, start, 1);
    }
    if (fingerprinter_) fingerprinter_->add(seconds, small);
    if (seconds > position_) spacing_ = seconds - position_;
    position_ = std::max(position_, seconds);
    if (chosen == chunk.chosen.end() || chosen->seconds != seconds) continue;
    if (chosen->is_between)
      add_between(leased, *chosen);
    else if (seconds > resumed_at_ + kRounding)
      add_frame(leased, *chosen, small);
    else if (!frames_.empty() && std::abs(seconds - frames_.front().moment.from) <= kRounding)
      last_small_.assign(small.begin(), small.end());  // what follows is compared with the last frame that was kept
    ++chosen;
  }
  add_steps(leased, chunk);
  const double position = position_ - *first_;
  if (position - counted_ >= 1) {
    plan_.progress.add(static_cast<std::uint64_t>(position - counted_));
    counted_ += std::floor(position - counted_);
  }
  return {};
}

Status VideoAnalysis::take_changes(const Result<std::vector<video::SceneChange>>& changes) {
  if (!changes) return of_the_run(fail(changes.error()));
  for (const video::SceneChange& change : *changes) {
    const auto is_known = [&](const video::SceneChange& known) { return overlap(known, change); };
    // What an earlier run was sure of is known; a resumed detector may see it otherwise, as it begins in its middle.
    if (change.to_seconds < resumed_at_ - rewind() / 2) continue;
    if (std::ranges::none_of(changes_, is_known)) changes_.push_back(change);
  }
  return {};
}

void VideoAnalysis::add_steps(worker::LeasedFile& leased, const worker::VideoChunk& chunk) {
  for (const worker::ChosenFrame& step : chunk.steps) {
    const Trace::Clock::time_point start = Trace::Clock::now();
    const worker::Picture& picture = step.picture;
    if (const Status added =
            actions_.add(step.seconds, leased.pixels(picture), {picture.full_width, picture.full_height});
        !added)
      note_failure(*clips_, step.seconds, added.error());
    plan_.run.trace.add(Step::kModels, start);
  }
}

void VideoAnalysis::add_frame(worker::LeasedFile& leased, const worker::ChosenFrame& chosen,
                              std::span<const std::uint8_t> small) {
  const double step = 1 / plan_.run.options.config.video.fps;
  sampled_ = chosen.seconds;
  std::vector<FrameBetween> between = std::exchange(between_, {});
  const store::Moment* known = known_frame(chosen.seconds);
  const bool is_same = known == nullptr && !frames_.empty() && video::is_same_picture(small, last_small_);
  if (anew_ && !frames_.empty()) frames_.back().moment.to = chosen.seconds + (is_same ? step : 0);
  if (is_same) return;
  last_small_.assign(small.begin(), small.end());
  const worker::Picture& picture = chosen.picture;
  const ImageView pixels = leased.pixels(picture);
  if (anew_) {
    frames_.push_back({{next_moment_++, store::MomentKind::kFrame, chosen.seconds, chosen.seconds + step}, {}, {}});
    rate(leased, chosen);
  } else if (known != nullptr) {
    frames_.push_back({*known, {}, {}});
  } else {
    are_other_frames_ = true;
    return;
  }
  frames_between_ += between.size();
  frames_.back().between = std::move(between);
  launch(chosen, pixels);
}

void VideoAnalysis::launch(const worker::ChosenFrame& chosen, const ImageView& pixels) {
  while (flights_.size() >= plan_.stage_threads) land();
  auto flight = std::make_unique<Flight>();
  flight->frame = frames_.size() - 1;
  flight->picture = chosen.picture;
  for (const PictureStage* stage : stages_)
    if (!stage->follows && !stage->clip) flight->runs.push_back({stage, {}, {}});
  if (plan_.stage_threads > 1) {
    // The chunk's memory is given back meanwhile.
    flight->copy = {pixels.width, pixels.height, {pixels.pixels.begin(), pixels.pixels.end()}};
    const auto run = [this, &on = *flight] { run_stages(on, {on.copy.width, on.copy.height, on.copy.pixels}); };
    try {
      flight->done = std::async(std::launch::async, run);
    } catch (const std::system_error&) {
      run();  // where threads are missing
    }
  } else {
    run_stages(*flight, pixels);
  }
  flights_.push_back(std::move(flight));
  if (plan_.stage_threads <= 1) land();
}

void VideoAnalysis::run_stages(Flight& flight, const ImageView& pixels) const {
  const worker::Picture& picture = flight.picture;
  StageInput input{pixels, picture.luma, picture.full_width, picture.full_height};
  input.larger = [&](std::uint32_t) -> Result<ImageView> { return pixels; };  // frames come as large as any stage asks
  input.only_large_text = plan_.run.options.config.video.key_frames_only;
  for (StageRun& run : flight.runs) {
    const PictureStage& stage = *run.stage;
    const Trace::Clock::time_point start = Trace::Clock::now();
    run.work.emplace(stage.prepare(input));
    plan_.trace.add(stage.key.stage, start, 1);
    if (*run.work && batch_of(stage) == 1) run.outputs = outputs_of(stage, {&**run.work, 1});
    plan_.run.trace.add(stage.load ? Step::kModels : Step::kAnalyze, start);
  }
}

void VideoAnalysis::land() {
  const std::unique_ptr<Flight> flight = std::move(flights_.front());
  flights_.pop_front();
  if (flight->done.valid()) flight->done.get();
  for (StageRun& run : flight->runs) {
    const PictureStage& stage = *run.stage;
    if (!*run.work) {
      if (stage.key.stage == kObjectsStage) drop_between(frames_[flight->frame]);
      note_failure(stage, frames_[flight->frame].moment.from, run.work->error());
      continue;
    }
    if (!run.outputs.empty()) {
      keep_outputs(stage, {&flight->frame, 1}, std::move(run.outputs));
      continue;
    }
    Batch& batch = batches_[&stage];
    batch.works.push_back(std::move(**run.work));
    batch.frames.push_back(flight->frame);
    const std::size_t waiting = stage.key.stage == kObjectsStage ? frames_between_ : 0;
    if (batch.works.size() + waiting >= batch_of(stage)) run_batch(stage);
  }
}

std::size_t VideoAnalysis::batch_of(const PictureStage& stage) const {
  return stage.batch > 0 ? stage.batch
                         : static_cast<std::size_t>(plan_.run.options.config.analysis.ml_models.batch_size);
}

// The best frame becomes the video's thumbnail.
void VideoAnalysis::rate(worker::LeasedFile& leased, const worker::ChosenFrame& chosen) {
  const Trace::Clock::time_point begun = Trace::Clock::now();
  const double score = vision::assess_quality(chosen.picture.luma, leased.pixels(chosen.picture)).score;
  plan_.trace.add(kQualityStage, begun, 0);
  if (score <= best_score_) return;
  best_score_ = score;
  const std::span<const std::byte> jpeg = leased.bytes(chosen.thumbnail);
  best_jpeg_.assign(jpeg.begin(), jpeg.end());
}

void VideoAnalysis::run_batch(const PictureStage& stage) {
  Batch batch = std::exchange(batches_[&stage], {});
  if (!batch.works.empty()) keep_outputs(stage, batch.frames, outputs_of(stage, batch.works));
}

std::vector<Result<StageOutput>> VideoAnalysis::outputs_of(const PictureStage& stage,
                                                           std::span<StageWork> works) const {
  const Trace::Clock::time_point start = Trace::Clock::now();
  std::vector<Result<StageOutput>> outputs = run_each(stage, works);
  plan_.trace.add(stage.key.stage, start, 0);
  return outputs;
}

void VideoAnalysis::keep_outputs(const PictureStage& stage, std::span<const std::size_t> frames,
                                 std::vector<Result<StageOutput>> outputs) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    Frame& frame = frames_[frames[i]];
    if (outputs[i] && stage.key.stage == kObjectsStage) follow(stage, frame, outputs[i]->data);
    // A vector is a fact without a record.
    if (!outputs[i] && stage.key.stage == kObjectsStage) drop_between(frame);
    if (outputs[i])
      add_output(frame, stage, std::move(*outputs[i]));
    else
      note_failure(stage, frame.moment.from, outputs[i].error());
  }
}

void VideoAnalysis::add_between(worker::LeasedFile& leased, const worker::ChosenFrame& chosen) {
  if (chosen.seconds <= resumed_at_ + kRounding || between_.size() >= kMostBetween) return;
  const worker::Picture& picture = chosen.picture;
  const std::span<const std::uint8_t> pixels = leased.pixels(picture).pixels;
  between_.push_back({chosen.seconds,
                      {picture.width, picture.height, {pixels.begin(), pixels.end()}},
                      picture.full_width,
                      picture.full_height});
}

std::vector<FrameBetween> VideoAnalysis::drop_between(Frame& frame) {
  frames_between_ -= frame.between.size();
  return std::exchange(frame.between, {});
}

void VideoAnalysis::follow(const PictureStage& stage, Frame& frame, const std::string& objects) {
  const std::vector<FrameBetween> between = drop_between(frame);
  const std::string before = std::exchange(last_objects_, objects);
  if (between.empty() || !needs_frames_between(before, objects)) return;
  const Trace::Clock::time_point start = Trace::Clock::now();
  Result<std::string> found = objects_between(stage, between);
  plan_.trace.add(stage.key.stage, start, between.size());
  if (found)
    frame.records.push_back({{frame.moment.id, kBetweenRecord, std::move(*found)}, {}});
  else
    note_failure(stage, between.front().seconds, found.error());
}

void VideoAnalysis::add_output(Frame& frame, const PictureStage& stage, StageOutput output) {
  for (const store::Fact& fact : output.facts)
    if (const auto* vector = std::get_if<store::VectorFact>(&fact))
      for (const PictureStage* other : stages_) {
        if (other->follows != vector->space) continue;
        Result<StageOutput> made = other->from_vector(vector->numbers);
        made ? add_output(frame, *other, std::move(*made)) : note_failure(*other, frame.moment.from, made.error());
      }
  // A vector is a fact without a record.
  frame.records.emplace_back(
      store::MomentRecord{frame.moment.id, stage.key.stage, stage.dimensions > 0 ? "" : std::move(output.data)},
      std::move(output.facts));
}

void VideoAnalysis::note_failure(const PictureStage& stage, double seconds, const Error& error) {
  if (error.code == ErrorCode::kInterrupted && plan_.run.cancelled()) {
    was_cancelled_ = is_incomplete_ = true;
    return;
  }
  failures_.try_emplace(&stage, Error{error.code, fmt::format("frame at {:.3f} s: {}", seconds, error.message)});
  for (const PictureStage* other : stages_)
    if (other->follows == stage.key) note_failure(*other, seconds, error);
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
                        {"actions", actions_.progress()},
                        {"failures", std::move(failures)}});
}

// All frames so far; the last stays at hand, since what follows may be the same picture.
Status VideoAnalysis::write_frames() {
  while (!flights_.empty()) land();
  for (const PictureStage* stage : stages_) run_batch(*stage);
  if (is_incomplete_) return {};
  written_ = Trace::Clock::now();
  written_position_ = position_;
  if (frames_.empty()) return {};
  const Trace::Clock::time_point start = Trace::Clock::now();
  const std::size_t frames = frames_.size();
  until_ = std::max(until_, sampled_);
  const std::lock_guard lock(plan_.write);
  Run& run = plan_.run;
  IE_CHECK(run.batch.open());
  for (Frame& frame : frames_) {
    if (anew_) IE_CHECK(run.writer.put_moment(video_.file.asset, frame.moment));
    for (const auto& [record, facts] : frame.records)
      IE_CHECK(run.writer.put_moment_record(video_.file.asset, record, facts));
  }
  IE_CHECK(write_fingerprint_part());
  IE_CHECK(
      run.writer.put_progress(video_.file.asset, kVideoStage, store::AnalysisProgress{progress_key_, progress_data()}));
  IE_CHECK(run.batch.commit());
  frames_.erase(frames_.begin(), frames_.end() - 1);
  frames_.back().records.clear();
  run.trace.add(Step::kWrite, start);
  plan_.trace.add("write", start, frames);
  return {};
}

Status VideoAnalysis::write_fingerprint_part() {
  if (!fingerprinter_) return {};
  const store::MomentId moment = frames_.back().moment.id;
  if (moment != part_moment_) part_.clear();
  part_moment_ = moment;
  part_ += fingerprinter_->take();
  if (part_.empty()) return {};
  return plan_.run.writer.put_moment_record(video_.file.asset, {moment, kFingerprintStage, part_data(part_)});
}

Status VideoAnalysis::keep_fingerprint(const std::string& cells) {
  // What a decode that was broken off met is not known.
  const bool is_flawed = !summary_.warnings.empty() || std::isfinite(resumed_at_);
  const json data = {{"cells", base64_encode(cells)},
                     {"duration", thousandths(std::max(frames_.back().moment.to - *first_, 0.0))},
                     {"frame_rate", summary_.frame_rate},
                     {"audio_streams", summary_.audio_streams},
                     {"subtitle_streams", summary_.subtitle_streams},
                     {"hdr", summary_.is_hdr},
                     {"flawed", is_flawed}};
  return plan_.run.writer.put_record(video_.file.asset, {fingerprint_key(), "cpu", "", json_text(data), ""});
}

Status VideoAnalysis::finish(const std::optional<Error>& broken) {
  if (first_ && summary_.frames > 0 && !frames_.empty()) {
    const double frame = summary_.frame_rate > 0 ? 1 / summary_.frame_rate : 0;
    double end = std::max(position_, summary_.last) + frame;
    // What is behind the last key frame was not decoded.
    if (plan_.run.options.config.video.key_frames_only) end = std::max(end, *first_ + summary_.duration);
    frames_.back().moment.to = std::max(frames_.back().moment.from, end);
    if (fingerprinter_) fingerprinter_->finish(end);
  }
  if (const Status named = actions_.finish(position_ + spacing_); !named)
    note_failure(*clips_, position_, named.error());
  IE_CHECK(write_frames());
  if (was_cancelled_) return {};
  std::vector<store::Moment> moments;
  std::vector<store::MomentRecord> records;
  {
    const std::lock_guard lock(plan_.run.reader_mutex);
    IE_TRY(moments, plan_.run.reader.moments(video_.file.asset));
    IE_TRY(records, plan_.run.reader.moment_records(video_.file.asset));
  }
  std::vector<store::Moment> known_scenes;
  std::ranges::copy_if(moments, std::back_inserter(known_scenes),
                       [](const store::Moment& moment) { return moment.kind == store::MomentKind::kScene; });
  std::erase_if(moments, [](const store::Moment& moment) { return moment.kind != store::MomentKind::kFrame; });
  std::map<store::MomentId, const store::Moment*> at_moment;
  for (const store::Moment& moment : moments) at_moment[moment.id] = &moment;
  std::map<std::string, std::vector<FrameData>, std::less<>> by_stage;
  for (const store::MomentRecord& record : records)
    if (const auto at = at_moment.find(record.moment); at != at_moment.end())
      by_stage[record.stage].push_back({at->second->from, record.data, at->second->to});
  std::vector<std::vector<ObjectsAt>> between;
  for (const FrameData& frame : by_stage[kBetweenRecord]) between.push_back(frames_of_record(frame.data));
  for (const std::vector<ObjectsAt>& list : between)
    for (const ObjectsAt& frame : list) by_stage[kObjectsStage].push_back({frame.seconds, frame.data});
  for (auto& [stage, frames] : by_stage) std::ranges::stable_sort(frames, {}, &FrameData::seconds);

  std::string cells;
  for (const FrameData& part : by_stage[kFingerprintStage]) {
    IE_TRY(const std::string more, part_from(part.data));
    cells += more;
  }

  std::vector<video::Scene> scenes;
  if (anew_) {
    std::ranges::sort(changes_, {}, &video::SceneChange::from_seconds);
    const double end = moments.empty() ? position_ : std::max(moments.back().to, position_);
    if (!moments.empty()) scenes = video::scenes_of(changes_, first_.value_or(0), end);
  } else {
    for (const store::Moment& scene : known_scenes) scenes.push_back({scene.from, scene.to, scene.from, scene.to, {}});
  }
  std::vector<video::FrameScore> scores;
  for (const FrameData& frame : by_stage[kQualityStage]) {
    const json data = parse_json(frame.data);
    scores.push_back({frame.seconds, data.is_object() ? data.value("score", 0.0) : 0.0});
  }

  const std::lock_guard lock(plan_.write);
  Run& run = plan_.run;
  const store::AssetId asset = video_.file.asset;
  IE_CHECK(run.batch.open());
  IE_CHECK(put_scenes(known_scenes, records, scenes, scores));
  IE_CHECK(put_actions(moments));
  if (runs(kObjectsStage)) {
    const std::vector<video::Track> tracks = tracks_of(by_stage[kObjectsStage], scenes);
    for (const store::MomentRecord& record : records)
      if (const auto at = at_moment.find(record.moment); record.stage == kObjectsStage && at != at_moment.end())
        IE_CHECK(run.writer.put_moment_record(asset, record, {{objects_at(*at->second, record.data, tracks)}}));
  }
  for (const PictureStage* stage : stages_) {
    // A stage that was added is not done where the rest of the frames was not seen: --retry begins anew.
    if (failures_.contains(stage) || (broken && !anew_)) continue;
    StageOutput output = stage->clip ? actions_over_time(actions_.windows(), ActionSource::kTemporal)
                                     : video_stage(stage->key.stage)->summarize(by_stage[stage->key.stage], scenes);
    const auto [device, precision] = stage->placement();
    plan_.trace.ran_on(stage->key.stage, device, precision);
    IE_CHECK(run.writer.put_record(asset, {stage->key, device, precision, std::move(output.data), ""}, output.facts));
    if (stage->dimensions == 0) IE_CHECK(run.writer.drop_other_records(asset, stage->key));
  }
  const auto embeds = [](const PictureStage* stage) { return stage->dimensions > 0; };
  if (anew_ || (!broken && std::ranges::any_of(stages_, embeds))) IE_CHECK(plan_.meaning.keep_video(asset));
  if (broken) {
    const std::string where = moments.empty() ? "" : fmt::format("from {:.3f} s on: ", position_);
    IE_CHECK(run.record_failure(row_, decode_key(), {broken->code, where + broken->message}));
  } else if (anew_) {
    json data = {{"frames", moments.size()}, {"scenes", scenes.size()}};
    for (const std::string& warning : summary_.warnings) data["warnings"].push_back(to_utf8(warning));
    IE_CHECK(run.writer.put_record(asset, {plan_.key, "cpu", "", json_text(data), ""}));
    IE_CHECK(run.writer.drop_other_records(asset, plan_.key));
    if (fingerprinter_ && fingerprinter_->is_whole() && !cells.empty()) {
      IE_CHECK(keep_fingerprint(cells));
    }
  }
  if (!broken) IE_CHECK(run.writer.clear_failure(video_.file.seen.path, kDecodeStage));
  IE_CHECK(run.writer.drop_moment_records(asset, kFingerprintStage));
  IE_CHECK(keep_thumbnail());
  IE_CHECK(run.writer.put_progress(asset, kVideoStage, std::nullopt));
  for (const auto& [stage, error] : failures_) IE_CHECK(run.record_failure(row_, stage->key, error));
  if (!run.hears()) run.renewed_videos.erase(asset);
  (run.hears() ? run.renewed_videos : run.renewed).insert(asset);
  IE_CHECK(run.batch.commit());
  return run.announce();
}

Status VideoAnalysis::put_scenes(std::span<const store::Moment> known, std::span<const store::MomentRecord> records,
                                 std::span<const video::Scene> scenes, std::span<const video::FrameScore> scores) {
  if (!anew_ && !runs(kQualityStage)) return {};
  const store::AssetId asset = video_.file.asset;
  for (std::size_t i = 0; i < scenes.size(); ++i) {
    store::MomentRecord record{anew_ ? next_moment_++ : known[i].id, plan_.key.stage, ""};
    json data = {{"begins", scenes[i].begins}};
    if (anew_)
      IE_CHECK(
          plan_.run.writer.put_moment(asset, {record.moment, store::MomentKind::kScene, scenes[i].from, scenes[i].to}));
    else if (const auto found = std::ranges::find(records, record.moment, &store::MomentRecord::moment);
             found != records.end())
      data = parse_json(found->data);
    if (const auto best = video::best_frame(scores, scenes[i]); best >= 0)
      data["best"] = scores[static_cast<std::size_t>(best)].seconds;
    record.data = json_text(data);
    IE_CHECK(plan_.run.writer.put_moment_record(asset, record));
  }
  return {};
}

Status VideoAnalysis::put_actions(const std::vector<store::Moment>& frames) {
  if (clips_ == nullptr) return {};
  for (const store::Moment& frame : frames) {
    StageOutput output = actions_at(actions_.between(frame.from, frame.to), ActionSource::kTemporal);
    IE_CHECK(plan_.run.writer.put_moment_record(video_.file.asset,
                                                {frame.id, clips_->key.stage, std::move(output.data)}, output.facts));
  }
  return {};
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
