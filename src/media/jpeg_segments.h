// The structure of a JPEG file (ITU-T T.81, annex B), read without decoding.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "media/tag_blocks.h"
#include "types/byte_view.h"

namespace image_engine::media {

struct JpegSegment {
  std::uint8_t marker = 0;  // the byte after 0xFF
  std::uint64_t begin = 0;  // of the 0xFF
  std::uint64_t end = 0;    // after the segment, at most the file's end; entropy-coded data is not part of it
  std::span<const std::byte> payload;  // after the length field
};

// The first 0xFF at or after `from` that a byte other than 0 follows; file.size() without one. Whole blocks without
// any, as coded data mostly are, cost little.
std::size_t next_marker(Bytes file, std::size_t from);

// Iterates over marker segments to the end of the bytes, skipping entropy-coded data and garbage.
class JpegWalker {
 public:
  explicit JpegWalker(Bytes file) : file_(file) {}
  std::optional<JpegSegment> next();
  // Goes on at a position after the last segment, before which there is none.
  void skip_to(std::uint64_t at) { at_ = at; }

 private:
  Bytes file_;
  std::uint64_t at_ = 0;
};

struct JpegHeader {
  std::uint32_t width = 0, height = 0;
  std::uint32_t bit_depth = 8;
  std::uint32_t components = 0;
  bool progressive = false;
  TagBlocks tags;
  std::uint32_t orientation = 0;  // of the first EXIF block that states one; 0: none does
  std::vector<std::byte> icc;     // chunks joined, or Adobe RGB where Exif says so; else empty
};

// Everything before the first scan; reads only those pages of `file`. Width and height are 0 without a frame header.
JpegHeader read_jpeg_segments(Bytes file);
// The same; nullopt without a frame header.
std::optional<JpegHeader> read_jpeg_header(Bytes file);

// What the hash of the coded picture is of, which editing metadata does not change: SOI to the first EOI, without the
// segments APP0–APP15 and COM. Data after EOI (MPF pictures, a motion photo's clip) is excluded. In a broken file
// everything to its end counts; a file without a scan counts whole.
ByteSequence jpeg_coded_data(Bytes file);
// Collects it from a walk over the file's segments.
class JpegCodedData {
 public:
  explicit JpegCodedData(Bytes file) : file_(file), end_(file.size()) {}
  // False after the picture's end: what follows does not count.
  bool take(const JpegSegment& segment);
  [[nodiscard]] bool has_end() const { return has_end_; }
  // Call once, after the last.
  [[nodiscard]] ByteSequence pieces() &&;

 private:
  Bytes file_;
  ByteSequence kept_;
  std::uint64_t kept_from_ = 0, end_;
  bool has_scan_ = false, has_end_ = false;
};

// Of both in one pass.
ContentHashes jpeg_hashes(Bytes file);
// The coded picture's with XXH3, as in catalogues up to format 4.
Hash128 jpeg_former_coded_hash(Bytes file);

// EXIF orientation 1…8 of a TIFF; 0 when missing or invalid.
std::uint32_t tiff_orientation(Bytes tiff);

}  // namespace image_engine::media
