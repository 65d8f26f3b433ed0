#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "benchmark/video.h"
#include "cli/app.h"
#include "cli/benchmark.h"
#include "cli/output.h"
#include "cli/report.h"
#include "core/file.h"
#include "core/json.h"
#include "core/temporary_folder.h"
#include "core/text.h"

namespace image_engine::cli {
namespace {

using benchmark::VideoReport;
using nlohmann::json;

constexpr char kBenchmarkVideo[] = "benchmark-video";

struct BenchmarkVideoFlags {
  std::string file, output, fps;
  bool fast = false;
  ModelFlags models;
};

double rate_of(const pipeline::VideoStageTimes& stage) { return static_cast<double>(stage.frames) / stage.busy; }

json stage_json(const pipeline::VideoStageTimes& stage) {
  json out = {{"stage", stage.name},
              {"process", stage.in_worker ? "worker" : "engine"},
              {"device", stage.device},
              {"frames", stage.frames},
              {"busy", rounded(stage.busy, 6)},
              {"wait", rounded(stage.wait, 6)},
              {"frames_per_second", rounded(rate_of(stage), 3)}};
  if (!stage.precision.empty()) out["precision"] = stage.precision;
  return out;
}

json process_json(const benchmark::ProcessCost& cost, double wait) {
  return {{"cpu_seconds", rounded(cost.cpu_seconds, 3)},
          {"peak_memory_mb", rounded(cost.peak_mb, 1)},
          {"wait", rounded(wait, 6)}};
}

json report_json(const VideoReport& report, const std::string& file, const Config& config) {
  json video = {
      {"duration", thousandths(report.duration)}, {"width", report.video.width}, {"height", report.video.height}};
  if (report.video.video) {
    video["codec"] = to_utf8(report.video.video->video_codec);
    video["frame_rate"] = thousandths(report.video.video->frame_rate);
    video["bit_rate"] = report.video.video->bit_rate;
  }
  json out = {{"benchmark", "video"},
              {"version", IE_VERSION},
              {"machine",
               {{"cpu", report.machine.cpu},
                {"cores", report.machine.cores},
                {"gpus", report.machine.gpus},
                {"onnxruntime", report.machine.runtime}}},
              {"file", to_utf8(file)},
              {"video", std::move(video)},
              {"settings",
               {{"fps", config.video.fps},
                {"track_fps", config.video.track_fps},
                {"key_frames_only", config.video.key_frames_only},
                {"scene_detection", config.video.scene_detection},
                {"workers", config.worker_count()},
                {"decode_threads", report.times.decode_threads}}},
              {"seconds", rounded(report.seconds, 6)},
              {"total_seconds", rounded(report.total_seconds, 6)},
              {"seconds_per_video_minute", rounded(report.seconds_per_video_minute(), 3)},
              {"times_real_time", rounded(report.times_real_time(), 3)},
              {"frames", report.frames},
              {"scenes", report.scenes},
              {"engine", process_json(report.engine, report.times.engine_wait)},
              {"worker", process_json(report.worker, report.times.worker_wait)},
              {"stages", json::array()}};
  for (const pipeline::VideoStageTimes& stage : report.times.stages) out["stages"].push_back(stage_json(stage));
  return out;
}

void print_video_report(const VideoReport& report, const std::string& file) {
  print_line(fmt::format("{}: {:.1f} s of video in {:.1f} s, {:.1f} s with hashing and loading models", printable(file),
                         report.duration, report.seconds, report.total_seconds));
  print_line(fmt::format("  {:.1f} times real time, {:.1f} s for a minute of video; {} in {}", report.times_real_time(),
                         report.seconds_per_video_minute(), human_count(report.frames, "frame"),
                         human_count(report.scenes, "scene")));
  for (const auto& [name, cost, wait, why] :
       {std::tuple("engine", &report.engine, report.times.engine_wait, "for frames"),
        std::tuple("worker", &report.worker, report.times.worker_wait, "for the engine")})
    print_line(fmt::format("  {}: {:.1f} s of CPU time, {:.0f} MB at most, waited {:.1f} s {}", name, cost->cpu_seconds,
                           cost->peak_mb, wait, why));
  print_line("");
  std::vector<std::vector<std::string>> table = {{"stage", "in", "device", "frames", "busy s", "wait s", "frames/s"}};
  for (const pipeline::VideoStageTimes& stage : report.times.stages)
    table.push_back({stage.name, stage.in_worker ? "worker" : "engine",
                     stage.precision.empty() ? stage.device : stage.device + " " + stage.precision,
                     std::to_string(stage.frames), fmt::format("{:.3f}", stage.busy), fmt::format("{:.3f}", stage.wait),
                     fmt::format("{:.1f}", rate_of(stage))});
  print_table(table, {3, 4, 5, 6});
}

Result<int> benchmark_one_video(const BenchmarkVideoFlags& flags, const Context& context) {
  IE_CHECK(check_video_files({flags.file}));
  if (!flags.output.empty()) IE_CHECK(check_json_target(flags.output));
  IE_CHECK(catch_interrupts());
  IE_TRY(const TemporaryFolder folder, TemporaryFolder::create());
  benchmark::VideoBenchmark options;
  options.file = absolute_path(flags.file);
  options.folder = folder.path();
  options.config = context.config;
  options.models = models::find_install_paths(context.config.models.folder);
  options.progress = !context.quiet;
  options.stop = interruption();
  IE_TRY(const VideoReport report, benchmark::benchmark_video(options));
  const json document = report_json(report, options.file, context.config);
  if (!flags.output.empty()) IE_CHECK(write_json(kBenchmarkVideo, document, flags.output));
  if (context.json)
    print_json(kBenchmarkVideo, document);
  else if (!context.quiet)
    print_video_report(report, options.file);
  return kDone;
}

}  // namespace

Action setup_benchmark_video(Arguments app, Settings& settings) {
  auto flags = std::make_shared<BenchmarkVideoFlags>();
  app.add_option("FILE", flags->file, "A video").required();
  app.add_option("-o,--output", flags->output, "Write the results as JSON").type_name("OUT");
  app.add_option("--fps", flags->fps, "Frames analyzed for each second of video").type_name("N");
  app.add_flag("--fast", flags->fast, "Only key frames");
  add_model_flags(app, flags->models);
  app.once_parsed([flags, &settings] {
    put_model_settings(flags->models, settings);
    settings.push_back({"video.enabled", "true"});
    if (!flags->fps.empty()) settings.push_back({"video.fps", flags->fps});
    if (flags->fast) settings.push_back({"video.key_frames_only", "true"});
  });
  return [=](Context& context) -> Result<int> { return benchmark_one_video(*flags, context); };
}

}  // namespace image_engine::cli
