// Where models and their parts lie on this machine.
#pragma once

#include <string>

namespace image_engine::models {

struct Places {
  std::string shipped;  // config/models.yaml
  std::string scenes;   // config/scenes.yaml
  std::string added;    // folder of the user's specs
  std::string root;     // of the store
  std::string packed;   // models that a bundle holds; may be absent
  std::string tools;    // tools/models
  std::string python;   // of the build tree; empty elsewhere
};

// Of the installation, or of the source tree for a program in build/<preset>/bin. `configured`: models.folder of the
// configuration.
Places find_places(const std::string& configured);

}  // namespace image_engine::models
