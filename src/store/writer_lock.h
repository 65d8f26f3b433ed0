// At most one writer: an flock on `<catalogue>.lock`, which the kernel releases when its holder dies.
#pragma once

#include <stop_token>
#include <string>

#include "core/file.h"
#include "core/result.h"

namespace image_engine::store {

class WriterLock {
 public:
  // `command` is shown to other processes as the holder. kBusy names the pid and command of another holder; kCorrupt:
  // the file is no catalogue; kPermission or kInvalidArgument: `<catalogue>.lock` is a link or another user's file,
  // which is left as it is. The catalogue's folder must exist.
  static Result<WriterLock> acquire(const std::string& catalogue_path, const std::string& command);
  // Waits for the holder to finish. `stop` is checked about ten times a second; kInterrupted once it is requested.
  static Result<WriterLock> wait(const std::string& catalogue_path, const std::string& command,
                                 const std::stop_token& stop);

 private:
  explicit WriterLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace image_engine::store
