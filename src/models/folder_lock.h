// A lock between processes; the kernel releases it when a process is killed.
#pragma once

#include <functional>
#include <string>

#include "core/file.h"
#include "core/result.h"

namespace image_engine::models {

class FolderLock {
 public:
  FolderLock(FolderLock&&) noexcept = default;
  // Releases it and removes its file.
  ~FolderLock();
  // Waits for the holder of `file` (created when absent; its folder must exist). kInterrupted once cancelled.
  static Result<FolderLock> take(const std::string& file, const std::function<bool()>& cancelled);

 private:
  FolderLock(UniqueFd fd, std::string file) : fd_(std::move(fd)), file_(std::move(file)) {}
  UniqueFd fd_;
  std::string file_;
};

}  // namespace image_engine::models
