// Formats, JPEG structure and hashes: all our own code.
#include <algorithm>

#include "libraries.h"
#include "media/heif_items.h"
#include "media/jpeg_segments.h"

using namespace image_engine;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  const auto file = as_file(data, size);
  if (media_kind(sniff_format(file.first(std::min(size, kSniffBytes)))) != MediaKind::kNone &&
      media::detect_format(file) == MediaFormat::kNone)
    std::abort();  // more bytes never make media of less
  (void)media::content_hashes(file);
  (void)media::jpeg_hashes(file);
  (void)media::read_jpeg_header(file);
  (void)media::find_heif_items(file);
  (void)media::heif_contains_itself(file);
  if (const auto orientation = media::tiff_orientation(file); orientation > 8) std::abort();
  return 0;
}
