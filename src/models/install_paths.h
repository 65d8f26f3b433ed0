// The files and folders of models on this machine.
#pragma once

#include <string>

namespace image_engine::models {

struct InstallPaths {
  std::string shipped;  // config/models.yaml
  std::string scenes;   // config/scenes.yaml
  std::string actions;  // config/actions.yaml
  std::string added;    // folder of the user's specs
  std::string root;     // of the store
  std::string packed;   // models that a bundle holds; may be absent
  std::string tools;    // tools/models
  std::string python;   // of the build tree; empty elsewhere
};

// Those of the installation, or of the source tree for a program in build/<preset>/bin. `configured`: models.folder of
// the configuration.
InstallPaths find_install_paths(const std::string& configured);

}  // namespace image_engine::models
