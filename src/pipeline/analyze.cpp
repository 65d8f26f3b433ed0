#include "pipeline/analyze.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>

#include "core/cpu.h"
#include "core/log.h"
#include "core/text.h"
#include "infer/provider.h"
#include "pipeline/check_models.h"
#include "pipeline/gpu_decoding.h"
#include "pipeline/run.h"
#include "pipeline/run_stages.h"
#include "pipeline/scene_model.h"
#include "pipeline/sound_models.h"
#include "pipeline/speech_vectors.h"

namespace image_engine::pipeline {
namespace {

using Clock = std::chrono::steady_clock;

// A photo costs a worker 100 ms of a core that the GPU's decoder needs for 10 others.
constexpr int kNicenessBesideGpu = 10;

store::Counts counts_of(const AnalyzeReport& report) {
  const auto number = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
  return {{"files", number(report.scan.files)},     {"media", number(report.scan.media)},
          {"skipped", number(report.scan.skipped)}, {"added", number(report.added)},
          {"changed", number(report.changed)},      {"moved", number(report.moved)},
          {"unchanged", number(report.unchanged)},  {"missing", number(report.missing)},
          {"offline", number(report.offline)},      {"headers", number(report.metadata.files)},
          {"analysed", number(report.analysed)},    {"failed", number(report.failed)}};
}

// Whether the scenes of videos can be looked for as asked: an error now, and not after hours of other work.
Status check_scene_model(const AnalyzeOptions& options) {
  if (!wants_scene_model(options.config)) return {};
  IE_TRY(const InstalledModels models, InstalledModels::open(options.models, options.config));
  IE_TRY([[maybe_unused]] const models::Spec* spec, find_scene_model(models));
  return {};
}

// TensorRT is asked for, and is not to be had: what is missing, and what runs the models instead.
void describe_tensorrt(const Config& config, AnalyzeReport& report) {
  if (!config.analysis.ml_models.use_tensorrt || config.inference.device == "cpu") return;
  const Status usual = infer::check_provider(infer::Provider::kTensorRt);
  if (usual || infer::check_provider(infer::Provider::kTensorRtRtx)) return;
  const bool has_cuda = infer::check_provider(infer::Provider::kCuda).has_value();
  report.notes.push_back(fmt::format("TensorRT is not used ({}); models run on {} instead", usual.error().message,
                                     has_cuda ? "the GPU by CUDA" : "the CPU"));
  log_info("{}", report.notes.back());
}

// What then has no headers is found by its name, also after an error.
Status read_and_index_headers(Run& run, const std::vector<store::KnownFile>& files) {
  const PhaseClock::Scope phase(run.clock, run.report.metadata);
  const Status read = run.cancelled() ? Status() : read_headers(run, files);
  const Status indexed = run.writer.index_waiting();
  if (read) return indexed;
  (void)run.writer.commit();  // of a batch that was left open, if any: the error that came first counts
  return read;
}

Result<std::vector<store::KnownFile>> scan(Run& run) {
  const PhaseClock::Scope phase(run.clock, run.report.scanning);
  const Clock::time_point start = Clock::now();
  IE_TRY(std::vector<store::KnownFile> headers, scan_folders(run));
  run.report.scanning.files = run.report.scan.media;
  run.report.waiting = headers.size();
  run.trace.add(Step::kScan, start);
  return headers;
}

// Pass 2; then the time of its threads with models is that of the phase `ml`.
Status read_and_divide_contents(Run& run, RunStages& stages) {
  AnalyzeReport& report = run.report;
  double share = 0;
  {
    const PhaseClock::Scope phase(run.clock, report.content);
    IE_TRY(share, read_contents(run, stages));
  }
  report.ml.seconds = share * report.content.seconds;
  report.ml.cpu_seconds = share * report.content.cpu_seconds;
  report.content.seconds -= report.ml.seconds;
  report.content.cpu_seconds -= report.ml.cpu_seconds;
  return {};
}

// What is made of vectors, and of records alone.
Status finish_vectors(Run& run, RunStages& stages) {
  const PhaseClock::Scope phase(run.clock, run.report.vectors);
  IE_CHECK(embed_speech(run));
  return run.cancelled() ? Status() : stages.meaning().change_model();
}

// Whether models are sure to be needed, and headers take long enough to load them meanwhile.
bool has_many_photos(const std::vector<store::KnownFile>& files) {
  constexpr std::ptrdiff_t kMany = 100;
  return std::ranges::count(files, MediaKind::kPhoto, [](const store::KnownFile& file) { return file.seen.kind; }) >=
         kMany;
}

Status passes(Run& run) {
  const PhaseClock::Scope other(run.clock, run.report.other);
  IE_TRY(const std::vector<store::KnownFile> headers, scan(run));
  RunStages stages(run);
  if (has_many_photos(headers)) {
    IE_CHECK(stages.choose());
    stages.load_ahead();
  }
  IE_CHECK(read_and_index_headers(run, headers));
  if (!run.cancelled()) IE_CHECK(run.writer.pair_live_photos());
  if (!run.cancelled()) IE_CHECK(read_and_divide_contents(run, stages));
  if (!run.cancelled()) IE_CHECK(read_videos(run, stages));
  if (!run.cancelled()) IE_CHECK(read_sounds(run, stages));
  if (!run.cancelled()) IE_CHECK(finish_vectors(run, stages));
  if (!run.cancelled()) IE_CHECK(run.writer.pair_live_photos());  // contents have got their assets
  run.renewed.merge(run.renewed_videos);                          // those without anything to do but to be read
  if (!run.cancelled() && run.options.cloud.models) IE_CHECK(ask_cloud(run));
  return run.announce(true);
}

// Notes about the sandbox, and about files left for lack of memory.
void describe_workers(const worker::Pool& pool, AnalyzeReport& report) {
  if (const std::vector<std::string> missing = pool.missing(); !missing.empty())
    report.notes.push_back(fmt::format("the sandbox of the decoders lacks layers here: {} (see image-engine doctor)",
                                       fmt::join(missing, ", ")));
  if (report.killed > 0)
    report.notes.push_back(
        fmt::format("{} left for the next run: the system killed the workers that read them, most "
                    "likely for lack of memory (close other programs, or use fewer processing.workers)",
                    human_count(report.killed, "file is", "files are")));
}

// What became of a decoder that failed or died.
std::string fate_of(const DecodingReport& decoder, bool is_alone, const std::optional<Error>& failure, bool is_last) {
  const std::string one_of_several = fmt::format("decoder #{} of {}", decoder.number, decoder.device);
  if (!failure)
    return fmt::format("{} died {} and was started again; what it had in work, others decoded",
                       is_alone ? "the decoder of " + decoder.device : one_of_several,
                       human_count(decoder.deaths, "time"));
  if (is_last) return "photos are decoded on the CPU: " + failure->message;
  return fmt::format("{} decodes no more photos, others do: {}", is_alone ? decoder.device : one_of_several,
                     failure->message);
}

// What was decoded where; why others did it although a GPU was to.
void describe_gpu_decoding(const GpuDecoding& decoding, AnalyzeReport& report) {
  if (!decoding.decoders) {
    if (!decoding.reason.empty()) report.notes.push_back("photos are decoded on the CPU: " + decoding.reason);
    return;
  }
  const auto& decoders = decoding.decoders->each();
  const auto working = std::ranges::count_if(decoders, [](const auto& one) { return !one->failure(); });
  std::vector<std::string> missing;
  for (const auto& decoder : decoders) {
    const worker::GpuDecoderCounts counts = decoder->counts();
    const auto is_on_same = [&](const auto& other) { return other->device() == decoder->device(); };
    DecodingReport& done = report.decoders.emplace_back(
        DecodingReport{fmt::format("cuda:{}", decoder->device()), counts.hardware, counts.hybrid, counts.deaths});
    done.number = static_cast<int>(std::ranges::count(report.decoders, done.device, &DecodingReport::device));
    const bool is_alone = std::ranges::count_if(decoders, is_on_same) == 1;
    if (missing.empty()) missing = decoder->missing();
    const std::optional<Error> failure = decoder->failure();
    const bool is_last = working == 0 && decoder == decoders.back();
    if (failure || counts.deaths > 0) report.notes.push_back(fate_of(done, is_alone, failure, is_last));
  }
  if (!missing.empty())
    report.notes.push_back(
        fmt::format("the sandbox of the GPU's decoder lacks layers here: {}", fmt::join(missing, ", ")));
}

}  // namespace

worker::PoolOptions pool_options(const Config& config) {
  worker::PoolOptions options;
  options.workers = static_cast<int>(config.worker_count());
  options.memory_limit = static_cast<std::uint64_t>(config.worker.memory_limit_mb) << 20;
  options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(config.worker.timeout_seconds * 1000));
  options.require_sandbox = config.worker.sandbox == "strict";
  return options;
}

