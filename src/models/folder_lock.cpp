#include "models/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "core/text.h"

namespace image_engine::models {

namespace {

// Its last holder may have removed the file between our opening and locking it.
bool is_still_there(int fd, const std::string& file) {
  struct stat ours {
  }, there{};
  return ::fstat(fd, &ours) == 0 && ::stat(file.c_str(), &there) == 0 && ours.st_ino == there.st_ino &&
         ours.st_dev == there.st_dev;
}

}  // namespace

Result<FolderLock> FolderLock::take(const std::string& file, const std::function<bool()>& cancelled) {
  for (;;) {
    UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail(errno_error("cannot write " + printable(file)));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
      if (is_still_there(fd.get(), file)) return FolderLock(std::move(fd), file);
      continue;
    }
    if (errno != EWOULDBLOCK && errno != EINTR) return fail(errno_error("cannot lock " + printable(file)));
    if (cancelled()) return fail(ErrorCode::kInterrupted, "interrupted");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

FolderLock::~FolderLock() {
  if (fd_) ::unlink(file_.c_str());
}

}  // namespace image_engine::models
