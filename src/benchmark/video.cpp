#include "benchmark/video.h"

#include <sys/resource.h>

#include <algorithm>

#include "core/file.h"
#include "core/text.h"
#include "pipeline/analyze.h"
#include "store/catalogue.h"

namespace image_engine::benchmark {
namespace {

ProcessCost cost_of(int who) {
  rusage usage{};
  ::getrusage(who, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return {seconds(usage.ru_utime) + seconds(usage.ru_stime), static_cast<double>(usage.ru_maxrss) / 1024};
}

ProcessCost cost_since(const ProcessCost& before, int who) {
  ProcessCost cost = cost_of(who);
  cost.cpu_seconds -= before.cpu_seconds;
  return cost;
}

Status check_is_video(const store::CatalogueReader& reader, const std::string& file) {
  const std::string files[] = {file};
  IE_TRY(const std::vector<store::Failure> failures, reader.list_failures(files));
  if (!failures.empty())
    return fail(failures.front().error.code, printable(file) + ": " + failures.front().error.message);
  const Result<store::AssetId> id = reader.find_asset_by_path(file);
  if (!id && id.error().code != ErrorCode::kNotFound) return fail(id.error());
  if (id) {
    IE_TRY(const store::AssetRecord record, reader.asset_record(*id, file));
    if (record.kind == MediaKind::kVideo) return {};
  }
  return fail(ErrorCode::kUnsupported, printable(file) + ": this is not a video");
}

}  // namespace

Result<VideoReport> benchmark_video(const VideoBenchmark& options) {
  const ProcessCost engine = cost_of(RUSAGE_SELF), workers = cost_of(RUSAGE_CHILDREN);
  pipeline::AnalyzeOptions analysis;
  analysis.catalogue = join_path(options.folder, "catalog.db");
  analysis.thumbnail_folder = join_path(options.folder, "thumbnails");
  analysis.paths = {options.file};
  analysis.config = options.config;
  analysis.models = options.models;
  analysis.progress = options.progress;
  analysis.stop = options.stop;
  IE_TRY(store::WriterLock lock, store::WriterLock::acquire(analysis.catalogue, "benchmark"));
  IE_TRY(const pipeline::AnalyzeReport done, pipeline::analyze(analysis, std::move(lock)));
  if (done.cancelled) return fail(ErrorCode::kInterrupted, "interrupted");

  IE_TRY(const store::CatalogueReader reader, store::CatalogueReader::open(analysis.catalogue));
  IE_CHECK(check_is_video(reader, options.file));
  IE_TRY(const store::AssetId id, reader.find_asset_by_path(options.file));
  IE_TRY(const store::AssetRecord record, reader.asset_record(id, options.file));
  IE_TRY(const std::vector<store::Moment> moments, reader.moments(id));
  VideoReport report;
  report.engine = cost_since(engine, RUSAGE_SELF);
  report.worker = cost_since(workers, RUSAGE_CHILDREN);
  report.machine = this_machine();
  report.video = record.metadata.value_or(Metadata{});
  for (const store::Moment& moment : moments) {
    report.duration = std::max(report.duration, moment.to - moments.front().from);
    if (moment.kind == store::MomentKind::kFrame)
      ++report.frames;
    else if (moment.kind == store::MomentKind::kScene)
      ++report.scenes;
  }
  if (report.duration <= 0 || !done.video_times)
    return fail(ErrorCode::kUnsupported, printable(options.file) + ": no frame of it was analyzed");
  report.seconds = done.videos.seconds;
  report.total_seconds = done.seconds;
  report.times = *done.video_times;
  return report;
}

}  // namespace image_engine::benchmark
