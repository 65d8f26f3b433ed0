// A folder that is removed with its owner.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "core/file.h"
#include "core/result.h"

namespace image_engine {

// Only this user can read it unless `mode` allows more. The destructor removes it with its contents.
class TemporaryFolder {
 public:
  // At this path; replaces what exists there.
  static Result<TemporaryFolder> at(std::string path, unsigned mode = 0700) {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
    IE_CHECK(make_folders(path, mode));
    return TemporaryFolder(std::move(path));
  }
  // In the system's temporary folder.
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
