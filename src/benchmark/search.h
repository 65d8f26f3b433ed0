// Measures the speed of search on this machine, with a synthetic library that is deleted afterwards.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"

namespace image_engine::benchmark {

struct SearchBenchmark {
  std::string folder;  // an empty one, for the library
  std::uint64_t assets = 100'000;
  std::size_t dimensions = 512;
  int rounds = 15;
  Config config;
  models::InstallPaths models;
  bool progress = false;  // on stderr
  std::stop_token stop;
};

struct BenchmarkRow {
  std::string name;
  int threads = 1;
  std::vector<double> seconds;  // of each round, sorted
  std::string note;             // for a person: why `seconds` is empty
};

// kInterrupted once `stop` is requested.
Result<std::vector<BenchmarkRow>> benchmark_search(const SearchBenchmark& options);

}  // namespace image_engine::benchmark
