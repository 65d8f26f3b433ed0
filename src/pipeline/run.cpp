#include "pipeline/run.h"

#include <algorithm>

#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "pipeline/stages.h"

namespace image_engine::pipeline {
namespace {

constexpr int kChangesPerCommit = 2000;
constexpr std::chrono::seconds kCommitInterval{1};

}  // namespace

Status Batch::open() {
  if (open_) return {};
  IE_CHECK(writer_->begin());
  open_ = true;
  changes_ = 0;
  begun_ = std::chrono::steady_clock::now();
  return {};
}

Result<bool> Batch::changed() {
  if (++changes_ < kChangesPerCommit && std::chrono::steady_clock::now() - begun_ < kCommitInterval) return false;
  IE_CHECK(commit());
  return true;
}

Status Batch::commit() {
  if (!open_) return {};
  open_ = false;
  return writer_->commit();
}

std::optional<store::Place> LazyPlaces::find(const Gps& gps) {
  std::call_once(once_, [&] {
    if (csv_.empty()) return;
    Result<places::PlaceIndex> index = places::PlaceIndex::create(csv_);
    if (index)
      index_ = std::move(*index);
    else
      log_warning("no place names: {}", index.error().message);
  });
  if (!index_) return std::nullopt;
  const std::optional<places::Place> place = index_->nearest(gps.latitude, gps.longitude);
  if (!place) return std::nullopt;
  return store::Place{place->name, place->admin1, place->country, place->country_code};
}

void Run::count(store::FileId file, std::uint64_t AnalyzeReport::*as) {
  ++(report.*as);
  counted_as[file] = as;
}

bool is_at_or_below(const std::string& path, const std::string& root) {
  return path == root || path.starts_with(join_path(root, ""));
}

// A copy outside this run's paths fails with its picture, but is not counted.
bool Run::is_of_this_run(const std::string& path) const {
  return std::ranges::any_of(options.paths, [&](const std::string& root) { return is_at_or_below(path, root); });
}

Status Run::record_failure(const store::KnownFile& file, const store::StageKey& key, const Error& error) {
  if (is_of_the_run(error.code)) return fail(error);
  // The next run does it.
  if (error.code == ErrorCode::kInterrupted && cancelled()) return {};
  if (error.code == ErrorCode::kKilled) {
    ++report.killed;
    return {};
  }
  store::Failure failure;
  failure.file = file.id;
  failure.path = file.seen.path;
  failure.key = key;
  failure.error = error;
  failure.stamp = file.seen.stamp;
  ++report.failed;
  if (file.id != 0 && is_of_this_run(file.seen.path) && failed_paths.insert(file.seen.path).second) {
    ++report.failed_files;
    const auto counted = counted_as.find(file.id);
    std::uint64_t& counter = report.*(counted == counted_as.end() ? &AnalyzeReport::unchanged : counted->second);
    if (counter > 0) --counter;  // a file in an unreadable folder was not counted
  }
  log_debug("{}: {}: {}", printable(file.seen.path), key.stage, error.message);
  IE_TRY([[maybe_unused]] const std::int64_t tries, writer.put_failure(failure));
  return {};
}

Status Run::record_failure(const store::KnownFile& first, store::AssetId asset, const store::StageKey& key,
                           const Error& error) {
  IE_TRY(const std::vector<store::KnownFile> files, writer.files_of(asset));
  for (const store::KnownFile& file : files)
    if (file.id == first.id || (file.state == store::FileState::kPresent && file.hashed))
      IE_CHECK(record_failure(file, key, error));
  return {};
}

Result<worker::Reply> Run::ask(worker::LeasedFile& file, const worker::Task& task) {
  const Trace::Clock::time_point start = Trace::Clock::now();
  Result<worker::Reply> reply = file.run(task);
  trace.add_reply(start, reply ? reply->timings : worker::Timings{});
  return reply;
}

bool Run::asked_for(std::string_view stage) const {
  return options.only.empty() || std::ranges::find(options.only, stage) != options.only.end();
}

bool Run::hears() const {
  return options.config.audio.enabled &&
         (asked_for(kSpeechStage) || asked_for(kSoundsStage) || asked_for(kLoudnessStage));
}

Status Run::announce(bool last) {
  if (announces_late && !last) return {};
  if (options.on_asset)
    for (const store::AssetId asset : renewed) options.on_asset(asset);
  renewed.clear();
  return {};
}

}  // namespace image_engine::pipeline
