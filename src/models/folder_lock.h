// A lock between processes, kept by the kernel: a killed process holds none.
#pragma once

#include <stop_token>
#include <string>

#include "core/file.h"
#include "core/result.h"

namespace image_engine::models {

class FolderLock {
 public:
  FolderLock(FolderLock&&) noexcept = default;
  // Frees it and removes its file.
  ~FolderLock();
  // Waits for whoever holds `file` (made when absent; its folder must be there). kInterrupted once `stop` is requested.
  static Result<FolderLock> take(const std::string& file, const std::stop_token& stop);

 private:
  FolderLock(UniqueFd fd, std::string file) : fd_(std::move(fd)), file_(std::move(file)) {}
  UniqueFd fd_;
  std::string file_;
};

}  // namespace image_engine::models
