#include "models/places.h"

#include <unistd.h>

#include "core/file.h"

namespace image_engine::models {
namespace {

// The first of the two that is there, else the first.
std::string either(const std::string& installed, const std::string& in_tree) {
  const bool take_tree = ::access(installed.c_str(), F_OK) != 0 && ::access(in_tree.c_str(), F_OK) == 0;
  return absolute_path(take_tree ? in_tree : installed);
}

}  // namespace

Places find_places(const std::string& configured) {
  const std::string program = executable_folder();
  Places places;
  places.shipped =
      either(program + "/../share/image-engine/config/models.yaml", program + "/../../../config/models.yaml");
  places.scenes = join_path(parent_path(places.shipped), "scenes.yaml");
  places.tools = either(program + "/../share/image-engine/tools/models", program + "/../../../tools/models");
  places.packed = absolute_path(program + "/../share/image-engine/models");
  places.added = join_path(config_home(), "models");
  places.root = absolute_path(configured.empty() ? join_path(data_home(), "models") : configured);
  // Not absolute_path of a link's target: the environment is known by the path that it is started with.
  if (std::string python = absolute_path(program + "/../../venv/bin/python"); ::access(python.c_str(), X_OK) == 0)
    places.python = python;
  return places;
}

}  // namespace image_engine::models
