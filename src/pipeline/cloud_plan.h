// Which photos cloud models are to be asked about, and which are never sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/places.h"
#include "nvidia/cloud_models.h"
#include "pipeline/model_stages.h"
#include "pipeline/run.h"
#include "scan/globs.h"
#include "store/types.h"

namespace image_engine::pipeline {

// What keeps a picture on this machine.
enum class Held : std::uint8_t {
  kNo,
  kExcluded,  // by a pattern
  kPeople,    // people are in it
  kUnlooked,  // nothing has looked for people in it
};

// Names of the detectors that could find people, as their labels say: of others an empty list says nothing of people.
Result<std::vector<std::string>> people_detectors(const models::Places& places);

class CloudPrivacy {
 public:
  // `roots`: the folders that were ever analysed; `detectors`: people_detectors(). kInvalidArgument for a pattern that
  // is none.
  static Result<CloudPrivacy> create(const CloudPrivacyConfig& config, std::vector<std::string> roots,
                                     std::vector<std::string> detectors);
  // By all its files that are not missing: a pattern matches where one of them, or a folder above it, does, below any
  // of the roots or as a whole path, as it was found or without symbolic links.
  [[nodiscard]] Held check(const store::AssetRecord& record) const;

 private:
  CloudPrivacy() = default;
  [[nodiscard]] bool is_excluded(const std::string& path) const;
  [[nodiscard]] Held people_in(const store::AssetRecord& asset) const;
  [[nodiscard]] Held people_in(const store::Record& record) const;
  [[nodiscard]] bool is_excluded_as(std::string_view path) const;

  scan::PatternList patterns_;
  std::vector<std::string> roots_, detectors_;
  bool exclude_people_ = false;
};

// One kind of question to cloud models, and the stage whose record its answers are.
struct CloudTask {
  nvidia::Task task{};
  store::StageKey key;
};
// Those that the configuration has on and the run was asked for.
std::vector<CloudTask> cloud_tasks(const Run& run, const std::optional<ServedStage>& vectors);

// A photo, and what is to be asked about it.
struct CloudItem {
  store::PendingFile file;
  Hash128 content;
  std::uint32_t full_width = 0, full_height = 0;  // upright; 0 where metadata do not tell
  std::vector<std::size_t> tasks;                 // indices into CloudPlan::tasks
};

struct CloudPlan {
  std::vector<CloudTask> tasks;
  std::vector<CloudItem> items;
  CloudEstimate estimate;
  std::uint64_t answers = 0;   // that are wanted, those at hand among them
  std::uint64_t held[4] = {};  // pictures, by Held
};
// What lacks a record, as pass 2 finds its work; each picture once.
Result<CloudPlan> plan_cloud(Run& run, const std::optional<ServedStage>& vectors);

}  // namespace image_engine::pipeline
