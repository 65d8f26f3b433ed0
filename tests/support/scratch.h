// A folder of a test's own, removed at the end of the test.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "core/temporary_folder.h"

namespace image_engine {

class Scratch {
 public:
  [[nodiscard]] const std::string& path() const { return folder_.path(); }
  std::string operator/(std::string_view name) const { return folder_.path() + "/" + std::string(name); }

  // Writes a file, and the folders that lead to it; gives its path.
  std::string write(std::string_view name, std::string_view bytes) const {
    std::string path = *this / name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

 private:
  TemporaryFolder folder_ = *TemporaryFolder::create();
};

}  // namespace image_engine
