// `plan`: what `analyze` would do with these folders, without doing it: how much, how long, what limits it.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "pipeline/measured_rates.h"
#include "types/media_format.h"

namespace image_engine::pipeline {

struct PlanOptions {
  std::string catalogue;           // path; there need not be one
  std::vector<std::string> paths;  // files and folders, absolute
  Config config;
  models::InstallPaths models;
  bool progress = false;  // on stderr
  std::stop_token stop;
};

// Files of one kind.
struct PlannedFiles {
  MediaKind kind = MediaKind::kNone;
  std::uint64_t files = 0, bytes = 0;
  std::uint64_t analyzed = 0;   // unchanged since their content was read; stages that are new since are not looked for
  std::uint64_t failed = 0;     // unchanged since they failed: left out without --retry
  std::uint64_t due_bytes = 0;  // of the others
  [[nodiscard]] std::uint64_t due() const { return files - analyzed - failed; }
};

// One part of the work.
struct PlannedStage {
  std::string name;  // a phase of the report: metadata, content, videos, sounds, cloud
  std::uint64_t files = 0;
  double seconds = 0;
  bool measured = false;  // else a guess
};

// Requests to cloud models, where they are configured.
struct PlannedCloud {
  std::vector<std::string> endpoints;  // names of the stages that ask
  std::uint64_t requests = 0;          // at most, for photos; what is held back for privacy is not known yet
  std::uint64_t limit = 0;             // of one run (nvidia_build.max_requests); 0: none
  std::uint64_t requests_per_minute = 1;
  bool frames = false;  // of videos are sent, too: how many is known once they are analyzed
};

struct Plan {
  std::vector<PlannedFiles> kinds;  // photos, videos, sound; those that there are
  std::uint64_t skipped = 0;        // neither media nor sidecar
  std::uint64_t excluded = 0;       // by patterns
  std::uint64_t problems = 0;       // files and folders that cannot be read
  std::vector<PlannedStage> stages;
  double seconds = 0;  // of all stages
  std::optional<MeasuredRates> rates;
  std::string limit;  // a sentence: what holds the work back
  std::optional<PlannedCloud> cloud;
};

// Walks the folders; opens files only to detect their kind, and writes nothing. Errors: kNotFound (no such path),
// kInvalidArgument (a pattern), kInterrupted, those of reading the catalogue.
Result<Plan> make_plan(const PlanOptions& options);

}  // namespace image_engine::pipeline
