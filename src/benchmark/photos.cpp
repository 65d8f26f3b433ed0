#include "benchmark/photos.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "pipeline/measured_rates.h"
#include "store/catalogue.h"

namespace image_engine::benchmark {
namespace {

// Of this program and of the children that have ended.
double cpu_seconds_so_far() {
  double all = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    ::getrusage(who, &usage);
    for (const timeval& time : {usage.ru_utime, usage.ru_stime})
      all += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  }
  return all;
}

// Counts the photos that were analyzed, and their bytes.
Status count_photos(const std::string& catalogue, PhotosReport& report) {
  IE_TRY(const store::CatalogueReader reader, store::CatalogueReader::open(catalogue));
  IE_TRY(const std::vector<store::KnownFile> files, reader.known_files("/"));
  for (const store::KnownFile& file : files) {
    if (file.seen.kind != MediaKind::kPhoto || !file.hashed) continue;
    ++report.photos;
    report.bytes += static_cast<std::uint64_t>(file.seen.stamp.size);
  }
  return {};
}

void keep(const PhotosReport& report, const PhotosBenchmark& options) {
  if (report.photos < pipeline::kLeastForEstimate) return;
  pipeline::MeasuredRates rates;
  rates.headers = report.run.metadata.rate();
  // Text follows on the photos that need it: `plan` counts all for each.
  rates.content = static_cast<double>(report.run.content.files) /
                  (report.run.content.seconds + report.run.ml.seconds + report.run.text.seconds);
  rates.photos = report.photos;
  rates.photo_bytes = static_cast<double>(report.bytes) / static_cast<double>(report.photos);
  if (report.run.bottleneck) rates.limit = report.run.bottleneck->text;
  rates.when = utc_now();
  if (const Status kept = pipeline::keep_rates(options.config, options.models, rates); !kept)
    log_warning("the rates are not kept for image-engine plan: {}", kept.error().message);
}

}  // namespace

Result<PhotosReport> benchmark_photos(const PhotosBenchmark& options) {
  pipeline::AnalyzeOptions analysis;
  analysis.catalogue = join_path(options.folder, "catalog.db");
  analysis.thumbnail_folder = join_path(options.folder, "thumbnails");
  analysis.paths = {options.photos};
  analysis.places = options.places;
  analysis.trace = options.trace;
  analysis.config = options.config;
  analysis.config.video.enabled = analysis.config.audio.enabled = false;
  analysis.models = options.models;
  analysis.progress = options.progress;
  analysis.stop = options.stop;
  PhotosReport report;
  report.machine = this_machine();
  IE_TRY(store::WriterLock lock, store::WriterLock::acquire(analysis.catalogue, "benchmark"));
  const double before = cpu_seconds_so_far();
  {
    const MemoryWatch memory;
    IE_TRY(report.run, pipeline::analyze(analysis, std::move(lock)));
    report.memory = memory.peak();
  }
  report.cpu_seconds = cpu_seconds_so_far() - before;
  if (report.run.cancelled) return fail(ErrorCode::kInterrupted, "interrupted");
  IE_CHECK(count_photos(analysis.catalogue, report));
  if (report.photos == 0)
    return fail(ErrorCode::kNotFound,
                printable(options.photos) + ": no photo in it was analyzed; name a folder of photos, or --synthetic N");
  keep(report, options);
  return report;
}

}  // namespace image_engine::benchmark
