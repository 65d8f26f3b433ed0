// What `analyze` says and asks before photos are shown to cloud models.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/app.h"
#include "pipeline/analyze.h"

namespace image_engine::cli {

struct CloudMode {
  bool asked = false;    // by a flag: without a key there is no run
  bool dry_run = false;  // lists what would be sent
  bool yes = false;      // however much it is
  std::string env_file;  // that the key may be in
};

// One run's. Keep it as long as the options that open() sets.
class CloudConsent {
 public:
  CloudConsent(const Context& context, CloudMode mode) : context_(context), mode_(std::move(mode)) {}

  // Sets options.cloud. Call before there are threads. Errors: no key for what a flag asked for; kInvalidArgument for
  // flags that need a cloud model where none is on.
  Status open(pipeline::AnalyzeOptions& options);
  // Whether so much may be sent: says how much it is, and asks where there is somebody to answer.
  bool agree(const pipeline::CloudEstimate& estimate);
  // Why nothing was sent though there was something to send; empty: it was not so.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

 private:
  const Context& context_;
  CloudMode mode_;
  std::string refusal_;
};

// "10,744 calls for 5,372 photos, about 108 min at 100/min".
std::string estimate_text(const pipeline::CloudEstimate& estimate);

// What a dry run found: docs/schema/cloud-plan.json, or the list for a person.
void print_plan(const Context& context, const pipeline::AnalyzeReport& report);

// Of the report: what pass 3 did.
nlohmann::json cloud_json(const pipeline::CloudReport& report);
void print_cloud(const pipeline::CloudReport& report);

}  // namespace image_engine::cli
