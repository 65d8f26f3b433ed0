// Whole pictures as files, for what was made of a photo.
#include <vips/vips.h>

#include <algorithm>
#include <memory>
#include <string_view>

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

// Without metadata: libvips would write Exif of its own. Into WebP it does in any case (8.14): see without_exif().
int save(VipsImage* image, Encoding encoding, int quality, void** data, size_t* size) {
  switch (encoding) {
    case Encoding::kJpeg:
      return vips_jpegsave_buffer(image, data, size, "Q", quality, "optimize_coding", 1, "subsample_mode",
                                  quality >= kFullColour ? VIPS_FOREIGN_SUBSAMPLE_OFF : VIPS_FOREIGN_SUBSAMPLE_ON,
                                  "strip", 1, nullptr);
    case Encoding::kWebp:
      return vips_webpsave_buffer(image, data, size, "Q", quality, "lossless", quality == 100 ? 1 : 0, "strip", 1,
                                  nullptr);
    case Encoding::kPng:
      break;
  }
  return vips_pngsave_buffer(image, data, size, "compression", kPngCompression, "strip", 1, nullptr);
}

std::uint32_t little_endian(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | std::to_integer<std::uint32_t>(bytes[i]);
  return value;
}

// The WebP file of libvips less its chunk EXIF, and less the flag of that.
std::vector<std::byte> without_exif(std::span<const std::byte> webp) {
  constexpr std::size_t kHeader = 12, kChunkHeader = 8;
  constexpr std::byte kExifFlag{0x08};
  std::vector<std::byte> out(webp.begin(), webp.begin() + std::min(webp.size(), kHeader));
  for (auto rest = webp.subspan(out.size()); rest.size() >= kChunkHeader;) {
    const std::string_view name(reinterpret_cast<const char*>(rest.data()), 4);
    const std::size_t length = little_endian(rest.subspan(4, 4));
    const auto chunk = rest.first(std::min(rest.size(), kChunkHeader + length + length % 2));
    if (name != "EXIF") {
      out.insert(out.end(), chunk.begin(), chunk.end());
      if (name == "VP8X" && length > 0) out[out.size() - chunk.size() + kChunkHeader] &= ~kExifFlag;
    }
    rest = rest.subspan(chunk.size());
  }
  for (std::size_t i = 0; i < 4 && out.size() >= kHeader; ++i)
    out[4 + i] = static_cast<std::byte>((out.size() - kChunkHeader) >> (8 * i));
  return out;
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
  if (encoding == Encoding::kWebp) return without_exif({bytes, size});
  return std::vector<std::byte>(bytes, bytes + size);
}

}  // namespace image_engine::media
