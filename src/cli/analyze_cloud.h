// What commands that analyze print and ask before pictures are sent to cloud models, and their flags for it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/app.h"
#include "pipeline/analyze.h"

namespace image_engine::cli {

struct CloudMode {
  bool asked = false;    // requested by a flag: the run fails without a key
  bool dry_run = false;  // lists what would be sent
  bool yes = false;      // do not ask
  std::string env_file;  // that may contain the key
};

// The flags of every command that analyzes, before the configuration is loaded.
struct CloudFlags {
  CloudMode mode;
  std::string max_requests;
};
// `pictures`: what --nvidia sends, for --help. Gives --dry-run.
Option add_cloud_flags(Arguments app, CloudFlags& flags, const std::string& pictures);
// --nvidia sends frames of videos, too, whatever video.use_nvidia_build is.
void put_cloud_settings(const CloudFlags& flags, Settings& settings);

// For one run. Must live as long as the options that open() sets.
class CloudConsent {
 public:
  CloudConsent(const Context& context, CloudMode mode) : context_(context), mode_(std::move(mode)) {}

  // Sets options.cloud. Call before any thread starts. Errors: no key although a flag requires one; kInvalidArgument
  // for flags that need a cloud model when none is enabled.
  Status open(pipeline::AnalyzeOptions& options);
  // Whether that much may be sent: prints the estimate, and asks on a terminal.
  bool agree(const pipeline::CloudEstimate& estimate);
  // Why nothing was sent although there was something to send; empty otherwise.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

 private:
  const Context& context_;
  CloudMode mode_;
  std::string refusal_;
};

// "10,744 calls for 5,300 photos and 72 frames, about 108 min at 100/min".
std::string estimate_text(const pipeline::CloudEstimate& estimate);

// Prints the plan of a dry run: docs/schema/cloud-plan.json, or a list for a person.
void print_plan(const Context& context, const pipeline::AnalyzeReport& report);

// The part of the report about pass 3.
nlohmann::json cloud_json(const pipeline::CloudReport& report);
void print_cloud(const pipeline::CloudReport& report);

}  // namespace image_engine::cli
