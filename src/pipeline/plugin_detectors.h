// What the engine answers when a plugin asks where things are in a picture.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "pipeline/installed_models.h"
#include "plugins/plugin.h"
#include "types/image.h"
#include "vision/text.h"
#include "vision/thorough_detector.h"

namespace image_engine::pipeline {

// Not thread-safe.
class PluginDetectors {
 public:
  // `stop`: ends a search between two runs of a model, with kInterrupted.
  PluginDetectors(Config config, std::stop_token stop) : config_(std::move(config)), stop_(std::move(stop)) {}

  // "face", "person", "text", "licence plate" and "screen" by any of the names that detectors have for them, or an
  // object by the name that an installed detector has for it; the most likely first.
  // Detectors are used at half their usual threshold, in the whole picture and in parts, so that little is missed.
  // Models are loaded at the first call. kNotFound: no installed model finds that; names the command that installs one,
  // or what there is.
  Result<std::vector<plugins::FoundRegion>> find(const ImageView& picture, const std::string& what);
  // The same for a frame of a video, of which there are many: faces are looked for twice, in the whole frame at its own
  // size, up to 1,920 pixels, and at a quarter of that. Above that frames are looked at in parts, too.
  Result<std::vector<plugins::FoundRegion>> find_in_frame(const ImageView& picture, const std::string& what);

 private:
  struct Edges {
    std::uint32_t width = 0, height = 0, coarse_width = 0, coarse_height = 0;  // of a detector's inputs
  };
  static Edges edges_for_frame(const ImageView& picture);
  Result<const InstalledModels*> models();
  Result<const models::Spec*> spec_for(const std::string& what);
  Result<const vision::ThoroughDetector*> detector(const models::Spec& spec);
  Result<const vision::ThoroughDetector*> face_detector(const models::Spec& spec, const Edges& edges);
  Result<std::vector<plugins::FoundRegion>> found_by(const vision::ThoroughDetector& detector, const ImageView& picture,
                                                     const std::string& what) const;
  Result<const vision::TextReader*> text_reader();
  Result<std::vector<plugins::FoundRegion>> find_text(const ImageView& picture);

  Config config_;
  std::stop_token stop_;
  std::optional<InstalledModels> models_;
  std::map<std::string, std::unique_ptr<vision::ThoroughDetector>> detectors_;  // by model and size
  std::unique_ptr<vision::TextReader> text_;
};

}  // namespace image_engine::pipeline
