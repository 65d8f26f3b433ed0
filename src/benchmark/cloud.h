// Compares a cloud model's vectors with local ones: speed and agreement.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"
#include "nvidia/cloud_models.h"

namespace image_engine::benchmark {

struct CloudBenchmark {
  Config config;
  models::InstallPaths paths;
  std::string catalogue;             // for the privacy settings
  std::string images;                // folder of photos; empty: the samples of the source tree
  std::string local_model = "auto";  // an installed embedding model
  std::size_t calls = 100;           // after an untimed one
  bool progress = false;             // on stderr
  std::stop_token stop;
};

// Timings of one way to embed pictures.
struct EmbeddingRun {
  std::string model, device;  // device: "cpu", "cuda:0", or the server's URL
  std::size_t dimensions = 0;
  std::vector<double> seconds;  // of each call, sorted; without waiting for slots

  [[nodiscard]] double mean() const;
  // The quantile at `share`, 0…1, of the call times: 0.5 is the median. `seconds` must not be empty.
  [[nodiscard]] double quantile(double share) const;
};

struct CloudAgreement {
  std::size_t pictures = 0, neighbours = 0;
  double overlap = 0;      // mean share of each picture's nearest neighbours in both spaces: 0…1
  double correlation = 0;  // Spearman's rank correlation of all pairs' similarities: −1…1
};

struct CloudBenchmarkReport {
  std::string folder;
  std::size_t pictures = 0;     // embedded
  std::size_t passed_over = 0;  // unreadable, or held back for privacy
  EmbeddingRun cloud, local;
  std::optional<CloudAgreement> agreement;  // none for fewer than three pictures
  nvidia::Usage usage;
  int requests_each = 1;  // per picture
};

// Embeds pictures with the endpoint, one after the other, `calls` times in all, and with the installed model. Stores no
// answer. Errors: those of the endpoint, kNotFound without pictures or without a local model, kInterrupted.
Result<CloudBenchmarkReport> benchmark_cloud(const CloudBenchmark& options, nvidia::CloudModels& cloud);

// For vectors of length 1, equally many in both, at least three.
CloudAgreement agreement_of(std::span<const std::vector<float>> a, std::span<const std::vector<float>> b);

}  // namespace image_engine::benchmark
