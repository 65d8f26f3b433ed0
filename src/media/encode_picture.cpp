// Whole pictures as files, for what was made of a photo.
#include <vips/vips.h>

#include <memory>

#include "media/media.h"

namespace image_engine::media {
namespace {

constexpr int kPngCompression = 3;           // of 9: 6 takes twice the time for a few per cent
constexpr std::uint32_t kMostWebp = 16'383;  // pixels a side, of the format
constexpr std::uint32_t kMostJpeg = 65'500;  // JPEG_MAX_DIMENSION of libjpeg
constexpr int kFullColour = 91;              // from this quality on, colour at full resolution

struct Unref {
  void operator()(VipsImage* image) const { g_object_unref(image); }
};

int save(VipsImage* image, Encoding encoding, int quality, void** data, size_t* size) {
  switch (encoding) {
    case Encoding::kJpeg:
      return vips_jpegsave_buffer(image, data, size, "Q", quality, "optimize_coding", 1, "subsample_mode",
                                  quality >= kFullColour ? VIPS_FOREIGN_SUBSAMPLE_OFF : VIPS_FOREIGN_SUBSAMPLE_ON,
                                  nullptr);
    case Encoding::kWebp:
      return vips_webpsave_buffer(image, data, size, "Q", quality, "lossless", quality == 100 ? 1 : 0, nullptr);
    case Encoding::kPng:
      break;
  }
  return vips_pngsave_buffer(image, data, size, "compression", kPngCompression, nullptr);
}

Status check_limits(const RawPicture& picture, Encoding encoding) {
  const std::uint32_t longer = std::max(picture.width, picture.height);
  if (picture.width == 0 || picture.height == 0 ||
      picture.pixels.size() != std::uint64_t{picture.width} * picture.height * picture.channels)
    return fail(ErrorCode::kInternal, "the picture has another size than stated");
  if (picture.channels != 1 && picture.channels != 3 && picture.channels != 4)
    return fail(ErrorCode::kInternal, "a picture has 1, 3 or 4 channels");
  if (encoding == Encoding::kJpeg && picture.channels == 4)
    return fail(ErrorCode::kUnsupported,
                "the picture is transparent in parts, which JPEG cannot hold: use PNG or WebP");
  if (encoding == Encoding::kJpeg && longer > kMostJpeg)
    return fail(ErrorCode::kUnsupported, "JPEG holds at most 65,500 pixels a side: use PNG");
  if (encoding == Encoding::kWebp && longer > kMostWebp)
    return fail(ErrorCode::kUnsupported, "WebP holds at most 16,383 pixels a side: use PNG");
  return {};
}

}  // namespace

Result<std::vector<std::byte>> encode_picture(const RawPicture& picture, Encoding encoding, int quality) {
  IE_CHECK(check_limits(picture, encoding));
  const std::unique_ptr<VipsImage, Unref> memory(vips_image_new_from_memory(
      picture.pixels.data(), picture.pixels.size(), static_cast<int>(picture.width), static_cast<int>(picture.height),
      static_cast<int>(picture.channels), VIPS_FORMAT_UCHAR));
  if (!memory) return fail(ErrorCode::kOutOfMemory, "no memory to encode a picture");
  VipsImage* interpreted = nullptr;
  const VipsInterpretation colours = picture.channels == 1 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
  if (vips_copy(memory.get(), &interpreted, "interpretation", colours, nullptr) != 0)
    return fail(ErrorCode::kOutOfMemory, "no memory to encode a picture");
  const std::unique_ptr<VipsImage, Unref> image(interpreted);
  void* data = nullptr;
  size_t size = 0;
  if (save(image.get(), encoding, quality, &data, &size) != 0) {
    const std::string reason = vips_error_buffer();
    vips_error_clear();
    return fail(ErrorCode::kUnsupported, "the picture cannot be encoded: " + reason);
  }
  const std::unique_ptr<void, decltype(&g_free)> owner(data, g_free);
  const auto* bytes = static_cast<const std::byte*>(data);
  return std::vector<std::byte>(bytes, bytes + size);
}

}  // namespace image_engine::media
