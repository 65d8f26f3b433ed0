// Measures `analyze` on photos on this machine, in a catalogue that is deleted afterwards.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "benchmark/models.h"
#include "benchmark/process_memory.h"
#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"
#include "pipeline/analyze.h"

namespace image_engine::benchmark {

struct PhotosBenchmark {
  std::string photos;  // a folder, absolute path; nothing is written to it
  std::string folder;  // an empty one, for the catalogue and the thumbnails
  std::string places;  // as AnalyzeOptions::places
  std::string trace;   // likewise
  Config config;       // videos and sound are left out, whatever it says
  models::InstallPaths models;
  bool progress = false;  // on stderr
  std::stop_token stop;
};

struct PhotosReport {
  Machine machine;
  std::uint64_t photos = 0;  // analyzed, at least 1
  std::uint64_t bytes = 0;   // of the files of the photos
  pipeline::AnalyzeReport run;
  double cpu_seconds = 0;  // of all processes
  MemoryPeak memory;

  [[nodiscard]] double photos_per_second() const { return static_cast<double>(photos) / run.seconds; }
  [[nodiscard]] double cores_busy() const { return cpu_seconds / run.seconds; }
};

// Analyzes as `analyze` does, and keeps the rates of at least pipeline::kLeastForEstimate photos for `plan`
// (pipeline/measured_rates.h). Errors: kNotFound (no photo
// that can be read), kInterrupted, and those of pipeline::analyze(). To be called once in a program, as the workers'
// CPU time is that of all its children.
Result<PhotosReport> benchmark_photos(const PhotosBenchmark& options);

}  // namespace image_engine::benchmark
