#include "search/vector_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <thread>

#include "core/file_lock.h"
#include "search/vector_kernels.h"
#include "types/half.h"
#include "vision/embedder.h"

namespace image_engine::search {
namespace {

constexpr std::array<char, 8> kMagic = {'I', 'E', 'V', 'E', 'C', 'T', 'O', 'R'};
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kHeaderRoom = 4096;  // blocks begin after it
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kVerifiedWhole = std::size_t{512} << 20;
constexpr std::size_t kSample = std::size_t{64} << 20;  // bytes of a larger file that are verified each time

// The header in the file; numbers are little-endian.
struct Header {
  std::array<char, 8> magic = kMagic;
  std::uint32_t format = kFormat;
  std::uint32_t dimensions = 0;
  Hash128 identity;
  std::int64_t generation = 0;
  std::uint64_t rows = 0;
  std::uint64_t with_bytes = 0;
  Hash128 check;  // of all before it
};
static_assert(sizeof(Header) == 72 && std::is_trivially_copyable_v<Header>);

Hash128 check_of(const Header& header) {
  return hash128({reinterpret_cast<const char*>(&header), offsetof(Header, check)});
}

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Offsets in a block: checksum of all that follows, ids, scales, bytes, float16.
struct Layout {
  explicit Layout(const VectorFileKind& kind)
      : stride((kind.dimensions + kRowStep - 1) / kRowStep * kRowStep), with_bytes(kind.with_bytes) {
    scales = ids + kBlockRows * sizeof(std::int64_t);
    bytes = scales + (with_bytes ? aligned(kBlockRows * sizeof(RowScale)) : 0);
    halves = bytes + (with_bytes ? kBlockRows * stride : 0);
    size = halves + kBlockRows * stride * sizeof(std::uint16_t);
  }
  [[nodiscard]] std::size_t at(std::size_t number) const { return kHeaderRoom + number * size; }

  std::size_t stride;
  bool with_bytes;
  std::size_t ids = kAlignment, scales = 0, bytes = 0, halves = 0, size = 0;
};

std::size_t blocks_of(std::size_t rows) { return (rows + kBlockRows - 1) / kBlockRows; }

Hash128 check_of(std::span<const std::byte> block) { return hash128(block.subspan(kAlignment)); }

// ---- Reading and writing whole pieces

Status write_at(int fd, std::span<const std::byte> bytes, std::size_t at) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail(errno_error("the file of vectors"));
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    at += static_cast<std::size_t>(written);
  }
  return {};
}

Status read_at(int fd, std::span<std::byte> bytes, std::size_t at) {
  while (!bytes.empty()) {
    const ssize_t read = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) return fail(errno_error("the file of vectors"));
    if (read == 0) return fail(ErrorCode::kCorrupt, "the file of vectors is truncated");
    bytes = bytes.subspan(static_cast<std::size_t>(read));
    at += static_cast<std::size_t>(read);
  }
  return {};
}

Status write_header(int fd, const VectorFileKind& kind, std::int64_t generation, std::size_t rows) {
  Header header;
  header.dimensions = static_cast<std::uint32_t>(kind.dimensions);
  header.identity = kind.identity;
  header.generation = generation;
  header.rows = rows;
  header.with_bytes = kind.with_bytes ? 1 : 0;
  header.check = check_of(header);
  const std::size_t size = blocks_of(rows) * Layout(kind).size + kHeaderRoom;
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) return fail(errno_error("the file of vectors"));
  // Data too large to be verified completely must be on disk before the header that confirms it.
  if (size > kVerifiedWhole && ::fdatasync(fd) != 0) return fail(errno_error("the file of vectors"));
  return write_at(fd, std::as_bytes(std::span(&header, 1)), 0);
}

Result<Header> read_header(int fd, const VectorFileKind& kind) {
  Header header;
  IE_CHECK(read_at(fd, std::as_writable_bytes(std::span(&header, 1)), 0));
  if (header.magic != kMagic || header.format != kFormat || header.check != check_of(header) || header.with_bytes > 1)
    return fail(ErrorCode::kCorrupt, "it is damaged, or of another format");
  if (header.identity != kind.identity || header.dimensions != kind.dimensions)
    return fail(ErrorCode::kCorrupt, "it is of another model or catalogue");
  return header;
}

