#include "store/catalogue_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <span>
#include <string_view>

#include "core/text.h"
#include "store/schema.h"

namespace image_engine::store {
namespace {

// The formats of a database's first page and of a -wal: sqlite.org/fileformat2.html. All numbers are big-endian.
constexpr std::string_view kMagic("SQLite format 3\0", 16);
constexpr std::size_t kUserVersionAt = 60, kApplicationIdAt = 68, kCellCountAt = 103, kHeadBytes = 108;
constexpr std::size_t kWalPageSizeAt = 8, kWalHeadBytes = 32, kWalFrameBytes = 24;

using DatabaseHead = std::array<unsigned char, kHeadBytes>;

std::uint32_t number_at(std::span<const unsigned char> bytes, std::size_t at, std::size_t size = 4) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < size; ++i) number = number << 8 | bytes[at + i];
  return number;
}

bool read_whole(int fd, std::span<unsigned char> bytes, std::size_t at) {
  return ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(at)) == static_cast<ssize_t>(bytes.size());
}

bool head_is_ours(const DatabaseHead& page) { return number_at(page, kApplicationIdAt) == kApplicationId; }

bool head_is_empty(const DatabaseHead& page) {
  return number_at(page, kApplicationIdAt) == 0 && number_at(page, kUserVersionAt) == 0 &&
         number_at(page, kCellCountAt, 2) == 0;
}

// A new catalogue's first transaction may be only in the -wal: nullopt if it has no page, else whether its first page
// is a catalogue's.
std::optional<bool> wal_is_ours(const std::string& path) {
  const Result<UniqueFd> wal = open_regular(path + "-wal");
  std::array<unsigned char, kWalHeadBytes> head{};
  if (!wal || !read_whole(wal->get(), head, 0)) return std::nullopt;
  const std::size_t frame_bytes = kWalFrameBytes + number_at(head, kWalPageSizeAt);
  std::optional<bool> found;
  std::array<unsigned char, kWalFrameBytes + kHeadBytes> frame{};
  for (std::size_t at = kWalHeadBytes; read_whole(wal->get(), frame, at); at += frame_bytes) {
    DatabaseHead page{};
    std::copy(frame.begin() + kWalFrameBytes, frame.end(), page.begin());
    const bool first_page = number_at(frame, 0) == 1;
    if (first_page && head_is_ours(page)) return true;
    found = false;
  }
  return found;
}

Status check_head(int fd, std::size_t size, const std::string& path) {
  if (size == 0) return {};
  DatabaseHead head{};
  const std::string name = "catalogue " + to_utf8(path);
  if (!read_whole(fd, head, 0) || !std::equal(kMagic.begin(), kMagic.end(), head.begin()))
    return fail(ErrorCode::kCorrupt,
                name + ": it is not a catalogue: name another file, or move it away and analyze again");
  if (head_is_ours(head) || (head_is_empty(head) && wal_is_ours(path).value_or(true))) return {};
  return fail(ErrorCode::kCorrupt, name + ": it is a database of another program: name another file");
}

}  // namespace

Result<UniqueFd> open_catalogue_file(const std::string& path) {
  const std::string name = "catalogue " + to_utf8(path);
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) {
    if (errno == ENOENT) return UniqueFd();
    return fail(errno_error(name));
  }
  if (!S_ISREG(file.st_mode)) return fail(ErrorCode::kIo, name + " is not a file: name one with --catalog");
  Result<UniqueFd> fd = open_regular(path);
  if (!fd) return fail(fd.error().code, name + ": " + fd.error().message);
  IE_CHECK(check_head(fd->get(), static_cast<std::size_t>(file.st_size), path));
  return fd;
}

}  // namespace image_engine::store
