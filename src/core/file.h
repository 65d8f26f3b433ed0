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

// A file's bytes, mapped read-only. If the file shrinks or becomes unreadable while mapped, access raises SIGBUS, which
// ends the program (acceptable in the worker). With a guard it then reads as zeros, and is_lost() is true.
class MappedFile {
 public:
  enum class Guard : std::uint8_t { kNone, kZeros };
  // Maps all of `fd`, which may be closed afterwards. An empty file maps to no bytes. Guard::kZeros installs our SIGBUS
  // handler permanently; kBusy when too many files are guarded at once.
  static Result<MappedFile> create(int fd, Guard guard = Guard::kNone);
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  // Whether some bytes read were zeros instead of the file's. Thread-safe.
  [[nodiscard]] bool is_lost() const;

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  int guard_ = -1;  // its index among the guarded files
};

// Of a mapped file: gives the whole pages of this part back to the system. They come from the page cache when they are
// read again. Never of other memory, which would be lost.
void give_back_pages(std::span<const std::byte> mapped);

// Opens a regular file for reading, never a FIFO or device, without changing its atime if permitted.
Result<UniqueFd> open_regular(const std::string& path);

// Reads a whole file; kTooLarge over `limit` bytes.
Result<std::string> read_file(const std::string& path, size_t limit = size_t{64} << 20);

// Writes a file beside `path` and renames it to `path`, so that readers see all old or all new bytes. `mode` is reduced
// by the umask.
Status write_file_atomically(const std::string& path, std::span<const std::byte> bytes, unsigned mode = 0644);
Status write_file_atomically(const std::string& path, std::string_view text, unsigned mode = 0644);

// A file that is written in parts beside `path`, which it replaces in finish(). Without that nothing of it remains. Not
// thread-safe.
class AtomicFile {
 public:
  // `mode` is reduced by the umask.
  static Result<AtomicFile> create(const std::string& path, unsigned mode = 0644);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();
  // At that byte of the file, in any order; what is never written reads as zeros.
  Status write(std::uint64_t position, std::span<const std::byte> bytes);
  // Waits until it is on the disk: some file systems report a full one only then.
  Status sync();
  Status finish();

 private:
  AtomicFile() = default;
  [[nodiscard]] tl::unexpected<Error> failed(const Error& error) const;

  std::string path_, beside_;  // beside_ is empty when there is nothing to remove
  UniqueFd fd_;
};

// When the file was last written: nanoseconds since 1970. Beyond the year 2262 it wraps around.
std::int64_t mtime_ns(const struct stat& file);

// Creates the folder and its parents; new ones have `mode`.
Status make_folders(const std::string& path, unsigned mode = 0755);

// An absolute path without ".", ".." or double slashes, symbolic links kept. Purely textual except for the working
// directory; if that was deleted (check_surroundings()), a relative path is returned unchanged.
std::string absolute_path(std::string_view path);
std::string join_path(std::string_view folder, std::string_view name);
std::string_view file_name(std::string_view path);
std::string_view parent_path(std::string_view path);
// ".jpg" lower-cased in ASCII, or "" without one.
std::string lower_extension(std::string_view path);

// An environment variable; "" if unset.
std::string environment(const char* name);
// $XDG_DATA_HOME/image-engine and the like, with the defaults of the XDG base directory specification. If neither these
// nor HOME are set (check_surroundings()), a path below /dev/null, where nothing exists or can be created.
std::string data_home();
std::string cache_home();
std::string config_home();
// Checks what relative paths and the folders above need: kNotFound if the working directory was deleted,
// kInvalidArgument if HOME is unset and the XDG variables do not replace it.
Status check_surroundings();
// The folder of the running program.
std::string executable_folder();

}  // namespace image_engine
