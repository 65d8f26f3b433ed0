// Measures how many pictures a model should run on at once on this machine.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "benchmark/models.h"
#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"

namespace image_engine::benchmark {

struct BatchRow {
  std::int64_t batch = 0;
  double total = 0;  // seconds for all images, the median of several passes; 0: not measured
  std::size_t images = 0;
  double memory_mb = 0;  // on a GPU: the model's memory there; else: this program's memory
  std::string note;      // for a person: why nothing was measured, or why the list ends here

  [[nodiscard]] double images_per_second() const { return static_cast<double>(images) / total; }
};

struct BatchesReport {
  Machine machine;
  std::string model, device;
  std::string folder;
  std::size_t images = 0;
  std::vector<BatchRow> rows;
  std::int64_t best = 0;    // the smallest batch with at least 95 % of the best speed; 0: none was measured
  bool remembered = false;  // analyze uses it from now on
};

struct BatchesBenchmark {
  Config config;
  models::InstallPaths paths;
  std::string model;   // of the registry; empty: the one that analyze uses for vectors, else for objects
  std::string images;  // as SampleRequest::folder
  std::size_t limit = 100;
  std::int64_t most = 0;  // the largest batch to try; 0: 256 on a GPU, 64 on the CPU
  bool progress = false;  // on stderr
  std::stop_token stop;
};

// 1, 2, 4, 8, 12, 16, 20, 24, 32, 64, 128, 256, as far as memory suffices. On a GPU the best batch is stored for
// analyze. Errors: kInterrupted, kInvalidArgument, kNotFound as benchmark_models(); those that keep the model from
// running at all.
Result<BatchesReport> benchmark_batches(const BatchesBenchmark& options);

}  // namespace image_engine::benchmark
