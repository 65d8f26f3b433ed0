// Which photos and frames of videos are sent to cloud models, and which never are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"
#include "nvidia/cloud_models.h"
#include "pipeline/cloud_frames.h"
#include "pipeline/model_stages.h"
#include "pipeline/person_check.h"
#include "pipeline/run.h"
#include "scan/globs.h"
#include "store/types.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

// Why a picture stays on this machine.
enum class Held : std::uint8_t {
  kNo,
  kExcluded,        // by a pattern
  kPeople,          // people are in it
  kUnchecked,       // no detector of people that is installed now has analyzed it
  kPossiblePeople,  // PersonCheck finds what may be people
  kCheckFailed,     // PersonCheck failed
};
inline constexpr std::size_t kHeldKinds = 6;

class CloudPrivacy {
 public:
  // `roots`: the folders that were ever analyzed. Errors: kInvalidArgument for an invalid pattern; those of the
  // registry of models, where pictures with people are held back.
  static Result<CloudPrivacy> create(const Config& config, const models::InstallPaths& paths,
                                     std::vector<std::string> roots);
  // kInvalidArgument names the invalid pattern.
  static Status check_patterns(const CloudPrivacyConfig& config);

  // Checks what the catalogue knows. A pattern excludes the picture if it matches one of its files that are not
  // missing, or a folder above it: relative to any of the roots or as a whole path, as found or with symbolic links
  // resolved.
  [[nodiscard]] Held check(const store::AssetRecord& record) const;

  // The keys of its records whose detectors could have found people.
  [[nodiscard]] std::vector<store::StageKey> person_detectors(const store::AssetRecord& record) const;
  // Before a picture that passed check() is sent: PersonCheck by each of its `person_detectors`. `file` is one of the
  // picture's; of a video it is the frame at `at` seconds. Thread-safe.
  struct PersonResult {
    Held held = Held::kNo;
    Error error = {};  // of kCheckFailed
  };
  [[nodiscard]] PersonResult check_for_people(worker::Pool& pool, const store::FileObservation& file,
                                              const std::vector<store::StageKey>& person_detectors,
                                              double at = -1) const;
  [[nodiscard]] bool checks_for_people() const { return person_check_ != nullptr; }

 private:
  CloudPrivacy() = default;
  Status add_patterns(const CloudPrivacyConfig& config);
  [[nodiscard]] bool is_excluded(const std::string& path) const;
  [[nodiscard]] Held people_in(const store::AssetRecord& asset) const;
  [[nodiscard]] Held people_in(const store::Record& record) const;
  [[nodiscard]] bool is_excluded_as(std::string_view path) const;

  scan::PatternList patterns_;
  std::vector<std::string> roots_;
  std::unique_ptr<PersonCheck> person_check_;  // where pictures with people are held back
};

// Those that are configured and requested for this run.
std::vector<CloudTask> cloud_tasks(const Run& run, const std::optional<ServedStage>& vectors);

// A photo, or a frame of a video, and the tasks to request for it.
struct CloudItem {
  store::PendingFile file;
  std::optional<CloudFrame> frame;
  Hash128 content;
  std::uint32_t full_width = 0, full_height = 0;  // upright; 0 where the metadata lacks it
  std::vector<std::size_t> tasks;                 // indices into CloudPlan::tasks
  // Seconds; negative: a photo.
  [[nodiscard]] double at() const { return frame ? std::max(frame->moment.from, 0.0) : -1; }
};

struct CloudPlan {
  std::vector<CloudTask> tasks;
  std::vector<CloudItem> items;
  std::map<std::pair<store::AssetId, std::size_t>, VideoAnswers> videos;  // by asset and index of `tasks`
  CloudEstimate estimate;
  std::uint64_t answers = 0;            // wanted, including those at hand
  std::uint64_t held[kHeldKinds] = {};  // photos, by Held
  std::uint64_t held_frames[kHeldKinds] = {};
  std::string check_error;  // the error of the first kCheckFailed
};
// Plans what lacks a record, by the same rules as pass 2; each picture once.
Result<CloudPlan> plan_cloud(Run& run, const std::optional<ServedStage>& vectors);

}  // namespace image_engine::pipeline
