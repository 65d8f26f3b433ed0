#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <span>

#include "core/json.h"
#include "core/progress.h"
#include "core/text.h"
#include "pipeline/gpu_decoding.h"
#include "pipeline/parallel.h"
#include "pipeline/photo_source.h"
#include "pipeline/photos_ahead.h"
#include "pipeline/run.h"
#include "pipeline/run_stages.h"
#include "pipeline/slow_stages.h"
#include "pipeline/stages.h"
#include "types/asset_name.h"
#include "vision/tiled_objects.h"

namespace image_engine::pipeline {
namespace {

// What pass 2 found out about one file.
struct Contents {
  Result<worker::Hashes> hashes = fail(ErrorCode::kInternal, "");
  bool decoded = false;  // else nothing was asked of the picture: a video, or known from another file
  Result<worker::Picture> picture = fail(ErrorCode::kInternal, "");
  std::vector<std::pair<store::Record, std::vector<store::Fact>>> outputs;
  std::vector<std::pair<store::StageKey, Error>> failures;  // of stages that had the picture
  std::map<const PictureStage*, StageWork> prepared;        // for stages that run on several pictures at once
  bool was_seen = false;                                    // by a model
  std::vector<const PictureStage*> slow;                    // stages that are to follow in a pass of their own
};

struct HashOfHash {
  size_t operator()(const Hash128& hash) const {
    size_t value = 0;
    std::memcpy(&value, hash.bytes.data(), sizeof value);
    return value;
  }
};

class ContentPass {
 public:
  ContentPass(Run& run, RunStages& stages)
      : run_(run),
        stages_(stages),
        thumbnail_key_(thumbnail_key(run.options.config)),
        edge_(static_cast<std::uint32_t>(run.options.config.thumbnails.size)),
        quality_(static_cast<std::uint32_t>(run.options.config.thumbnails.quality)) {}

  Result<double> all() {
    const double busy = run_.trace.busy(), models = run_.trace.busy(Step::kModels);
    IE_CHECK(stages_.choose());
    thumbnails_ = run_.asked_for(kThumbnailStage);
    IE_CHECK(find_pending());
    // Models are loaded when there is something for them to do; one that cannot be is left out of this run.
    IE_TRY(const bool left_out, load_models());
    if (left_out) IE_CHECK(find_pending());
    IE_CHECK(stages_.meaning().begin(stages_.all()));
    if (!files_.empty()) IE_CHECK(choose_gpu());
    Progress progress("Content", files_.size(), run_.options.progress);
    progress.append_text(run_.options.beside_progress);
    groups_ = {files_, files_at_once()};
    PhotosAhead ahead(run_.gpu, groups_, [this](const store::PendingFile& file) { return gpu_task(file); });
    const auto read_several = [&](size_t group) { return read_group(group, ahead, progress); };
    const auto keep_several = [&](size_t group, const std::vector<Contents>& contents) -> Status {
      const auto files = groups_.of(group);
      for (size_t i = 0; i < contents.size(); ++i) {
        const Trace::Clock::time_point start = Trace::Clock::now();
        IE_CHECK(keep(files[i], contents[i]));
        run_.trace.add(Step::kWrite, start);
      }
      return {};
    };
    IE_CHECK(
        parallel_files(groups_.count(), run_.pool.options().workers, read_several, keep_several, run_.options.stop));
    IE_CHECK(try_again());
    IE_CHECK(run_.batch.commit());
    run_.report.content.files = progress.done();
    run_.report.waiting = files_.size() - progress.done() + slow_.size();
    IE_CHECK(run_.announce());
    if (!run_.cancelled()) IE_CHECK(stages_.meaning().finish());
    const double worked = run_.trace.busy() - busy, in_models = run_.trace.busy(Step::kModels) - models;
    IE_CHECK(run_slow_stages(run_, stages_.meaning(), slow_));
    return worked > 0 ? in_models / worked : 0;
  }

