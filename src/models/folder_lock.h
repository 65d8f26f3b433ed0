// A lock between processes; the kernel releases it when a process is killed.
#pragma once

#include <stop_token>
#include <string>

#include "core/file.h"
#include "core/result.h"

namespace image_engine::models {

class FolderLock {
 public:
  FolderLock(FolderLock&&) noexcept = default;
  // Releases it and removes its file.
  ~FolderLock();
  // Waits for the holder of `file` (created when absent; its folder must exist). kInterrupted once `stop` is requested.
  static Result<FolderLock> take(const std::string& file, const std::stop_token& stop);

 private:
  FolderLock(UniqueFd fd, std::string file) : fd_(std::move(fd)), file_(std::move(file)) {}
  UniqueFd fd_;
  std::string file_;
};

}  // namespace image_engine::models
