// A cloud model's vectors beside those that are made on this machine: how fast, how much alike.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/places.h"
#include "nvidia/cloud_models.h"

namespace image_engine::benchmark {

struct CloudBenchmark {
  Config config;
  models::Places places;
  std::string catalogue;             // for what privacy settings hold back
  std::string images;                // folder of photos; empty: the samples of the source tree
  std::string local_model = "auto";  // for vectors, installed
  std::size_t calls = 100;           // after one that is not timed
  bool progress = false;             // on stderr
  std::stop_token stop;
};

// One way to make vectors of pictures.
struct EmbeddingRun {
  std::string model, device;  // device: "cpu", "cuda:0", or the server's address
  std::size_t dimensions = 0;
  std::vector<double> seconds;  // of each call, sorted; without waiting for slots

  [[nodiscard]] double mean() const;
  // Of `share` of the calls, 0…1, none takes longer: 0.5 gives the median. `seconds` must hold some.
  [[nodiscard]] double quantile(double share) const;
};

struct CloudAgreement {
  std::size_t pictures = 0, neighbours = 0;
  double overlap = 0;      // of each picture's nearest neighbours in both spaces, the mean: 0…1
  double correlation = 0;  // of the ranks of all pairs' similarities (Spearman's): −1…1
};

struct CloudBenchmarkReport {
  std::string folder;
  std::size_t pictures = 0;     // that were shown
  std::size_t passed_over = 0;  // unreadable, or held back for privacy
  EmbeddingRun cloud, local;
  std::optional<CloudAgreement> agreement;  // none of fewer than three pictures
  nvidia::Usage usage;
  int requests_each = 1;  // of a picture
};

// Shows pictures to the endpoint of vectors, one after the other, `calls` times in all, and to the installed model. No
// answer is kept. Errors: those of the endpoint's, kNotFound without pictures or without a local model, kInterrupted.
Result<CloudBenchmarkReport> benchmark_cloud(const CloudBenchmark& options, nvidia::CloudModels& cloud);

// Of vectors of length 1, as many in both, at least three.
CloudAgreement agreement_of(std::span<const std::vector<float>> a, std::span<const std::vector<float>> b);

}  // namespace image_engine::benchmark