 private:
  Status find_pending() {
    store::PendingQuery query;
    query.roots = run_.options.paths;
    if (thumbnails_) query.stages.push_back({thumbnail_key_, MediaKind::kPhoto});
    for (const PictureStage& stage : stages_.all()) query.stages.push_back({stage.key, MediaKind::kPhoto});
    query.gates = {metadata_key(), content_key(), decode_key()};
    query.retry = run_.options.retry;
    query.redo = run_.options.redo;
    IE_TRY(files_, run_.writer.pending(query));
    IE_TRY(const bool former, run_.writer.wants_former_hashes());
    hashing_ = worker::kHash | (former ? worker::kFormerHash : 0U);
    std::erase_if(files_, [&](const store::PendingFile& file) { return run_.unreadable.contains(file.file); });
    return {};
  }

  // Whether GPUs decode what the stages need.
  Status choose_gpu() {
    if (run_.gpu == nullptr) return {};
    const worker::Task task = decoding({}, all_keys());
    const bool has_pictures = (task.operations & (worker::kDecode | worker::kThumbnail)) != 0;
    if (has_pictures && !run_.gpu->takes(task)) {
      run_.report.notes.push_back(
          fmt::format("photos are decoded on the CPU: a model needs them with an edge of {} pixels, more than the "
                      "GPU's decoder gives",
                      task.max_edge));
      run_.gpu = nullptr;
    }
    if (run_.gpu != nullptr && has_pictures) gpu_inputs_ = make_inputs_on_gpus(stages_.all(), *run_.gpu);
    return wait_if_demanded(run_.options.config, run_.gpu, run_.options.stop);
  }

  // Files whose workers the system killed, most likely for lack of memory: once more, one at a time.
  Status try_again() {
    is_last_try_ = true;
    const auto read_one = [&](size_t index) {
      std::vector<Contents> one;
      one.push_back(read(again_[index]));
      run_batches(one);
      return one;
    };
    const auto keep_one = [&](size_t index, const std::vector<Contents>& one) { return keep(again_[index], one[0]); };
    return parallel_files(again_.size(), 1, read_one, keep_one, run_.options.stop);
  }

  // True when a stage had to be left out. An error where a GPU was required and is not to be had.
  Result<bool> load_models() {
    const auto has_work = [&](const PictureStage& stage) {
      return std::ranges::any_of(files_, [&](const store::PendingFile& file) {
        return std::ranges::find(file.stages, stage.key.stage) != file.stages.end();
      });
    };
    return stages_.load(has_work);
  }

  // The records that this picture lacks; none for all but the first file with it.
  std::vector<store::StageKey> claim(const store::PendingFile& file, const Hash128& asset) {
    {
      const std::lock_guard lock(claimed_mutex_);
      if (!claimed_.insert(asset).second) return {};
    }
    std::vector<store::StageKey> wanted = all_keys();
    const std::lock_guard lock(run_.reader_mutex);
    // A carried file's asset will take this hash.
    const Result<std::vector<store::StageKey>> known =
        run_.reader.record_keys(asset, file.carried ? file.asset : store::AssetId{0});
    if (!known) return wanted;
    std::erase_if(wanted, [&](const store::StageKey& key) {
      return std::ranges::find(run_.options.redo, key.stage) == run_.options.redo.end() && is_among(*known, key);
    });
    return wanted;
  }

  // As many files as a model runs on at once, but so that every worker has some to do several times, and that the
  // batches of all workers, each also copied to one tensor for its run, take at most half of the memory budget.
  [[nodiscard]] size_t files_at_once() const {
    size_t most = run_.gpu != nullptr ? PhotosAhead::kAhead : 1, bytes = 0;
    bool has_gpu = false;
    for (const PictureStage& stage : stages_.all()) {
      if (!stage.is_loaded()) continue;
      const size_t batch = stage.batch > 0 ? stage.batch : configured_batch();
      if (batch == 1) continue;
      most = std::max(most, batch);
      bytes += 2 * stage.prepared_bytes;
      has_gpu |= stage.device != "cpu";
    }
    const auto workers = static_cast<size_t>(run_.pool.options().workers);
    const size_t share = files_.size() / (workers * 4);
    const size_t affordable = run_.options.config.memory_budget(has_gpu) / 2 / workers / std::max<size_t>(bytes, 1);
    return std::clamp<size_t>(std::min(share, affordable), 1, most);
  }