// ---- One block in memory

class BlockBuffer {
 public:
  explicit BlockBuffer(const Layout& layout) : layout_(layout), memory_(layout.size) {}

  [[nodiscard]] std::span<std::byte> bytes() { return {memory_.as<std::byte>(), layout_.size}; }
  void clear() { std::ranges::fill(bytes(), std::byte{0}); }

  void set(std::size_t row, std::int64_t id, std::span<const std::uint16_t> vector) {
    part<std::int64_t>(layout_.ids)[row] = id;
    auto* halves = part<std::uint16_t>(layout_.halves) + row * layout_.stride;
    std::ranges::copy(vector, halves);
    std::fill(halves + vector.size(), halves + layout_.stride, std::uint16_t{0});
    if (layout_.with_bytes) set_bytes(row, {halves, layout_.stride});
  }

  Status write(int fd, std::size_t number) {
    const Hash128 check = check_of(bytes());
    std::memcpy(bytes().data(), &check, sizeof(check));
    return write_at(fd, bytes(), layout_.at(number));
  }

 private:
  template <typename T>
  T* part(std::size_t at) {
    return reinterpret_cast<T*>(bytes().data() + at);
  }

  void set_bytes(std::size_t row, std::span<const std::uint16_t> halves) {
    constexpr float kMost = 127;
    const std::vector<float> numbers = from_half(halves);
    float largest = 0;
    for (const float number : numbers)
      largest = std::isfinite(number) ? std::max(largest, std::abs(number)) : kInfinite;
    auto* bytes = part<std::int8_t>(layout_.bytes) + row * layout_.stride;
    RowScale& scale = part<RowScale>(layout_.scales)[row];
    if (!std::isfinite(largest) || largest == 0) {
      std::fill_n(bytes, numbers.size(), std::int8_t{0});
      scale = {0, largest, 0};
      return;
    }
    scale.scale = largest / kMost;
    double error = 0, length = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const float rounded = std::round(numbers[i] / scale.scale);
      bytes[i] = static_cast<std::int8_t>(rounded);
      const double stands_for = double{rounded} * double{scale.scale};
      error += (numbers[i] - stands_for) * (numbers[i] - stands_for);
      length += stands_for * stands_for;
    }
    scale.error = static_cast<float>(std::sqrt(error));
    scale.length = static_cast<float>(std::sqrt(length));
  }

  static constexpr float kInfinite = std::numeric_limits<float>::infinity();
  Layout layout_;
  AlignedBytes memory_;
};

// ---- Locks

// A writer in place finishes in a moment.
Status lock_for_reading(int fd) {
  constexpr int kTries = 200;
  constexpr std::chrono::milliseconds kPause{10};
  for (int i = 0; i < kTries; ++i) {
    IE_TRY(const bool locked, try_lock(fd, LockKind::kShared, "the file of vectors"));
    if (locked) return {};
    std::this_thread::sleep_for(kPause);
  }
  return fail(ErrorCode::kBusy, "another program is changing the file of vectors");
}

std::string unfinished(const std::string& path) { return path + ".new"; }

