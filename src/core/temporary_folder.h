// A folder that goes with who made it.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "core/file.h"
#include "core/result.h"

namespace image_engine {

// This user alone can read it unless `mode` says otherwise; removed with all that is in it at the end.
class TemporaryFolder {
 public:
  // Of this path, instead of what is there.
  static Result<TemporaryFolder> at(std::string path, unsigned mode = 0700) {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
    IE_CHECK(make_folders(path, mode));
    return TemporaryFolder(std::move(path));
  }
  // In the system's folder for such.
  static Result<TemporaryFolder> create() {
    std::error_code error;
    std::string path = std::filesystem::temp_directory_path(error) / "image-engine-XXXXXX";
    if (error || ::mkdtemp(path.data()) == nullptr) return fail(errno_error("cannot make a temporary folder"));
    return TemporaryFolder(std::move(path));
  }
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace image_engine
