// Whether people are in a photo: by its detector's labels, and by a second, more sensitive check before it is sent.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"
#include "pipeline/installed_models.h"
#include "store/types.h"
#include "types/image.h"
#include "vision/objects.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

// Whether a detector's class name means people or parts of them; ASCII case is ignored.
bool names_people(std::string_view object);

// The installed detectors whose labels name people; an empty list of any other proves nothing about people.
// Thread-safe.
class PersonCheck {
 public:
  // Fails when the registry of models cannot be read. Models are loaded on first use.
  static Result<std::unique_ptr<PersonCheck>> open(const models::InstallPaths& paths, const Config& config);

  // Whether this is the key of such a detector as installed now: name, version and parameters.
  [[nodiscard]] bool could_find(const store::StageKey& key) const;

  // Whether the detector of that key finds a possible person in the photo, or in the frame of a video at `at` seconds,
  // at half its usual threshold: in the whole picture or in overlapping tiles. True in doubt. Leases a worker
  // meanwhile. Errors: kNotFound (no such detector, no such file), kInterrupted (the file has changed since its
  // analysis), those of decoding, of loading a model and of running it.
  Result<bool> sees_people(worker::Pool& pool, const store::FileObservation& file, const store::StageKey& key,
                           double at = -1);

 private:
  using Detector = std::shared_ptr<const vision::ObjectDetector>;

  explicit PersonCheck(InstalledModels models);
  [[nodiscard]] const models::Spec* find(const store::StageKey& key) const;
  [[nodiscard]] Result<Detector> load(const models::Spec& spec) const;
  Result<Detector> detector(const models::Spec& spec);

  InstalledModels models_;
  std::vector<std::pair<store::StageKey, const models::Spec*>> known_;
  std::mutex mutex_;
  std::map<const models::Spec*, Result<Detector>> loaded_;
};

}  // namespace image_engine::pipeline