  [[nodiscard]] size_t configured_batch() const {
    return static_cast<size_t>(run_.options.config.analysis.ml_models.batch_size);
  }

  // Files one after the other; then, for each model that wants it so, all their pictures at once. Those that were not
  // begun when the run was cancelled are left out at the end.
  std::vector<Contents> read_group(size_t group, PhotosAhead& ahead, Progress& progress) {
    const std::span<const store::PendingFile> files = groups_.of(group);
    std::vector<Contents> all;
    PhotosAhead::Begun begun = ahead.take(group);  // of the files from all.size() on
    for (const store::PendingFile& file : files) {
      if (!all.empty() && run_.cancelled()) break;
      ahead.begin(files.subspan(all.size()), begun);
      // So that the GPU has work while this thread is at its last files and runs models.
      if (begun.size() < PhotosAhead::kAhead) ahead.begin_one_ahead();
      if (begun.empty() || !begun.front())
        all.push_back(read(file));
      else
        all.push_back(read(file, std::move(*begun.front()), ahead));
      if (!begun.empty()) begun.pop_front();
      progress.add();
    }
    run_batches(all);
    return all;
  }

  // What a decoder on a GPU is to do.
  [[nodiscard]] worker::Task gpu_task(const store::PendingFile& file) const {
    worker::Task task = decoding(file, all_keys());
    task.operations |= hashing_;
    return task;
  }

  // What the GPU leaves, the CPU decodes; it also says what is wrong with a file. Another GPU gets once what is lost
  // with a decoder: the picture may be what killed it.
  Contents read(const store::PendingFile& file, worker::GpuPicture picture, PhotosAhead& ahead,
                bool is_second = false) {
    const Trace::Clock::time_point start = Trace::Clock::now();
    const std::optional<worker::Reply> reply = picture.wait();
    run_.trace.add(Step::kGpuDecode, start);
    if (!reply || !reply->hashes || !reply->picture) {
      const bool is_for_another = picture.is_lost() && !is_second;
      std::optional<worker::GpuPicture> elsewhere =
          is_for_another ? ahead.submit(file, {.never = &picture.decoder()}) : std::nullopt;
      { const worker::GpuPicture released = std::move(picture); }
      return elsewhere ? read(file, std::move(*elsewhere), ahead, true) : read(file);
    }
    Contents contents;
    contents.hashes = reply->hashes;
    const std::vector<store::StageKey> wanted = claim(file, contents.hashes->asset);
    if (wanted.empty()) return contents;
    PhotoSource source(run_, file.seen, std::move(picture));
    take_picture(source, *reply, wanted, contents);
    give_back_claim(contents);
    return contents;
  }

  void run_batches(std::vector<Contents>& all) {
    for (const PictureStage& stage : stages_.all()) run_batch(stage, all);
  }

  void run_batch(const PictureStage& stage, std::vector<Contents>& all) {
    std::vector<Contents*> pictures;
    std::vector<StageWork> works;
    for (Contents& contents : all)
      if (const auto found = contents.prepared.find(&stage); found != contents.prepared.end()) {
        pictures.push_back(&contents);
        works.push_back(std::move(found->second));
      }
    if (pictures.empty()) return;
    const Trace::Clock::time_point start = Trace::Clock::now();
    std::vector<Result<StageOutput>> outputs = run_each(stage, works);
    for (size_t i = 0; i < pictures.size(); ++i) {
      take(stage, std::move(outputs[i]), *pictures[i]);
      pictures[i]->was_seen = true;
    }
    run_.trace.add(Step::kModels, start, pictures.size());
  }

