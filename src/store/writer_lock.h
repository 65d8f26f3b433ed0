// Never two writers: an flock on `<catalogue>.lock`, which the kernel drops when its holder dies.
#pragma once

#include <stop_token>
#include <string>

#include "core/file.h"
#include "core/result.h"

namespace image_engine::store {

class WriterLock {
 public:
  // `command` tells others who holds it. kBusy, naming the holder's pid and command, when somebody else does;
  // kCorrupt where a file that is no catalogue lies there; kPermission or kInvalidArgument where `<catalogue>.lock` is
  // a link or somebody else's file, which is left as it is. The catalogue's folder must exist.
  static Result<WriterLock> acquire(const std::string& catalogue_path, const std::string& command);
  // Waits for the holder to finish; kInterrupted once `stop` is requested: looked at about ten times a second.
  static Result<WriterLock> wait(const std::string& catalogue_path, const std::string& command,
                                 const std::stop_token& stop);

 private:
  explicit WriterLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace image_engine::store
