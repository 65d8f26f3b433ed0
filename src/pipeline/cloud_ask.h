// Photos that a person selects for cloud models; they need not be in the catalogue.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "nvidia/api_key.h"
#include "nvidia/endpoint.h"
#include "nvidia/picture.h"
#include "pipeline/cloud_plan.h"
#include "store/catalogue.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

// Where the key may be: in the file `named`, else as nvidia::KeyFiles describes, but never in `pictures` or in a folder
// that was ever analyzed.
nvidia::KeyFiles key_files(const std::string& catalogue, std::string named, std::vector<std::string> pictures = {});

// One thread at a time.
class PickedPhotos {
 public:
  // `catalogue`, if it exists, provides the folders that patterns are relative to, and whether people are in a photo.
  // kInvalidArgument for an invalid pattern.
  static Result<PickedPhotos> open(const Config& config, const std::string& catalogue);

  // The photo as `analyze` would send it, with the same name in the journal and the cache. Errors name the file:
  // kPermission for one that nvidia_build.privacy holds back, kUnsupported for a video, those of PersonCheck and of
  // cloud_picture().
  Result<nvidia::Picture> show(const std::string& path, const nvidia::Endpoint& endpoint);

 private:
  PickedPhotos(CloudPrivacy privacy, std::optional<store::CatalogueReader> reader, std::unique_ptr<worker::Pool> pool);
  Result<nvidia::Picture> make(const std::string& path, const nvidia::Endpoint& endpoint);
  Status add_known(const Hash128& coded, store::AssetRecord& all) const;
  [[nodiscard]] Status check_privacy(const store::FileObservation& file, const Hash128& coded);

  CloudPrivacy privacy_;
  std::optional<store::CatalogueReader> reader_;
  std::unique_ptr<worker::Pool> pool_;
};

}  // namespace image_engine::pipeline