  static void take(const PictureStage& stage, Result<StageOutput> output, Contents& contents) {
    if (!output) {
      contents.failures.emplace_back(stage.key, output.error());
      return;
    }
    contents.outputs.emplace_back(record_of(stage, std::move(output->data)), std::move(output->facts));
  }

  Contents read(const store::PendingFile& file) {
    Contents contents;
    Result<worker::LeasedFile> leased = worker::LeasedFile::open(run_.pool, file.seen.path);
    if (!leased) {
      contents.hashes = fail(leased.error());
      return contents;
    }
    const bool is_photo = file.seen.kind == MediaKind::kPhoto;
    // A picture that is probably known is not decoded before its hash says that it is not.
    const bool at_once = is_photo && file.is_new && !is_last_try_;
    worker::Task task = at_once ? decoding(file, all_keys()) : worker::Task{.operations = 0};
    task.operations |= hashing_;
    task.orientation = file.seen.orientation;
    Result<worker::Reply> reply = run_.ask(*leased, task);
    std::optional<Error> undecoded;
    if (at_once && !reply && is_of_decoding(reply.error().code)) {
      undecoded = reply.error();
      reply = run_.ask(*leased, {.operations = hashing_, .orientation = task.orientation});
    }
    contents.hashes = reply ? reply->hashes : Result<worker::Hashes>(fail(reply.error()));
    if (!contents.hashes || !is_photo) return contents;
    const std::vector<store::StageKey> wanted = claim(file, contents.hashes->asset);
    if (!wanted.empty()) {
      if (undecoded && undecoded->code != ErrorCode::kTimeout)  // alone it has as much time as both had together
        reply = fail(*undecoded);
      else if (undecoded || !at_once)
        reply = run_.ask(*leased, decoding(file, wanted));
      PhotoSource source(run_, file.seen, std::move(*leased));
      take_picture(source, reply, wanted, contents);
    }
    give_back_claim(contents);
    return contents;
  }

  // Of a picture that is read once more.
  void give_back_claim(const Contents& contents) {
    if (!was_killed(contents)) return;
    const std::lock_guard lock(claimed_mutex_);
    claimed_.erase(contents.hashes->asset);
  }

  // Whether a worker that was to hash and to decode may have died of decoding.
  static bool is_of_decoding(ErrorCode code) { return !is_of_the_run(code) && code != ErrorCode::kKilled; }

  static bool was_killed(const Contents& contents) {
    const auto is_kill = [](const Error& error) { return error.code == ErrorCode::kKilled; };
    if (!contents.hashes) return is_kill(contents.hashes.error());
    if (contents.decoded && !contents.picture) return is_kill(contents.picture.error());
    return std::ranges::any_of(contents.failures, is_kill, &std::pair<store::StageKey, Error>::second);
  }

  [[nodiscard]] std::vector<store::StageKey> all_keys() const {
    std::vector<store::StageKey> keys;
    if (thumbnails_) keys.push_back(thumbnail_key_);
    for (const PictureStage& stage : stages_.all()) keys.push_back(stage.key);
    return keys;
  }

  // One decode, as large as the most demanding of the wanted stages asks for, for all of them.
  [[nodiscard]] worker::Task decoding(const store::PendingFile& file,
                                      const std::vector<store::StageKey>& wanted) const {
    worker::Task task{.operations = 0, .thumbnail_edge = edge_, .thumbnail_quality = quality_};
    task.orientation = file.seen.orientation;
    if (is_among(wanted, thumbnail_key_)) task.operations |= worker::kThumbnail;
    for (const PictureStage& stage : stages_.all()) {
      if (!is_among(wanted, stage.key)) continue;
      task.operations |= worker::kDecode | (stage.luma ? worker::kLuma : 0U);
      task.max_edge = std::max(task.max_edge, stage.edge);
    }
    return task;
  }

  static bool is_among(const std::vector<store::StageKey>& keys, const store::StageKey& key) {
    return std::ranges::find(keys, key) != keys.end();
  }

