#include "core/result.h"

#include <array>
#include <cerrno>
#include <system_error>

namespace image_engine {
namespace {

struct Name {
  ErrorCode code;
  std::string_view name;
};

constexpr std::array kNames = {
    Name{ErrorCode::kInvalidArgument, "invalid-argument"},
    Name{ErrorCode::kNotFound, "not-found"},
    Name{ErrorCode::kPermission, "permission"},
    Name{ErrorCode::kIo, "io"},
    Name{ErrorCode::kNoSpace, "no-space"},
    Name{ErrorCode::kCorrupt, "corrupt"},
    Name{ErrorCode::kUnsupported, "unsupported"},
    Name{ErrorCode::kTooLarge, "too-large"},
    Name{ErrorCode::kTimeout, "timeout"},
    Name{ErrorCode::kOutOfMemory, "out-of-memory"},
    Name{ErrorCode::kCrashed, "crashed"},
    Name{ErrorCode::kBusy, "busy"},
    Name{ErrorCode::kNewer, "newer"},
    Name{ErrorCode::kInterrupted, "interrupted"},
    Name{ErrorCode::kInternal, "internal"},
    Name{ErrorCode::kMachine, "machine"},
    Name{ErrorCode::kKilled, "killed"},
};

ErrorCode code_of_errno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::kPermission;
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::kNoSpace;
    case ENOMEM:
      return ErrorCode::kOutOfMemory;
    case EINTR:
      return ErrorCode::kInterrupted;
    case EFBIG:
      return ErrorCode::kTooLarge;
    case EMFILE:
    case ENFILE:
      return ErrorCode::kMachine;
    case ETIMEDOUT:
      return ErrorCode::kTimeout;
    default:
      return ErrorCode::kIo;
  }
}

}  // namespace

std::string_view error_name(ErrorCode code) {
  for (const Name& entry : kNames)
    if (entry.code == code) return entry.name;
  return "internal";
}

ErrorCode error_code_from_name(std::string_view name) {
  for (const Name& entry : kNames)
    if (entry.name == name) return entry.code;
  return ErrorCode::kInternal;
}

Error errno_error(std::string_view what, int error_number) {
  std::string message = std::string(what) + ": " + std::generic_category().message(error_number);
  if (error_number == EMFILE) message += " (raise the limit with ulimit -n 4096, or use fewer processing.workers)";
  return {code_of_errno(error_number), std::move(message)};
}

Error errno_error(std::string_view what) { return errno_error(what, errno); }

}  // namespace image_engine
