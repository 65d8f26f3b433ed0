// Measures the analysis of one video on this machine, in a catalogue that is deleted afterwards.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "benchmark/models.h"
#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"
#include "pipeline/video_trace.h"
#include "types/metadata.h"

namespace image_engine::benchmark {

struct VideoBenchmark {
  std::string file;    // absolute path
  std::string folder;  // an empty one, for the catalogue and the thumbnails
  Config config;
  models::InstallPaths models;
  bool progress = false;  // on stderr
  std::stop_token stop;
};

// Of one of the two programs, in this run.
struct ProcessCost {
  double cpu_seconds = 0;
  double peak_mb = 0;  // most resident memory, MiB; memory that both share counts for both
};

struct VideoReport {
  Machine machine;
  Metadata video;            // with `video`
  double duration = 0;       // seconds of video that were analyzed, above 0
  double seconds = 0;        // that its frames took
  double total_seconds = 0;  // with hashing it and loading models
  std::uint64_t frames = 0, scenes = 0;
  pipeline::VideoTimes times;
  ProcessCost engine, worker;

  [[nodiscard]] double times_real_time() const { return duration / seconds; }
  [[nodiscard]] double seconds_per_video_minute() const { return 60 * seconds / duration; }
};

// Analyzes as `analyze-video` does. Errors: kUnsupported (no video), what the ledger has of the file, kInterrupted, and
// those of pipeline::analyze(). To be called once in a program, as the workers' costs are those of all its children.
Result<VideoReport> benchmark_video(const VideoBenchmark& options);

}  // namespace image_engine::benchmark