  // What the wanted stages make of the picture that was decoded.
  void take_picture(PhotoSource& source, const Result<worker::Reply>& reply, const std::vector<store::StageKey>& wanted,
                    Contents& contents) {
    contents.decoded = true;
    contents.picture = reply ? reply->picture : Result<worker::Picture>(fail(reply.error()));
    if (!contents.picture) return;
    if (is_among(wanted, thumbnail_key_)) keep_thumbnail(source, *reply, contents);
    const worker::Picture& picture = *contents.picture;
    StageInput input{source.pixels(picture), picture.luma, picture.full_width, picture.full_height};
    input.condensed = &picture.condensed;
    source.serve(input);
    Trace::Clock::duration plain{};
    for (const PictureStage& stage : stages_.all())
      if (is_among(wanted, stage.key)) plain += run_stage(stage, source, input, contents);
    if (plain.count() > 0) run_.trace.add(Step::kAnalyze, Trace::Clock::now() - plain);
  }

  Result<StageWork> prepare(const PictureStage& stage, const PhotoSource& source, const StageInput& input,
                            const worker::Picture& picture) const {
    const auto number = gpu_inputs_.find(&stage);
    std::optional<preprocess::MadeInput> made;
    // Of a panorama a stage may want more than the GPU makes.
    if (number != gpu_inputs_.end() && !vision::needs_tiles(input.full_width, input.full_height))
      made = source.made_input(number->second, picture);
    if (!made) return stage.prepare(input);
    return stage.prepare_made(input, *made);
  }

  // Prepares the picture and, where the stage takes one at a time, runs it. Gives the time that no model took.
  Trace::Clock::duration run_stage(const PictureStage& stage, const PhotoSource& source, const StageInput& input,
                                   Contents& contents) {
    const auto start = Trace::Clock::now();
    if (stage.look) {
      look(stage, input, contents);
      return {};
    }
    Result<StageWork> work = prepare(stage, source, input, *contents.picture);
    if (!work)
      contents.failures.emplace_back(stage.key, work.error());
    else if (stage.batch == 1)
      take(stage, std::move(run_each(stage, {&*work, 1}).front()), contents);
    else
      contents.prepared[&stage] = std::move(*work);
    if (stage.load && stage.batch == 1) {
      contents.was_seen = true;
      run_.trace.add(Step::kModels, start);
      return {};
    }
    return Trace::Clock::now() - start;
  }

  void look(const PictureStage& stage, const StageInput& input, Contents& contents) const {
    const auto start = Trace::Clock::now();
    Result<std::optional<StageOutput>> seen = stage.look(input);
    if (!seen)
      take(stage, fail(seen.error()), contents);
    else if (*seen)
      take(stage, std::move(**seen), contents);
    else
      contents.slow.push_back(&stage);
    run_.trace.add(Step::kModels, start);
  }

  void keep_thumbnail(const PhotoSource& source, const worker::Reply& reply, Contents& contents) {
    Status kept = reply.thumbnail ? run_.thumbnails.put(contents.hashes->asset, edge_, source.bytes(*reply.thumbnail))
                                  : Status(fail(reply.thumbnail.error()));
    if (!kept) {
      contents.failures.emplace_back(thumbnail_key_, kept.error());
      return;
    }
    const worker::Picture& picture = *contents.picture;
    nlohmann::json data = {{"size", edge_}};
    if (picture.partial) data["partial"] = true;
    if (picture.animated) data["animated"] = true;
    for (const std::string& warning : picture.warnings) data["warnings"].push_back(to_utf8(warning));
    contents.outputs.push_back({{thumbnail_key_, "cpu", "", json_text(data), ""}, {}});
  }

