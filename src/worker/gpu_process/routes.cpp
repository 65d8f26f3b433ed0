#include "worker/gpu_process/routes.h"

#include <array>
#include <string_view>

#include "media/colour.h"
#include "media/jpeg_segments.h"
#include "types/byte_view.h"

namespace image_engine::worker {
namespace {

using namespace std::string_view_literals;

// Markers of ITU-T T.81, table B.1.
constexpr std::uint8_t kBaseline = 0xC0, kExtended = 0xC1, kProgressive = 0xC2, kTables = 0xC4, kScan = 0xDA,
                       kRestart = 0xD0, kTemporary = 0x01, kFill = 0xFF;
constexpr std::uint8_t kApp0 = 0xE0, kApp14 = 0xEE;

// What the segments say, from the first to the picture's end.
struct Structure {
  std::uint8_t frame = 0;  // marker of the first frame header
  std::array<std::uint8_t, 3> components{};
  int frames = 0, scans = 0;
  bool has_tables = false, has_jfif = false, has_adobe = false;
  bool is_whole = false;          // the end follows a scan
  bool ends_behind_scan = false;  // at once
  bool looks_damaged = false;     // the first scan's coded data
  std::uint8_t adobe_transform = 0;
  std::size_t header_bytes = 0;  // before the first scan's coded data
  ByteSequence coded;            // media::jpeg_coded_data()
};

bool is_frame(std::uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != kTables && marker != 0xC8 && marker != 0xCC;
}

void note_frame(const ByteView& payload, std::uint8_t marker, Structure& found) {
  if (found.frames++ > 0) return;
  found.frame = marker;
  for (std::size_t i = 0; i < found.components.size(); ++i) found.components[i] = payload.u8(6 + i * 3);
}

// Whether there are `wanted` zeros in a row. One byte in every `wanted` belongs to such a run, so only these are read.
bool has_zeros(media::Bytes data, std::size_t wanted) {
  constexpr std::byte kZero{0};
  for (std::size_t at = wanted - 1; at < data.size(); at += wanted) {
    if (data[at] != kZero) continue;
    std::size_t first = at, end = at + 1;
    while (first > at - (wanted - 1) && data[first - 1] == kZero) --first;
    while (end < data.size() && end - first < wanted && data[end] == kZero) ++end;
    if (end - first == wanted) return true;
  }
  return false;
}

struct ScanData {
  std::size_t end = 0;  // the marker behind it
  bool looks_damaged = false;
};

// Coded data from `begin` on. They show damage by restart markers out of their order, a marker that means nothing
// there, or a long run of zeros, as of a sector that was lost. GPUs' JPEG engines decode such data to noise and do not
// say so.
ScanData scan_data(media::Bytes file, std::size_t begin) {
  constexpr std::size_t kLostBytes = 256;
  ScanData data;
  int restart = -1;
  for (data.end = begin; (data.end = media::next_marker(file, data.end)) < file.size();) {
    const auto marker = static_cast<std::uint8_t>(file[data.end + 1]);
    const bool is_restart = marker >= kRestart && marker <= kRestart + 7;
    if (!is_restart && marker != kFill && marker != kTemporary) break;
    data.looks_damaged |= marker == kTemporary;
    data.looks_damaged |= is_restart && restart >= 0 && marker - kRestart != (restart + 1) % 8;
    if (is_restart) restart = marker - kRestart;
    data.end += marker == kFill ? 1 : 2;
  }
  data.looks_damaged |= has_zeros(file.subspan(begin, data.end - begin), kLostBytes);
  return data;
}

Structure structure_of(media::Bytes file) {
  Structure found;
  media::JpegCodedData coded(file);
  media::JpegWalker walker(file);
  bool is_behind_scan = false;
  for (auto segment = walker.next(); segment && coded.take(*segment); segment = walker.next()) {
    const ByteView payload(segment->payload);
    if (is_frame(segment->marker)) note_frame(payload, segment->marker, found);
    found.has_tables |= segment->marker == kTables;
    found.has_jfif |= segment->marker == kApp0 && payload.starts_with("JFIF\0"sv);
    if (segment->marker == kApp14 && payload.starts_with("Adobe"sv)) {
      found.has_adobe = true;
      found.adobe_transform = payload.u8(11);
    }
    is_behind_scan = segment->marker == kScan;
    if (!is_behind_scan) continue;
    const ScanData data = scan_data(file, segment->end);
    walker.skip_to(data.end);
    if (found.scans++ > 0) continue;
    found.header_bytes = segment->end;
    found.looks_damaged = data.looks_damaged;
  }
  found.is_whole = coded.has_end() && found.scans > 0;
  found.ends_behind_scan = found.is_whole && is_behind_scan;
  found.coded = std::move(coded).pieces();
  return found;
}

// Where libjpeg (jdapimin.c, default_decompress_parms) and others agree: by JFIF, Adobe's marker, and else the
// components' names.
bool is_ycc(const Structure& structure) {
  if (structure.has_adobe) return structure.adobe_transform == 1;
  if (structure.has_jfif) return true;
  return structure.components == std::array<std::uint8_t, 3>{1, 2, 3};
}

}  // namespace

std::optional<RoutedJpeg> route_jpeg(media::Bytes file) {
  if (sniff_format(file) != MediaFormat::kJpeg) return std::nullopt;
  std::optional<media::JpegHeader> header = media::read_jpeg_header(file);
  if (!header || header->bit_depth != 8 || (header->components != 1 && header->components != 3)) return std::nullopt;
  Structure structure = structure_of(file);
  const bool is_sequential = structure.frame == kBaseline || structure.frame == kExtended;
  if (!is_sequential && structure.frame != kProgressive) return std::nullopt;
  if (!structure.has_tables || !structure.is_whole || structure.frames != 1) return std::nullopt;
  const bool is_grey = header->components == 1;
  const bool needs_profile = media::needs_transform(header->icc);
  if (is_grey ? needs_profile : !is_ycc(structure)) return std::nullopt;
  RoutedJpeg routed{
      header->width, header->height, std::max(header->orientation, 1U), {}, structure.header_bytes, false, {}};
  if (needs_profile) routed.icc = std::move(header->icc);
  routed.for_engine = is_sequential && structure.scans == 1;
  if (routed.for_engine && (structure.looks_damaged || !structure.ends_behind_scan)) return std::nullopt;
  routed.coded = std::move(structure.coded);
  return routed;
}

}  // namespace image_engine::worker
