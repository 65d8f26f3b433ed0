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
constexpr std::uint8_t kBaseline = 0xC0, kExtended = 0xC1, kProgressive = 0xC2, kTables = 0xC4, kEnd = 0xD9,
                       kScan = 0xDA, kRestart = 0xD0;
constexpr std::uint8_t kApp0 = 0xE0, kApp14 = 0xEE;

// What the segments say, from the first to the picture's end.
struct Structure {
  std::uint8_t frame = 0;  // marker of the first frame header
  std::array<std::uint8_t, 3> components{};
  int frames = 0, scans = 0;
  bool has_tables = false, has_jfif = false, has_adobe = false;
  bool is_whole = false;        // the end follows a scan
  std::uint64_t data_from = 0;  // the first scan's coded data
  std::uint64_t data_to = 0;    // the end's marker
  std::uint8_t adobe_transform = 0;
};

bool is_frame(std::uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != kTables && marker != 0xC8 && marker != 0xCC;
}

void note_frame(const ByteView& payload, std::uint8_t marker, Structure& found) {
  if (found.frames++ > 0) return;
  found.frame = marker;
  for (std::size_t i = 0; i < found.components.size(); ++i) found.components[i] = payload.u8(6 + i * 3);
}

Structure structure_of(media::Bytes file) {
  Structure found;
  media::JpegWalker walker(file);
  while (const auto segment = walker.next()) {
    const ByteView payload(segment->payload);
    if (is_frame(segment->marker)) note_frame(payload, segment->marker, found);
    if (segment->marker == kScan && found.scans++ == 0) found.data_from = segment->end;
    found.has_tables |= segment->marker == kTables;
    found.has_jfif |= segment->marker == kApp0 && payload.starts_with("JFIF\0"sv);
    if (segment->marker == kApp14 && payload.starts_with("Adobe"sv)) {
      found.has_adobe = true;
      found.adobe_transform = payload.u8(11);
    }
    if (segment->marker == kEnd && found.scans > 0) {
      found.is_whole = true;
      found.data_to = segment->begin;
      break;
    }
  }
  return found;
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

// Whether the coded data of one sequential scan show damage: a marker that does not belong there, restart markers out
// of their order, or a long run of zeros, as of a sector that was lost. GPUs' JPEG engines decode such data to noise
// and do not say so.
bool looks_damaged(media::Bytes data) {
  constexpr std::size_t kLostBytes = 256;
  int restart = -1;
  for (std::size_t at = 0; (at = media::next_marker(data, at)) < data.size(); ++at) {
    const auto marker = static_cast<std::uint8_t>(data[at + 1]);
    if (marker == 0xFF) continue;
    if (marker < kRestart || marker > kRestart + 7) return true;
    if (restart >= 0 && marker - kRestart != (restart + 1) % 8) return true;
    restart = marker - kRestart;
  }
  return has_zeros(data, kLostBytes);
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
  const Structure structure = structure_of(file);
  const bool is_sequential = structure.frame == kBaseline || structure.frame == kExtended;
  if (!is_sequential && structure.frame != kProgressive) return std::nullopt;
  if (!structure.has_tables || !structure.is_whole || structure.frames != 1) return std::nullopt;
  const bool is_grey = header->components == 1;
  const bool needs_profile = media::needs_transform(header->icc);
  if (is_grey ? needs_profile : !is_ycc(structure)) return std::nullopt;
  RoutedJpeg routed{header->width, header->height, std::max(header->orientation, 1U), {}, false};
  if (needs_profile) routed.icc = std::move(header->icc);
  routed.for_engine = is_sequential && structure.scans == 1;
  if (routed.for_engine && looks_damaged(file.subspan(structure.data_from, structure.data_to - structure.data_from)))
    return std::nullopt;
  return routed;
}

}  // namespace image_engine::worker
