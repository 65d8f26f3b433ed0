#include "store/writer_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

#include "core/file_lock.h"
#include "core/text.h"
#include "store/catalogue_file.h"

namespace image_engine::store {
namespace {

// The file holds three lines: pid, start time, command.
std::string read_holder(int fd) {
  std::array<char, 1024> buffer{};
  const ssize_t size = ::pread(fd, buffer.data(), buffer.size(), 0);
  return {buffer.data(), size > 0 ? static_cast<size_t>(size) : 0};
}

std::string describe_holder(int fd) {
  const std::string whole = read_holder(fd);
  const std::string_view text = whole;
  const size_t first = text.find('\n');
  const size_t second = first == std::string_view::npos ? first : text.find('\n', first + 1);
  if (second == std::string_view::npos) return "another process";
  std::string_view command = text.substr(second + 1);
  command = command.substr(0, command.find('\n'));
  return "process " + printable(text.substr(0, first)) + " (" + printable(command) + ", since " +
         printable(text.substr(first + 1, second - first - 1)) + ")";
}

// Others may write to the lock file's folder: a link, or another program's file of that name, is left as it is.
Status check_lock_file(int fd) {
  struct stat file {};
  if (::fstat(fd, &file) != 0) return fail(errno_error("cannot stat"));
  const std::string text = read_holder(fd);
  const size_t pid_bytes = text.find_first_not_of("0123456789");
  const bool is_lock = text.empty() || (pid_bytes != 0 && pid_bytes != std::string::npos && text[pid_bytes] == '\n');
  if (S_ISREG(file.st_mode) && file.st_nlink <= 1 && is_lock) return {};
  return fail(ErrorCode::kInvalidArgument, "it is not a lock of image-engine: move it away, or name another catalogue");
}

Result<UniqueFd> open_lock_file(const std::string& path) {
  constexpr int kFlags = O_CREAT | O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW;
  const std::string name = "lock file " + to_utf8(path);
  UniqueFd fd(::open(path.c_str(), kFlags, 0600));
  if (!fd && errno == ELOOP) return fail(ErrorCode::kPermission, name + ": it is a symbolic link: remove it");
  if (!fd) return fail(errno_error(name));
  if (const Status usable = check_lock_file(fd.get()); !usable)
    return fail(usable.error().code, name + ": " + usable.error().message);
  return fd;
}

}  // namespace

Result<WriterLock> WriterLock::acquire(const std::string& catalogue_path, const std::string& command) {
  const std::string path = catalogue_path + ".lock";
  // Nothing is created beside a file that is no catalogue.
  IE_CHECK(open_catalogue_file(catalogue_path));
  IE_TRY(UniqueFd fd, open_lock_file(path));
  IE_TRY(const bool locked, try_lock(fd.get(), LockKind::kExclusive, "lock file " + to_utf8(path)));
  if (!locked)
    return fail(ErrorCode::kBusy, "catalogue " + to_utf8(catalogue_path) + " is being written by " +
                                      describe_holder(fd.get()) + "; wait for it, or use --wait");
  const std::string text = std::to_string(::getpid()) + "\n" + utc_now() + "\n" + printable(command) + "\n";
  // On a full disk the lock still holds, but without the holder's name.
  if (::ftruncate(fd.get(), 0) == 0) (void)!::pwrite(fd.get(), text.data(), text.size(), 0);
  return WriterLock(std::move(fd));
}

Result<WriterLock> WriterLock::wait(const std::string& catalogue_path, const std::string& command,
                                    const std::stop_token& stop) {
  while (true) {
    auto lock = acquire(catalogue_path, command);
    if (lock || lock.error().code != ErrorCode::kBusy) return lock;
    if (stop.stop_requested()) return fail(ErrorCode::kInterrupted, "stopped waiting for the catalogue");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace image_engine::store
