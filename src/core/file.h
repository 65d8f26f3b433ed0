// Files and paths. A path is bytes: never assume UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/result.h"
#include "core/text.h"

struct stat;

namespace image_engine {

// Owns a file descriptor; -1 is none.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd() { reset(); }
  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release();
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// A file's bytes, mapped read-only. If the file shrinks or cannot be read while it is mapped, access raises SIGBUS,
// which ends the program: for the worker. A guarded one reads as zeros from there on and says so by is_lost().
class MappedFile {
 public:
  enum class Guard : std::uint8_t { kNone, kZeros };
  // Maps all of `fd`, which may be closed afterwards. An empty file maps to no bytes. With Guard::kZeros the program's
  // handler of SIGBUS is ours from now on; kBusy when too many files are guarded at once.
  static Result<MappedFile> create(int fd, Guard guard = Guard::kNone);
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  // Some of what was read is zeros instead of the file's bytes. Thread-safe.
  [[nodiscard]] bool is_lost() const;

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  int guard_ = -1;  // its place among the guarded ones
};

// Opens a regular file for reading, without following it into a FIFO or device, without changing its atime where
// allowed.
Result<UniqueFd> open_regular(const std::string& path);

// Reads a whole file; kTooLarge over `limit` bytes.
Result<std::string> read_file(const std::string& path, size_t limit = size_t{64} << 20);

// Writes beside `path` and renames over it, so that readers see the old or the new bytes, never a part. The mode is as
// given, less the umask.
Status write_file_atomically(const std::string& path, std::span<const std::byte> bytes, unsigned mode = 0644);
Status write_file_atomically(const std::string& path, std::string_view text, unsigned mode = 0644);

// When the file was last written: nanoseconds since 1970. Beyond the year 2262 it wraps around.
std::int64_t mtime_ns(const struct stat& file);

// Makes the folder and its parents, new ones with `mode`.
Status make_folders(const std::string& path, unsigned mode = 0755);

// An absolute path without ".", ".." or double slashes, symbolic links kept. Purely textual but for the working
// directory; where that is gone (check_surroundings()), a relative path stays as it is.
std::string absolute_path(std::string_view path);
std::string join_path(std::string_view folder, std::string_view name);
std::string_view file_name(std::string_view path);
std::string_view parent_path(std::string_view path);
// ".jpg" lower-cased in ASCII, or "" without one.
std::string lower_extension(std::string_view path);

// A variable of the environment; "" where it is not set.
std::string environment(const char* name);
// $XDG_DATA_HOME/image-engine and the like, with the defaults of the XDG base directory specification. Where neither
// these nor HOME say where (check_surroundings()), a path below /dev/null, where nothing is and nothing can be made.
std::string data_home();
std::string cache_home();
std::string config_home();
// What relative paths and the folders above need: kNotFound where the working directory was deleted, kInvalidArgument
// where HOME is not set and the XDG variables do not say what it would.
Status check_surroundings();
// The folder of the running program.
std::string executable_folder();

}  // namespace image_engine
