#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "benchmark/photos.h"
#include "benchmark/synthetic_photos.h"
#include "cli/app.h"
#include "cli/benchmark.h"
#include "cli/gpu_report.h"
#include "cli/output.h"
#include "cli/report.h"
#include "core/file.h"
#include "core/temporary_folder.h"
#include "core/text.h"

namespace image_engine::cli {
namespace {

using benchmark::PhotosReport;
using nlohmann::json;

constexpr char kBenchmarkPhotos[] = "benchmark-photos";

struct BenchmarkPhotosFlags {
  std::string folder, keep, output, trace;
  std::size_t synthetic = 0;
  ModelFlags models;
};

json photos_json(const PhotosReport& report, const BenchmarkPhotosFlags& flags, const Config& config,
                 const GpuMonitor& gpus) {
  return {
      {"benchmark", "photos"},
      {"version", IE_VERSION},
      {"machine",
       {{"cpu", report.machine.cpu},
        {"cores", report.machine.cores},
        {"gpus", report.machine.gpus},
        {"onnxruntime", report.machine.runtime}}},
      {"input",
       {{"folder", flags.folder.empty() ? json() : json(to_utf8(absolute_path(flags.folder)))},
        {"synthetic", flags.synthetic > 0},
        {"photos", report.photos},
        {"bytes", report.bytes}}},
      {"settings",
       {{"workers", config.worker_count()},
        {"batch_size", config.analysis.ml_models.batch_size},
        {"device", config.inference.device},
        {"precision", config.inference.precision}}},
      {"seconds", rounded(report.run.seconds, 6)},
      {"photos_per_second", rounded(report.photos_per_second(), 3)},
      {"failed", report.run.failed},
      {"cores", report.run.cores},
      {"phases", phases_json(report.run)},
      {"steps", steps_json(report.run)},
      {"bottleneck", bottleneck_json(report.run)},
      {"gpu_lanes", gpu_lanes_json(report.run)},
      {"gpus", gpus_json(gpus)},
      {"cpu",
       {{"seconds", rounded(report.cpu_seconds, 3)},
        {"cores_busy", rounded(report.cores_busy(), 3)},
        {"share", rounded(report.cores_busy() / std::max(report.machine.cores, 1U), 4)}}},
      {"memory",
       {{"peak_mb", rounded(static_cast<double>(report.memory.bytes) / (1 << 20), 1)}, {"exact", report.memory.exact}}},
      {"notes", report.run.notes}};
}

void print_photos(const Context& context, const PhotosReport& report, const GpuMonitor& gpus) {
  print_line(fmt::format("{} ({}) in {}: {:.1f} photos/s", human_count(report.photos, "photo"),
                         human_bytes(report.bytes), human_duration(report.run.seconds), report.photos_per_second()));
  print_line(fmt::format("  {:.1f} of {} cores busy, {}{} of memory at most, over all processes", report.cores_busy(),
                         report.machine.cores, report.memory.exact ? "" : "about ", human_bytes(report.memory.bytes)));
  print_line("");
  print_phases(report.run);
  print_line("");
  print_steps(report.run);
  if (gpus != nullptr) {
    print_line("");
    print_gpus(context, *gpus);
  }
  for (const std::string& note : report.run.notes) print_line(styled(context, Style::kYellow, note));
  if (report.run.failed > 0)
    print_line(styled(context, Style::kYellow,
                      human_count(report.run.failed, "entry", "entries") +
                          " in the ledger of failures: image-engine analyze tells which"));
}

Status check_flags(const BenchmarkPhotosFlags& flags) {
  if (flags.folder.empty() == (flags.synthetic == 0))
    return fail(ErrorCode::kInvalidArgument, "name a folder of photos, or --synthetic N: one of the two");
  if (!flags.keep.empty() && flags.synthetic == 0)
    return fail(ErrorCode::kInvalidArgument,
                "--keep DIR is for --synthetic N: the photos of a folder stay as they are");
  if (!flags.output.empty()) IE_CHECK(check_json_target(flags.output));
  return {};
}

Result<int> benchmark_some_photos(const BenchmarkPhotosFlags& flags, const Context& context) {
  IE_CHECK(check_flags(flags));
  IE_CHECK(catch_interrupts());
  IE_TRY(const TemporaryFolder folder, TemporaryFolder::create());
  benchmark::PhotosBenchmark options;
  options.folder = join_path(folder.path(), "catalogue");
  IE_CHECK(make_folders(options.folder, 0700));
  options.photos = absolute_path(flags.folder);
  options.places = places_file();
  options.trace = flags.trace.empty() ? "" : absolute_path(flags.trace);
  options.config = context.config;
  options.models = models::find_install_paths(context.config.models.folder);
  options.progress = !context.quiet;
  options.stop = interruption();
  if (flags.synthetic > 0) {
    const std::string photos = flags.keep.empty() ? join_path(folder.path(), "photos") : absolute_path(flags.keep);
    const benchmark::SyntheticRequest request{photos, static_cast<std::uint32_t>(flags.synthetic),
                                              static_cast<int>(context.config.worker_count()), !context.quiet,
                                              interruption()};
    IE_TRY(const benchmark::SyntheticSpace space, check_synthetic_space(request));
    if (!context.quiet)
      std::fprintf(stderr, "%s up to %s more in %s, where %s are free\n",
                   human_count(flags.synthetic, "synthetic photo takes", "synthetic photos take").c_str(),
                   human_bytes(space.needed).c_str(), printable(photos).c_str(), human_bytes(space.free).c_str());
    IE_CHECK(make_synthetic_photos(request));
    options.photos = photos;
  }
  const GpuMonitor gpus = watch_gpus(false);
  IE_TRY(const PhotosReport report, benchmark::benchmark_photos(options));
  const json document = photos_json(report, flags, context.config, gpus);
  if (!flags.output.empty()) IE_CHECK(write_json(kBenchmarkPhotos, document, flags.output));
  if (context.json)
    print_json(kBenchmarkPhotos, document);
  else if (!context.quiet)
    print_photos(context, report, gpus);
  return report.run.has_failures() ? kDoneWithFailures : kDone;
}

}  // namespace

Action setup_benchmark_photos(Arguments app, Settings& settings) {
  auto flags = std::make_shared<BenchmarkPhotosFlags>();
  app.add_option("DIR", flags->folder, "A folder of photos; nothing is written to it");
  app.add_option("--synthetic", flags->synthetic, "Instead: so many made photos of 12 MP, 2.5 to 3.3 MB each")
      .type_name("N")
      .range(std::size_t{1}, std::size_t{1'000'000});
  app.add_option("--keep", flags->keep, "Where the made photos are kept for the next time; else they are removed")
      .type_name("DIR");
  app.add_option("-o,--output", flags->output, "Write the results as JSON").type_name("OUT");
  app.add_option("--trace", flags->trace, "Write a trace of the run, for chrome://tracing or Perfetto")
      .type_name("FILE");
  add_model_flags(app, flags->models);
  app.once_parsed([flags, &settings] { put_model_settings(flags->models, settings); });
  return [=](Context& context) -> Result<int> { return benchmark_some_photos(*flags, context); };
}

}  // namespace image_engine::cli
