// An animation of some frames of a video.
#include <vips/vips.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "core/file.h"
#include "media/media.h"
#include "media/video_reader.h"

namespace image_engine::media {
namespace {

constexpr int kWebpQuality = 75;

struct UnrefImage {
  void operator()(VipsImage* image) const { g_object_unref(image); }
};

// Frames of one size below each other, as libvips has animations.
struct Strip {
  std::uint32_t width = 0, height = 0, frames = 0;
  std::vector<std::uint8_t> pixels;
};

// A stream may change its size: later frames are cropped, or filled with black, to the first one's.
void append(Strip& strip, const Image& frame) {
  if (strip.frames == 0) strip.width = frame.width, strip.height = frame.height;
  const size_t row = size_t{strip.width} * 3, used = size_t{std::min(strip.width, frame.width)} * 3;
  const size_t begin = strip.pixels.size();
  strip.pixels.resize(begin + row * strip.height);
  for (std::uint32_t y = 0; y < std::min(strip.height, frame.height); ++y)
    std::copy_n(&frame.pixels[y * frame.row_bytes()], used, &strip.pixels[begin + y * row]);
  ++strip.frames;
}

Result<Strip> decode_strip(Bytes video, const PreviewOptions& options) {
  IE_TRY(VideoReader reader, VideoReader::open(video, {.is_mapped = true, .max_pixels = options.max_pixels}));
  Strip strip;
  for (const double time : options.times) {
    IE_CHECK(reader.seek(time));
    IE_TRY(const auto frame, reader.next());
    if (!frame) continue;
    IE_TRY(const Image picture, reader.picture(options.max_edge));
    append(strip, picture);
  }
  if (strip.frames == 0) return fail(ErrorCode::kCorrupt, "the video has no frame that can be decoded");
  return strip;
}

}  // namespace

Result<std::vector<std::byte>> encode_preview(Bytes video, const PreviewOptions& options) {
  IE_TRY(const Strip strip, decode_strip(video, options));
  const std::unique_ptr<VipsImage, UnrefImage> image(
      vips_image_new_from_memory(strip.pixels.data(), strip.pixels.size(), static_cast<int>(strip.width),
                                 static_cast<int>(strip.height * strip.frames), 3, VIPS_FORMAT_UCHAR));
  if (!image) return fail(ErrorCode::kOutOfMemory, "no memory to encode a preview");
  const std::vector<int> delays(strip.frames, static_cast<int>(options.frame_duration));
  vips_image_set_int(image.get(), VIPS_META_PAGE_HEIGHT, static_cast<int>(strip.height));
  vips_image_set_array_int(image.get(), "delay", delays.data(), static_cast<int>(delays.size()));
  vips_image_set_int(image.get(), "loop", 0);
  void* data = nullptr;
  size_t size = 0;
  if (vips_webpsave_buffer(image.get(), &data, &size, "Q", kWebpQuality, "strip", 1, nullptr) != 0) {
    vips_error_clear();
    return fail(ErrorCode::kUnsupported, "this libvips cannot write WebP: install libvips42");
  }
  const std::unique_ptr<void, decltype(&g_free)> owner(data, g_free);
  const auto* bytes = static_cast<const std::byte*>(data);
  return std::vector<std::byte>(bytes, bytes + size);
}

}  // namespace image_engine::media
