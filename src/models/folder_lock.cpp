#include "models/folder_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "core/file_lock.h"
#include "core/text.h"

namespace image_engine::models {

Result<FolderLock> FolderLock::take(const std::string& file, const std::stop_token& stop) {
  for (;;) {
    UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail(errno_error("cannot write " + printable(file)));
    IE_TRY(const bool locked, try_lock(fd.get(), LockKind::kExclusive, "cannot lock " + printable(file)));
    if (locked && is_at_path(fd.get(), file)) return FolderLock(std::move(fd), file);
    if (locked) continue;
    if (stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

FolderLock::~FolderLock() {
  if (fd_) ::unlink(file_.c_str());
}

}  // namespace image_engine::models
