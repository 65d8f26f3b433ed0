#include "media/container_end.h"

#include <bit>
#include <optional>
#include <string_view>

namespace image_engine::media {
namespace {

std::uint64_t big_endian(Bytes file, std::uint64_t at, int bytes) {
  std::uint64_t value = 0;
  for (const std::byte byte : file.subspan(at, static_cast<std::size_t>(bytes)))
    value = value << 8 | std::to_integer<std::uint64_t>(byte);
  return value;
}

std::uint64_t little_endian_32(Bytes file, std::uint64_t at) {
  std::uint64_t value = 0;
  for (std::uint64_t i = 4; i > 0; --i) value = value << 8 | std::to_integer<std::uint64_t>(file[at + i - 1]);
  return value;
}

std::string_view name_at(Bytes file, std::uint64_t at) { return {reinterpret_cast<const char*>(file.data()) + at, 4}; }

bool has(Bytes file, std::uint64_t at, std::uint64_t bytes) { return at <= file.size() && file.size() - at >= bytes; }

// What of [at, at + size) is behind the file's end.
std::uint64_t behind_end(Bytes file, std::uint64_t at, std::uint64_t size) {
  const std::uint64_t there = file.size() - at;
  return size > there ? size - there : 0;
}

// ISO/IEC 14496-12, 4.2: boxes one after the other. Only those that hold the recording count: whatever a camera appends
// may look like a box of any size.
std::uint64_t missing_of_boxes(Bytes file) {
  for (std::uint64_t at = 0; has(file, at, 16);) {
    std::uint64_t size = big_endian(file, at, 4);
    if (size == 1) size = big_endian(file, at + 8, 8);
    if (size < 8) return 0;  // 0: up to the end of the file
    if (const std::uint64_t missing = behind_end(file, at, size); missing > 0) {
      const std::string_view name = name_at(file, at + 4);
      return name == "mdat" || name == "moov" || name == "moof" ? missing : 0;
    }
    at += size;
  }
  return 0;
}

// RFC 8794, 4: an EBML number of 1…8 bytes with its length marked by the first bit set. All ones: not known.
struct EbmlSize {
  std::optional<std::uint64_t> value;
  int bytes = 0;
};
std::optional<EbmlSize> ebml_size(Bytes file, std::uint64_t at) {
  if (!has(file, at, 1)) return std::nullopt;
  const int bytes = std::countl_zero(std::to_integer<std::uint8_t>(file[at])) + 1;
  if (bytes > 8 || !has(file, at, static_cast<std::uint64_t>(bytes))) return std::nullopt;
  const std::uint64_t ones = (std::uint64_t{1} << (7 * bytes)) - 1, value = big_endian(file, at, bytes) & ones;
  return EbmlSize{value == ones ? std::nullopt : std::optional(value), bytes};
}

// RFC 9559, 5: a header, then the segment with everything else.
std::uint64_t missing_of_segment(Bytes file) {
  constexpr std::uint64_t kHeader = 0x1A45DFA3, kSegment = 0x18538067;
  if (!has(file, 0, 4) || big_endian(file, 0, 4) != kHeader) return 0;
  const auto header = ebml_size(file, 4);
  if (!header || !header->value || !has(file, 4 + static_cast<std::uint64_t>(header->bytes), *header->value)) return 0;
  const std::uint64_t at = 4 + static_cast<std::uint64_t>(header->bytes) + *header->value;
  if (!has(file, at, 4) || big_endian(file, at, 4) != kSegment) return 0;
  const auto segment = ebml_size(file, at + 4);
  if (!segment || !segment->value) return 0;
  return behind_end(file, at + 4 + static_cast<std::uint64_t>(segment->bytes), *segment->value);
}

// RIFF chunks one after the other: files of more than 1 GB have several (OpenDML AVI 1.02). A writer that was killed
// left no size.
std::uint64_t missing_of_riff(Bytes file) {
  constexpr std::uint64_t kNoSize = 0xFFFFFF00;
  for (std::uint64_t at = 0; has(file, at, 8) && name_at(file, at) == "RIFF";) {
    const std::uint64_t size = little_endian_32(file, at + 4);
    if (size == 0 || size >= kNoSize) return 0;
    if (const std::uint64_t missing = behind_end(file, at, 8 + size); missing > 0) return missing;
    at += 8 + size + size % 2;
  }
  return 0;
}

}  // namespace

std::uint64_t missing_bytes(Bytes file, MediaFormat format) {
  switch (format) {
    case MediaFormat::kMp4:
      return missing_of_boxes(file);
    case MediaFormat::kMatroska:
      return missing_of_segment(file);
    case MediaFormat::kAvi:
      return missing_of_riff(file);
    default:
      return 0;
  }
}

}  // namespace image_engine::media
