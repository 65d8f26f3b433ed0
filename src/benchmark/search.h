// How fast this machine searches: a synthetic library of its own, thrown away afterwards.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/places.h"

namespace image_engine::benchmark {

struct SearchBenchmark {
  std::string folder;  // an empty one, for the library
  std::uint64_t assets = 100'000;
  std::size_t dimensions = 512;
  int rounds = 15;
  Config config;
  models::Places models;
  bool progress = false;  // on stderr
  std::stop_token stop;
};

struct BenchmarkRow {
  std::string name;
  int threads = 1;
  std::vector<double> seconds;  // of each round, sorted
  std::string note;             // for a person; why nothing was measured where there are no seconds
};

// kInterrupted once `stop` is requested.
Result<std::vector<BenchmarkRow>> benchmark_search(const SearchBenchmark& options);

}  // namespace image_engine::benchmark