Result<AnalyzeReport> analyze(const AnalyzeOptions& options, store::WriterLock lock) {
  AnalyzeReport report;
  PhaseClock clock(report.start);
  IE_CHECK(check_models(options.models, options.config));
  IE_CHECK(check_scene_model(options));
  IE_CHECK(check_sound(options.models, options.config));
  IE_TRY(store::CatalogueWriter writer, store::CatalogueWriter::open(options.catalogue, std::move(lock)));
  IE_TRY(store::CatalogueReader reader, store::CatalogueReader::open(options.catalogue));
  worker::PoolOptions workers = pool_options(options.config);
  IE_TRY(const GpuDecoding decoding, start_gpu_decoding(options.config, workers));
  if (decoding.decoders) workers.niceness = kNicenessBesideGpu;
  IE_TRY(const std::unique_ptr<worker::Pool> pool, worker::Pool::create(std::move(workers)));
  clock.follow([&pool = *pool, gpus = decoding.decoders.get()] {
    std::vector<int> processes = pool.process_ids();
    if (gpus != nullptr)
      for (const auto& decoder : gpus->each()) processes.push_back(decoder->process_id());
    return processes;
  });
  describe_tensorrt(options.config, report);
  const gpu::LaneRecording lanes(!options.trace.empty());
  const DiskWaits disk;
  IE_TRY(report.run, writer.start_run("analyze"));
  for (const std::string& path : options.paths) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) IE_CHECK(writer.add_root(path, info.st_dev));
  }
  Run run{options,
          writer,
          reader,
          *pool,
          decoding.decoders.get(),
          report,
          clock,
          Batch(writer),
          LazyPlaces(options.places),
          ThumbnailCache(options.thumbnail_folder),
          Trace(!options.trace.empty()),
          {},
          {},
          {},
          {},
          {}};
  run.announces_late = options.cloud.models != nullptr;
  if (!options.cloud.problem.empty()) {
    report.cloud.emplace().stopped = true;
    report.notes.push_back("cloud: left out: " + options.cloud.problem);
  }
  const Status done = passes(run);
  // A failed change has rolled its batch back; other errors leave one open.
  if (!done) return fail(done.error());
  report.cancelled = run.cancelled();
  report.worker_deaths = pool->deaths();
  report.cores = available_cores();
  report.seconds = clock.stop();
  report.steps = run.trace.table(pool->options().workers, report.seconds - report.asking.seconds);
  report.bottleneck = bottleneck(report.steps, disk.share());
  report.gpu_lanes = lanes.totals();
  describe_workers(*pool, report);
  describe_gpu_decoding(decoding, report);
  if (!options.trace.empty()) IE_CHECK(run.trace.write(options.trace, lanes.events()));
  const int exit_code = report.cancelled ? 130 : report.has_failures() ? 3 : 0;
  IE_CHECK(writer.finish_run(report.run, counts_of(report), exit_code));
  return report;
}

}  // namespace image_engine::pipeline
