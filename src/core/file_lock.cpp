#include "core/file_lock.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace image_engine {
namespace {

int operation_of(LockKind kind) { return kind == LockKind::kShared ? LOCK_SH : LOCK_EX; }

// False with errno where flock fails; a signal is no failure.
bool take_lock(int fd, int operation) {
  while (::flock(fd, operation) != 0)
    if (errno != EINTR) return false;
  return true;
}

}  // namespace

Result<bool> try_lock(int fd, LockKind kind, std::string_view what) {
  if (take_lock(fd, operation_of(kind) | LOCK_NB)) return true;
  if (errno == EWOULDBLOCK) return false;
  return fail(errno_error(what));
}

Status wait_for_lock(int fd, LockKind kind, std::string_view what) {
  if (!take_lock(fd, operation_of(kind))) return fail(errno_error(what));
  return {};
}

bool is_at_path(int fd, const std::string& path) {
  struct stat opened {
  }, named{};
  return ::fstat(fd, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

}  // namespace image_engine
