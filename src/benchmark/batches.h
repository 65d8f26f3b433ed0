// How many pictures a model should run on at once on this machine.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "benchmark/models.h"
#include "core/config.h"
#include "core/result.h"
#include "models/places.h"

namespace image_engine::benchmark {

struct BatchRow {
  std::int64_t batch = 0;
  double total = 0;  // seconds for all images, the median of several passes; 0: not measured
  std::size_t images = 0;
  double memory_mb = 0;  // on a GPU: what the model takes there; else: what this program holds
  std::string note;      // for a person; why nothing was measured, or why the list ends here

  [[nodiscard]] double images_per_second() const { return static_cast<double>(images) / total; }
};

struct BatchesReport {
  Machine machine;
  std::string model, device;
  std::string folder;
  std::size_t images = 0;
  std::vector<BatchRow> rows;
  std::int64_t best = 0;  // the smallest of those that do nearly what the fastest one does (95 %); 0: none was measured
  bool remembered = false;  // analyze takes it from now on
};

struct BatchesBenchmark {
  Config config;
  models::Places places;
  std::string model;   // of the catalogue; empty: the one that analyze embeds pictures with, else finds objects with
  std::string images;  // as SampleRequest::folder
  std::size_t limit = 100;
  std::int64_t most = 0;  // the largest size that is tried; 0: 256 on a GPU, 64 on the CPU
  bool progress = false;  // on stderr
  std::stop_token stop;
};

// 1, 2, 4, 8, 12, 16, 20, 24, 32, 64, 128, 256, as far as memory goes. On a GPU what is found best is kept for
// analyze. Errors: kInterrupted, kInvalidArgument, kNotFound as benchmark_models(); what keeps the model from running
// at all.
Result<BatchesReport> benchmark_batches(const BatchesBenchmark& options);

}  // namespace image_engine::benchmark
