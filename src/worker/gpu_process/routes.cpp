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
                       kScan = 0xDA;
constexpr std::uint8_t kApp0 = 0xE0, kApp14 = 0xEE;

// What the segments say, from the first to the picture's end.
struct Structure {
  std::uint8_t frame = 0;  // marker of the frame header
  std::array<std::uint8_t, 3> components{};
  int scans = 0;
  bool has_tables = false, has_jfif = false, has_adobe = false, has_end = false;
  std::uint8_t adobe_transform = 0;
};

bool is_frame(std::uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != kTables && marker != 0xC8 && marker != 0xCC;
}

Structure structure_of(media::Bytes file) {
  Structure found;
  media::JpegWalker walker(file);
  while (const auto segment = walker.next()) {
    const ByteView payload(segment->payload);
    if (is_frame(segment->marker) && found.frame == 0) {
      found.frame = segment->marker;
      for (std::size_t i = 0; i < found.components.size(); ++i) found.components[i] = payload.u8(6 + i * 3);
    }
    found.has_tables |= segment->marker == kTables;
    found.scans += segment->marker == kScan ? 1 : 0;
    found.has_jfif |= segment->marker == kApp0 && payload.starts_with("JFIF\0"sv);
    if (segment->marker == kApp14 && payload.starts_with("Adobe"sv)) {
      found.has_adobe = true;
      found.adobe_transform = payload.u8(11);
    }
    if (segment->marker == kEnd && found.scans > 0) {
      found.has_end = true;
      break;
    }
  }
  return found;
}

// As libjpeg decides it (jdapimin.c, default_decompress_parms): by JFIF, then Adobe's marker, then the components'
// names.
bool is_ycc(const Structure& structure) {
  if (structure.has_jfif) return true;
  if (structure.has_adobe) return structure.adobe_transform == 1;
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
  if (!structure.has_tables || !structure.has_end) return std::nullopt;
  const bool is_grey = header->components == 1;
  const bool needs_profile = media::needs_transform(header->icc);
  if (is_grey ? needs_profile : !is_ycc(structure)) return std::nullopt;
  RoutedJpeg routed{header->width, header->height, media::tiff_orientation(header->exif), {}, false};
  if (needs_profile) routed.icc = std::move(header->icc);
  routed.for_engine = is_sequential && structure.scans == 1;
  return routed;
}

}  // namespace image_engine::worker
