#include <memory>

#include "media/decoders.h"
#include "media/metadata_readers.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_THREAD_LOCALS
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace image_engine::media {
namespace {

struct Header {
  Size size;
  std::uint32_t bits = 0;         // a pixel
  std::uint32_t compression = 0;  // 0 none, 3 and 6 bit fields
  std::uint64_t pixels = 0;       // their offset
};

// BITMAPFILEHEADER and the fields that BITMAPCOREHEADER and BITMAPINFOHEADER to V5 agree on.
Header read_header(Bytes file) {
  const ByteView view(file, ByteOrder::kLittle);
  constexpr std::uint32_t kCore = 12;
  Header header;
  header.pixels = view.u32(10);
  if (view.u32(14) == kCore) {
    header.size = {view.u16(18), view.u16(20)};
    header.bits = view.u16(24);
    return header;
  }
  const auto height = static_cast<std::int64_t>(static_cast<std::int32_t>(view.u32(22)));  // negative: top row first
  header.size = {view.u32(18), static_cast<std::uint32_t>(height < 0 ? -height : height)};
  header.bits = view.u16(28);
  header.compression = view.u32(30);
  return header;
}

Error broken() { return {ErrorCode::kCorrupt, "the BMP cannot be decoded"}; }

}  // namespace

Result<Blocks> read_bmp_blocks(Bytes file, Metadata& metadata) {
  const auto header = read_header(file);
  if (header.size.width == 0 || header.size.height == 0) return fail(broken());
  metadata.width = header.size.width;
  metadata.height = header.size.height;
  return Blocks{};
}

Result<Decoded> decode_bmp(Bytes file, const DecodeOptions& options) {
  const auto header = read_header(file);
  IE_CHECK(check_size(header.size, options));
  constexpr size_t kMaxFile = size_t{1} << 31;  // stb counts in int
  if (file.size() >= kMaxFile) return fail(ErrorCode::kTooLarge, "a BMP of 2 GiB or more is not read");
  constexpr std::uint32_t kRle8 = 1, kRle4 = 2;
  if (header.compression == kRle8 || header.compression == kRle4)
    return fail(ErrorCode::kUnsupported, "a run-length encoded BMP is not read");

  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(file.data()), static_cast<int>(file.size()), &width,
                            &height, &channels, STBI_rgb_alpha),
      stbi_image_free);
  if (!pixels || Size{static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height)} != header.size)
    return fail(broken());

  const std::uint64_t row_bytes = (std::uint64_t{header.size.width} * header.bits + 31) / 32 * 4;
  Decoded decoded;
  decoded.partial = header.pixels + row_bytes * header.size.height > file.size();
  if (decoded.partial) decoded.warnings.emplace_back("the BMP ends early");
  decoded.full_width = header.size.width;
  decoded.full_height = header.size.height;
  RowResizer resizer(header.size, fit(header.size, options.max_edge));
  resizer.watch(options.luma);
  const stbi_uc* from = pixels.get();
  for (std::uint32_t y = 0; y < header.size.height; ++y) {
    std::uint8_t* to = resizer.next_row();
    for (std::uint32_t x = 0; x < header.size.width; ++x, from += 4, to += 3) {
      const unsigned alpha = from[3];
      for (int c = 0; c < 3; ++c)
        to[c] = static_cast<std::uint8_t>((from[c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
    resizer.commit_row();
  }
  decoded.image = resizer.finish();
  return decoded;
}

}  // namespace image_engine::media
