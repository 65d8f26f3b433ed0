// Whether people are in a photo: what its detector's labels say, and a second, closer look before it is sent.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/places.h"
#include "pipeline/installed_models.h"
#include "store/types.h"
#include "types/image.h"
#include "vision/objects.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

// Whether a detector's name of an object, in any case, means people or parts of them.
bool names_people(std::string_view object);

// The installed detectors whose labels name people: of any other an empty list says nothing of people. Thread-safe.
class CloserLook {
 public:
  // Fails when the registry of models cannot be read. Models are loaded when they first look.
  static Result<std::unique_ptr<CloserLook>> open(const models::Places& places, const Config& config);

  // Whether records of this key are of such a detector as it is installed now: its name, version and parameters.
  [[nodiscard]] bool could_find(const store::StageKey& key) const;

  // Whether the detector of that key finds anything like a person in the photo, at half its usual threshold: in the
  // whole, and in overlapping tiles of it. True in doubt. A worker is leased meanwhile. Errors: kNotFound (no such
  // detector, no such file), kInterrupted (the file is not what was analysed any more), those of decoding, of loading a
  // model and of running it.
  Result<bool> sees_people(worker::Pool& pool, const store::FileObservation& file, const store::StageKey& key);

 private:
  using Detector = std::shared_ptr<const vision::ObjectDetector>;

  explicit CloserLook(InstalledModels models);
  [[nodiscard]] const models::Spec* find(const store::StageKey& key) const;
  [[nodiscard]] Result<Detector> load(const models::Spec& spec) const;
  Result<Detector> detector(const models::Spec& spec);

  InstalledModels models_;
  std::vector<std::pair<store::StageKey, const models::Spec*>> known_;
  std::mutex mutex_;
  std::map<const models::Spec*, Result<Detector>> loaded_;
};

}  // namespace image_engine::pipeline