// An exclusive empty file, to be renamed to `path`. A file left by a killed program is reused.
Result<UniqueFd> begin_file(const std::string& path) {
  const std::string name = unfinished(path);
  UniqueFd fd(::open(name.c_str(), O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!fd) return fail(errno_error(to_utf8(name)));
  IE_TRY(const bool locked, try_lock(fd.get(), LockKind::kExclusive, to_utf8(name)));
  if (!locked || !is_at_path(fd.get(), name))
    return fail(ErrorCode::kBusy, to_utf8(name) + ": another program makes it");
  struct stat opened {};
  if (::fstat(fd.get(), &opened) != 0) return fail(errno_error(to_utf8(name)));
  if (!S_ISREG(opened.st_mode) || opened.st_nlink > 1 || opened.st_uid != ::geteuid())
    return fail(ErrorCode::kPermission, to_utf8(name) + " belongs to another user: remove it");
  if (::fchmod(fd.get(), 0600) != 0 || ::ftruncate(fd.get(), 0) != 0) return fail(errno_error(to_utf8(name)));
  return fd;
}

Status end_file(int fd, const std::string& path) {
  if (std::rename(unfinished(path).c_str(), path.c_str()) != 0) return fail(errno_error(to_utf8(path)));
  return wait_for_lock(fd, LockKind::kShared, to_utf8(path));
}

Status copy_bytes(int from, int to, std::size_t size) {
  std::vector<std::byte> buffer(std::size_t{4} << 20);
  for (std::size_t at = 0; at < size; at += buffer.size()) {
    const auto piece = std::span(buffer).first(std::min(buffer.size(), size - at));
    IE_CHECK(read_at(from, piece, at));
    IE_CHECK(write_at(to, piece, at));
  }
  return {};
}

// ---- Changes

struct RowChange {
  std::size_t row = 0;  // of its block
  std::int64_t id = 0;
  std::span<const std::uint16_t> vector;
};

// The position of each change, by block; `rows` grows by new vectors.
Result<std::map<std::size_t, std::vector<RowChange>>> place(int fd, const Layout& layout, std::size_t dimensions,
                                                            const VectorChanges& changes, std::size_t& rows) {
  std::map<std::size_t, std::vector<RowChange>> placed;
  const auto kept = [&](const std::vector<std::uint16_t>& vector) { return vector.size() == dimensions; };
  std::unordered_map<store::VectorId, bool> seen;
  std::vector<std::int64_t> ids(kBlockRows);
  for (std::size_t number = 0; number < blocks_of(rows); ++number) {
    IE_CHECK(read_at(fd, std::as_writable_bytes(std::span(ids)), layout.at(number) + layout.ids));
    for (std::size_t row = 0; row < std::min(kBlockRows, rows - number * kBlockRows); ++row) {
      const auto change = changes.find(ids[row]);
      if (ids[row] == 0 || change == changes.end()) continue;
      // An id is in only one row.
      const bool first = seen.emplace(ids[row], true).second;
      if (first && kept(change->second))
        placed[number].push_back({row, ids[row], change->second});
      else
        placed[number].push_back({row, 0, {}});
    }
  }
  for (const auto& [id, vector] : changes) {
    if (id <= 0 || !kept(vector) || seen.contains(id)) continue;
    placed[rows / kBlockRows].push_back({rows % kBlockRows, id, vector});
    ++rows;
  }
  return placed;
}

Status apply(int fd, const VectorFileKind& kind, std::int64_t generation, std::size_t rows,
             const VectorChanges& changes) {
  const Layout layout(kind);
  const std::size_t blocks_before = blocks_of(rows);
  IE_TRY(const auto placed, place(fd, layout, kind.dimensions, changes, rows));
  BlockBuffer buffer(layout);
  for (const auto& [number, of_block] : placed) {
    if (number < blocks_before)
      IE_CHECK(read_at(fd, buffer.bytes(), layout.at(number)));
    else
      buffer.clear();
    for (const RowChange& change : of_block) buffer.set(change.row, change.id, change.vector);
    IE_CHECK(buffer.write(fd, number));
  }
  return write_header(fd, kind, generation, rows);
}

}  // namespace

std::size_t VectorFile::stride() const { return Layout(kind_).stride; }

VectorBlock VectorFile::block(std::size_t number) const {
  const Layout layout(kind_);
  const std::byte* begin = mapped_.bytes().data() + layout.at(number);
  VectorBlock block;
  block.ids = {reinterpret_cast<const std::int64_t*>(begin + layout.ids),
               std::min(kBlockRows, rows_ - number * kBlockRows)};
  block.halves = reinterpret_cast<const std::uint16_t*>(begin + layout.halves);
  if (!kind_.with_bytes) return block;
  block.scales = reinterpret_cast<const RowScale*>(begin + layout.scales);
  block.bytes = reinterpret_cast<const std::int8_t*>(begin + layout.bytes);
  return block;
}

