#include "media/jpeg_segments.h"

#include "media/colour_code.h"
#include "media/jpeg_tags.h"

#include <algorithm>
#include <map>

namespace image_engine::media {
namespace {

using namespace std::string_view_literals;

enum Marker : std::uint8_t {
  kTem = 0x01,
  kSof0 = 0xC0,
  kDht = 0xC4,
  kJpg = 0xC8,
  kDac = 0xCC,
  kSof15 = 0xCF,
  kRst0 = 0xD0,
  kRst7 = 0xD7,
  kSoi = 0xD8,
  kEoi = 0xD9,
  kSos = 0xDA,
  kApp0 = 0xE0,
  kApp1 = 0xE1,
  kApp2 = 0xE2,
  kApp13 = 0xED,
  kApp15 = 0xEF,
  kCom = 0xFE,
};

bool is_frame(std::uint8_t marker) {
  return marker >= kSof0 && marker <= kSof15 && marker != kDht && marker != kJpg && marker != kDac;
}
bool is_progressive(std::uint8_t marker) { return (marker & 3) == 2; }
bool is_metadata(std::uint8_t marker) { return (marker >= kApp0 && marker <= kApp15) || marker == kCom; }

// ICC.1:2022, B.4: "ICC_PROFILE\0", number from 1, count, data.
class IccChunks {
 public:
  void add(ByteView payload) {
    if (!payload.starts_with("ICC_PROFILE\0"sv)) return;
    count_ = payload.u8(13);
    chunks_.emplace(payload.u8(12), payload.sub(14));
  }
  [[nodiscard]] std::vector<std::byte> join() const {
    std::vector<std::byte> all;
    if (chunks_.empty() || chunks_.size() != count_) return all;
    for (const auto& [number, chunk] : chunks_) all.insert(all.end(), chunk.begin(), chunk.end());
    return all;
  }

 private:
  std::map<std::uint8_t, Bytes> chunks_;
  size_t count_ = 0;
};

}  // namespace

std::size_t next_marker(Bytes file, std::size_t from) {
  constexpr std::size_t kBlock = 256;  // compilers make vector instructions of a loop of fixed length
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(file.data());
  const auto is_marker = [&](std::size_t at) { return bytes[at] == 0xFF && bytes[at + 1] != 0; };
  const auto has_none = [](const std::uint8_t* block) {
    std::uint8_t any = 0;
    for (std::size_t i = 0; i < kBlock; ++i)
      any |= static_cast<std::uint8_t>(static_cast<std::uint8_t>(block[i] == 0xFF) &
                                       static_cast<std::uint8_t>(block[i + 1] != 0));
    return any == 0;
  };
  std::size_t at = from;
  while (at + kBlock < file.size() && has_none(bytes + at)) at += kBlock;
  while (at + 1 < file.size() && !is_marker(at)) ++at;
  return at + 1 < file.size() ? at : file.size();
}

std::optional<JpegSegment> JpegWalker::next() {
  const ByteView view(file_);
  for (std::uint64_t begin = 0; (begin = next_marker(file_, at_)) < file_.size();) {
    const auto marker = view.u8(begin + 1);
    at_ = begin + (marker == 0xFF ? 1 : 2);
    if (marker == 0xFF || marker == kTem || (marker >= kRst0 && marker <= kRst7)) continue;
    if (marker == kSoi || marker == kEoi) return JpegSegment{marker, begin, at_, {}};
    const std::uint64_t length = std::max<std::uint64_t>(view.u16(at_), 2);
    const auto payload = view.sub(at_ + 2, length - 2);
    at_ = std::min<std::uint64_t>(at_ + length, file_.size());
    return JpegSegment{marker, begin, at_, payload};
  }
  return std::nullopt;
}

JpegHeader read_jpeg_segments(Bytes file) {
  JpegHeader header;
  IccChunks icc;
  JpegTags tags;
  JpegWalker walker(file);
  while (const auto segment = walker.next()) {
    const ByteView payload(segment->payload);
    if (segment->marker == kSos || segment->marker == kEoi) break;
    if (is_frame(segment->marker) && header.components == 0) {
      header.bit_depth = payload.u8(0);
      header.height = payload.u16(1);
      header.width = payload.u16(3);
      header.components = payload.u8(5);
      header.progressive = is_progressive(segment->marker);
    } else if (segment->marker == kApp1) {
      tags.add_app1(segment->payload);
    } else if (segment->marker == kApp2) {
      icc.add(payload);
    } else if (segment->marker == kApp13) {
      tags.add_app13(segment->payload);
    }
  }
  header.tags = tags.join();
  for (const Bytes exif : header.tags.exif)
    if (header.orientation == 0) header.orientation = tiff_orientation(exif);
  header.icc = icc.join();
  if (header.icc.empty() && header.components == 3) header.icc = exif_profile(header.tags.first_exif());
  return header;
}

std::optional<JpegHeader> read_jpeg_header(Bytes file) {
  JpegHeader header = read_jpeg_segments(file);
  if (header.components == 0 || header.width == 0 || header.height == 0) return std::nullopt;
  return header;
}

bool JpegCodedData::take(const JpegSegment& segment) {
  if (has_end_) return false;
  if (is_metadata(segment.marker)) {
    kept_.push_back(file_.subspan(kept_from_, segment.begin - kept_from_));
    kept_from_ = segment.end;
  }
  has_scan_ |= segment.marker == kSos;
  has_end_ = segment.marker == kEoi;
  if (has_end_) end_ = segment.end;
  return !has_end_;
}

ByteSequence JpegCodedData::pieces() && {
  if (!has_scan_) return {file_};
  kept_.push_back(file_.subspan(kept_from_, end_ - kept_from_));
  return std::move(kept_);
}

ByteSequence jpeg_coded_data(Bytes file) {
  JpegCodedData coded(file);
  JpegWalker walker(file);
  while (const auto segment = walker.next())
    if (!coded.take(*segment)) break;
  return std::move(coded).pieces();
}

ContentHashes jpeg_hashes(Bytes file) {
  const ByteSequence sequences[] = {{file}, jpeg_coded_data(file)};
  const std::vector<Hash128> hashes = hash_side_by_side(sequences);
  return {hashes[0], hashes[1]};
}

Hash128 jpeg_former_coded_hash(Bytes file) {
  Hasher hasher;
  for (const Bytes piece : jpeg_coded_data(file)) hasher.update(piece);
  return hasher.digest();
}

std::uint32_t tiff_orientation(Bytes tiff) {
  const ByteView view(tiff);
  if (!view.starts_with("II*\0"sv) && !view.starts_with("MM\0*"sv)) return 0;
  constexpr std::uint16_t kOrientation = 0x112;
  const auto value = TiffDirectory(tiff).number(kOrientation);
  return value >= 1 && value <= 8 ? value : 0;
}

}  // namespace image_engine::media
