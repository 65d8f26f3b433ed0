// Which photos cloud models are to be asked about, and which are never sent.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/places.h"
#include "nvidia/cloud_models.h"
#include "pipeline/closer_look.h"
#include "pipeline/model_stages.h"
#include "pipeline/run.h"
#include "scan/globs.h"
#include "store/types.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

// What keeps a picture on this machine.
enum class Held : std::uint8_t {
  kNo,
  kExcluded,  // by a pattern
  kPeople,    // people are in it
  kUnlooked,  // nothing has looked for people in it that could find them, as it is installed now
  kPerhaps,   // a closer look finds what may be people
  kUnseen,    // the closer look failed
};
inline constexpr std::size_t kHeldKinds = 6;

class CloudPrivacy {
 public:
  // `roots`: the folders that were ever analysed. Errors: kInvalidArgument for a pattern that is none; those of the
  // registry of models, where pictures with people are held back.
  static Result<CloudPrivacy> create(const Config& config, const models::Places& places,
                                     std::vector<std::string> roots);
  // kInvalidArgument names the pattern that is none.
  static Status check_patterns(const CloudPrivacyConfig& config);

  // What the catalogue knows. By all its files that are not missing: a pattern matches where one of them, or a folder
  // above it, does, below any of the roots or as a whole path, as it was found or without symbolic links.
  [[nodiscard]] Held check(const store::AssetRecord& record) const;

  // The detectors of its records that could have found people.
  [[nodiscard]] std::vector<store::StageKey> lookers(const store::AssetRecord& record) const;
  // What check() has let pass, once more before it is sent: by each of its `lookers`, closer (CloserLook). `file` is of
  // the picture. Thread-safe.
  struct Closer {
    Held held = Held::kNo;
    Error error = {};  // of kUnseen
  };
  [[nodiscard]] Closer look_closer(worker::Pool& pool, const store::FileObservation& file,
                                   const std::vector<store::StageKey>& lookers) const;
  [[nodiscard]] bool looks_closer() const { return look_ != nullptr; }

 private:
  CloudPrivacy() = default;
  Status add_patterns(const CloudPrivacyConfig& config);
  [[nodiscard]] bool is_excluded(const std::string& path) const;
  [[nodiscard]] Held people_in(const store::AssetRecord& asset) const;
  [[nodiscard]] Held people_in(const store::Record& record) const;
  [[nodiscard]] bool is_excluded_as(std::string_view path) const;

  scan::PatternList patterns_;
  std::vector<std::string> roots_;
  std::unique_ptr<CloserLook> look_;  // where pictures with people are held back
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
  std::uint64_t answers = 0;            // that are wanted, those at hand among them
  std::uint64_t held[kHeldKinds] = {};  // pictures, by Held
  std::string unseen;                   // why the first of kUnseen is that
};
// What lacks a record, as pass 2 finds its work; each picture once.
Result<CloudPlan> plan_cloud(Run& run, const std::optional<ServedStage>& vectors);

}  // namespace image_engine::pipeline