Status VectorFile::map(UniqueFd fd, const VectorFileKind& kind, Verify verify) {
  IE_TRY(const Header header, read_header(fd.get(), kind));
  kind_ = kind;
  kind_.with_bytes = header.with_bytes == 1;
  const Layout layout(kind_);
  IE_TRY(mapped_, MappedFile::create(fd.get(), MappedFile::Guard::kZeros));
  const std::size_t size = mapped_.bytes().size();
  if (header.rows > size || size != layout.at(blocks_of(header.rows)))
    return fail(ErrorCode::kCorrupt, "it is truncated or too long");
  rows_ = header.rows;
  generation_ = header.generation;
  fd_ = std::move(fd);
  std::minstd_rand random(std::random_device{}());
  for (std::size_t number = 0; number < blocks(); ++number) {
    if (verify == Verify::kNone) break;
    if (verify == Verify::kUsual && size > kVerifiedWhole && random() % (size / kSample) != 0) continue;
    const auto bytes = mapped_.bytes().subspan(layout.at(number), layout.size);
    const Hash128 check = check_of(bytes);
    if (std::memcmp(bytes.data(), &check, sizeof(check)) != 0) return fail(ErrorCode::kCorrupt, "it is damaged");
  }
  live_ = 0;
  for (std::size_t number = 0; number < blocks(); ++number)
    live_ +=
        static_cast<std::size_t>(std::ranges::count_if(block(number).ids, [](std::int64_t id) { return id != 0; }));
  return {};
}

Result<VectorFile> VectorFile::open(const std::string& path, const VectorFileKind& kind, Verify verify) {
  IE_TRY(UniqueFd fd, open_regular(path));
  IE_CHECK(lock_for_reading(fd.get()));
  VectorFile file;
  IE_CHECK(file.map(std::move(fd), kind, verify));
  return file;
}

Result<VectorFile> VectorFile::make(const std::string& path, const VectorFileKind& kind, std::int64_t generation,
                                    const Fill& fill) {
  UniqueFd fd;
  if (path.empty())
    fd = UniqueFd(::memfd_create("vectors", MFD_CLOEXEC));
  else {
    IE_TRY(fd, begin_file(path));
  }
  if (!fd) return fail(errno_error("vectors in memory"));
  const auto written = [&]() -> Status {
    BlockBuffer buffer((Layout(kind)));
    std::size_t rows = 0;
    const auto add = [&](store::VectorId id, std::span<const std::uint16_t> vector) -> Status {
      if (id <= 0 || vector.size() != kind.dimensions) return {};
      buffer.set(rows % kBlockRows, id, vector);
      if (++rows % kBlockRows != 0) return {};
      IE_CHECK(buffer.write(fd.get(), rows / kBlockRows - 1));
      buffer.clear();
      return {};
    };
    IE_CHECK(fill(add));
    if (rows % kBlockRows != 0) IE_CHECK(buffer.write(fd.get(), rows / kBlockRows));
    IE_CHECK(write_header(fd.get(), kind, generation, rows));
    return path.empty() ? Status() : end_file(fd.get(), path);
  }();
  if (!written) {
    if (!path.empty()) ::unlink(unfinished(path).c_str());
    return fail(written.error());
  }
  VectorFile file;
  IE_CHECK(file.map(std::move(fd), kind, Verify::kNone));
  return file;
}

Result<VectorFile> VectorFile::change(VectorFile file, const std::string& path, std::int64_t generation,
                                      const VectorChanges& changes) {
  const VectorFileKind kind = file.kind_;
  const std::int64_t generation_before = file.generation_;
  const std::size_t size = file.mapped_.bytes().size();
  file = VectorFile();  // its lock would block the next one
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) return fail(errno_error(to_utf8(path)));
  IE_TRY(const bool in_place, try_lock(fd.get(), LockKind::kExclusive, to_utf8(path)));
  if (!in_place) IE_CHECK(lock_for_reading(fd.get()));
  IE_TRY(const Header header, read_header(fd.get(), kind));
  if (header.generation != generation_before || size != Layout(kind).at(blocks_of(header.rows)))
    return fail(ErrorCode::kBusy, "another program has changed the file of vectors");
  if (!in_place) {
    IE_TRY(UniqueFd copy, begin_file(path));
    IE_CHECK(copy_bytes(fd.get(), copy.get(), size));
    fd = std::move(copy);
  }
  IE_CHECK(apply(fd.get(), kind, generation, header.rows, changes));
  if (in_place) {
    IE_CHECK(wait_for_lock(fd.get(), LockKind::kShared, to_utf8(path)));
  } else {
    IE_CHECK(end_file(fd.get(), path));
  }
  VectorFile changed;
  IE_CHECK(changed.map(std::move(fd), kind, Verify::kNone));
  return changed;
}

}  // namespace image_engine::search
