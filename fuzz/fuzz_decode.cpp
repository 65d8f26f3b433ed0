// Pixels, one program a decoder: IE_DECODER names the one whose formats this takes.
#include <string_view>
#include <utility>

#include "libraries.h"

using namespace image_engine;

namespace {

constexpr std::string_view decoder_of(MediaFormat format) {
  switch (format) {
    case MediaFormat::kJpeg:
      return "jpeg";
    case MediaFormat::kBmp:
      return "bmp";
    case MediaFormat::kDng:
    case MediaFormat::kCr2:
    case MediaFormat::kNef:
    case MediaFormat::kArw:
    case MediaFormat::kOrf:
    case MediaFormat::kRw2:
      return "raw";
    case MediaFormat::kHeif:
    case MediaFormat::kAvif:
      return "heif";
    case MediaFormat::kJxl:
      return "jxl";
    default:
      return media_kind(format) == MediaKind::kPhoto ? "vips" : "none";
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  const auto file = as_file(data, size);
  if (decoder_of(media::detect_format(file)) != IE_DECODER) return -1;
  LumaAccumulator luma;
  for (const auto& [edge, is_measured] : {std::pair{0U, false}, {16U, false}, {2U, true}}) {
    const auto decoded =
        media::decode(file, {.max_edge = edge, .max_pixels = 250'000, .luma = is_measured ? &luma : nullptr});
    if (is_measured) luma.finish();
    if (!decoded) continue;
    const auto& image = decoded->image;
    if (image.pixels.size() != image.height * image.row_bytes() || image.pixels.empty()) std::abort();
    if (edge != 0 && (image.width > edge || image.height > edge)) std::abort();
  }
  return 0;
}
