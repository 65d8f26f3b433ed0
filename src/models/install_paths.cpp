#include "models/install_paths.h"

#include <unistd.h>

#include "core/file.h"

namespace image_engine::models {
namespace {

// The first of the two that exists, else the first.
std::string either(const std::string& installed, const std::string& in_tree) {
  const bool take_tree = ::access(installed.c_str(), F_OK) != 0 && ::access(in_tree.c_str(), F_OK) == 0;
  return absolute_path(take_tree ? in_tree : installed);
}

}  // namespace

InstallPaths find_install_paths(const std::string& configured) {
  const std::string program = executable_folder();
  InstallPaths paths;
  paths.shipped =
      either(program + "/../share/image-engine/config/models.yaml", program + "/../../../config/models.yaml");
  paths.scenes = join_path(parent_path(paths.shipped), "scenes.yaml");
  paths.actions = join_path(parent_path(paths.shipped), "actions.yaml");
  paths.tools = either(program + "/../share/image-engine/tools/models", program + "/../../../tools/models");
  paths.packed = absolute_path(program + "/../share/image-engine/models");
  paths.added = join_path(config_home(), "models");
  paths.root = absolute_path(configured.empty() ? join_path(data_home(), "models") : configured);
  // Does not resolve links: an environment is identified by the path that it is started with.
  if (std::string python = absolute_path(program + "/../../venv/bin/python"); ::access(python.c_str(), X_OK) == 0)
    paths.python = python;
  return paths;
}

}  // namespace image_engine::models