  Status keep(const store::PendingFile& file, const Contents& contents) {
    if (!is_last_try_ && was_killed(contents)) {
      again_.push_back(file);
      return {};
    }
    IE_CHECK(run_.batch.open());
    store::KnownFile row;
    row.id = file.file;
    row.seen = file.seen;
    if (!contents.hashes) {
      if (contents.hashes.error().code == ErrorCode::kNotFound) {
        run_.report.notes.push_back(printable(file.seen.path) + " vanished during the analysis");
        return {};
      }
      IE_CHECK(run_.record_failure(row, content_key(), contents.hashes.error()));
      return committed();
    }
    ++run_.report.analysed;
    if (contents.was_seen) ++run_.report.ml.files;
    IE_TRY(const store::Content content,
           run_.writer.set_content(file.file, contents.hashes->file, contents.hashes->asset, contents.hashes->former,
                                   asset_names(contents.hashes->coded)));
    if (content.former) run_.thumbnails.rename(*content.former, contents.hashes->asset, edge_);
    if (content.known && !file.hashed && !file.carried) IE_CHECK(count_duplicate(file.file, content.asset));
    if (contents.decoded) IE_CHECK(keep_picture(row, content.asset, contents));
    const auto broken = broken_.find(content.asset);
    if (!contents.decoded && broken != broken_.end())
      for (const auto& [key, error] : broken->second) IE_CHECK(run_.record_failure(row, key, error));
    const bool has_frames = file.seen.kind == MediaKind::kVideo && run_.options.config.video.enabled;
    if (contents.slow.empty())
      (has_frames ? run_.renewed_videos : run_.renewed).insert(content.asset);
    else
      slow_.push_back({file, content.asset, contents.slow});
    return committed();
  }

  // The asset that was known may have been this file's own: its time or its metadata changed.
  Status count_duplicate(store::FileId file, store::AssetId asset) {
    IE_TRY(const std::vector<store::KnownFile> files, run_.writer.files_of(asset));
    const bool has_other = std::ranges::any_of(files, [&](const store::KnownFile& other) {
      return other.id != file && other.hashed && !store::is_away(other.state);
    });
    if (has_other) ++run_.report.duplicates;
    return {};
  }

  Status committed() {
    IE_TRY(const bool committed, run_.batch.changed());
    return committed ? run_.announce() : Status{};
  }

  // What a picture failed at, all its files failed at: none of them is offered again before it changes.
  Status record_failure(const store::KnownFile& first, store::AssetId asset, const store::StageKey& key,
                        const Error& error) {
    if (error.code == ErrorCode::kKilled) return run_.record_failure(first, key, error);
    broken_[asset].emplace_back(key, error);
    return run_.record_failure(first, asset, key, error);
  }

  Status keep_picture(const store::KnownFile& row, store::AssetId asset, const Contents& contents) {
    if (!contents.picture) return record_failure(row, asset, decode_key(), contents.picture.error());
    IE_CHECK(run_.writer.clear_failure(row.seen.path, kDecodeStage));
    for (const auto& [record, facts] : contents.outputs) IE_CHECK(stages_.meaning().keep(asset, record, facts));
    for (const auto& [key, error] : contents.failures) IE_CHECK(record_failure(row, asset, key, error));
    return {};
  }

  Run& run_;
  RunStages& stages_;
  const store::StageKey thumbnail_key_;
  const std::uint32_t edge_, quality_;
  bool thumbnails_ = true;
  std::uint32_t hashing_ = worker::kHash;  // operations
  InputNumbers gpu_inputs_;                // of the models whose inputs the GPU makes
  std::vector<store::PendingFile> files_;
  std::unordered_map<store::AssetId, std::vector<std::pair<store::StageKey, Error>>>
      broken_;         // in this run; the sink's
  FileGroups groups_;  // of files_
  std::mutex claimed_mutex_;
  std::unordered_set<Hash128, HashOfHash> claimed_;
  std::vector<store::PendingFile> again_;  // the sink's
  std::vector<SlowPhoto> slow_;            // the sink's
  bool is_last_try_ = false;
};

}  // namespace

Result<double> read_contents(Run& run, RunStages& stages) { return ContentPass(run, stages).all(); }

}  // namespace image_engine::pipeline
