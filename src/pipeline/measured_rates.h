// The rates that `benchmark photos` measured on this machine, kept in the cache folder for `plan`. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"

namespace image_engine::pipeline {

// Of one run of the whole pipeline over photos.
struct MeasuredRates {
  double headers = 0;        // photos/s of pass 1
  double content = 0;        // photos/s of pass 2
  double photo_bytes = 0;    // mean size of these photos
  std::uint64_t photos = 0;  // in how many
  std::string limit;         // the bottleneck's sentence
  std::string when;          // UTC, ISO 8601
};

// The CPU's name as the kernel reports it, UTF-8; "unknown" where it does not.
std::string cpu_name();

// What the rates hold for: CPU, cores, GPUs, the number of workers, where models run and photos are decoded, which
// models of photos are installed and used.
std::string rates_key(const Config& config, const models::InstallPaths& installed);

// nullopt: nothing was measured for this configuration on this machine with at least kLeastForEstimate photos
// (phase_clock.h), or what was kept is unreadable.
std::optional<MeasuredRates> kept_rates(const Config& config, const models::InstallPaths& installed);
// Replaces those of the same key. Errors: those of writing below the cache folder.
Status keep_rates(const Config& config, const models::InstallPaths& installed, const MeasuredRates& rates);

}  // namespace image_engine::pipeline
