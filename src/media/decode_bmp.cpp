#include <algorithm>
#include <array>
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

constexpr std::uint32_t kRle8 = 1, kRle4 = 2;

struct Header {
  Size size;
  std::uint32_t bits = 0;         // a pixel
  std::uint32_t compression = 0;  // 0 none, kRle8, kRle4, 3 and 6 bit fields
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

struct Indices {
  std::vector<std::uint8_t> pixels;  // into the palette, top row first; unwritten pixels are 0
  bool whole = false;
};

// Runs, literals and jumps, bottom row first (BI_RLE8 and BI_RLE4 of the Windows GDI).
Indices expand_runs(ByteView view, const Header& header) {
  const auto [width, height] = header.size;
  const bool nibbles = header.compression == kRle4;
  Indices found{std::vector<std::uint8_t>(size_t{width} * height)};
  std::uint64_t at = header.pixels, x = 0, y = 0;
  const auto put = [&](std::uint8_t sample, unsigned i) {
    if (x < width && y < height)
      found.pixels[(height - 1 - y) * width + x] = !nibbles ? sample : i % 2 == 0 ? sample >> 4 : sample & 15;
    ++x;
  };
  while (view.has(at, 2) && y < height) {
    const unsigned count = view.u8(at), value = view.u8(at + 1);
    at += 2;
    if (count != 0) {
      for (unsigned i = 0; i < count; ++i) put(static_cast<std::uint8_t>(value), i);
    } else if (value == 0) {
      x = 0, ++y;
    } else if (value == 1) {
      found.whole = true;
      return found;
    } else if (value == 2) {
      x += view.u8(at), y += view.u8(at + 1), at += 2;
    } else {
      for (unsigned i = 0; i < value; ++i) put(view.u8(at + (nibbles ? i / 2 : i)), i);
      const unsigned bytes = nibbles ? (value + 1) / 2 : value;
      at += bytes + bytes % 2;
    }
  }
  found.whole = y >= height || (y + 1 == height && x >= width);
  return found;
}

// Blue, green, red and an unused byte per colour, after the header.
std::array<std::array<std::uint8_t, 3>, 256> read_palette(ByteView view, const Header& header) {
  const std::uint32_t used = view.u32(46), most = 1U << header.bits;
  const std::uint64_t start = std::uint64_t{14} + view.u32(14);
  std::array<std::array<std::uint8_t, 3>, 256> palette{};
  for (std::uint32_t i = 0; i < (used == 0 ? most : std::min(used, most)); ++i)
    for (unsigned c = 0; c < 3; ++c) palette[i][c] = view.u8(start + i * 4 + 2 - c);
  return palette;
}

// `write_row` fills row y, counted from the top, with RGB.
template <typename WriteRow>
Decoded collect(const Header& header, bool whole, const DecodeOptions& options, WriteRow write_row) {
  Decoded decoded;
  decoded.partial = !whole;
  if (!whole) decoded.warnings.emplace_back("the BMP ends early");
  decoded.full_width = header.size.width;
  decoded.full_height = header.size.height;
  RowResizer resizer(header.size, fit(header.size, options.max_edge));
  resizer.watch(options.luma);
  for (std::uint32_t y = 0; y < header.size.height; ++y) {
    write_row(y, resizer.next_row());
    resizer.commit_row();
  }
  decoded.image = resizer.finish();
  return decoded;
}

Error broken() { return {ErrorCode::kCorrupt, "the BMP cannot be decoded"}; }

Result<Decoded> decode_runs(Bytes file, const Header& header, const DecodeOptions& options) {
  const ByteView view(file, ByteOrder::kLittle);
  if (header.bits != (header.compression == kRle8 ? 8U : 4U) || !view.has(header.pixels, 2)) return fail(broken());
  const auto indices = expand_runs(view, header);
  const auto palette = read_palette(view, header);
  return collect(header, indices.whole, options, [&](std::uint32_t y, std::uint8_t* to) {
    const std::uint8_t* from = indices.pixels.data() + size_t{y} * header.size.width;
    for (std::uint32_t x = 0; x < header.size.width; ++x, to += 3) std::copy_n(palette[from[x]].data(), 3, to);
  });
}

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
  if (header.compression == kRle8 || header.compression == kRle4) return decode_runs(file, header, options);

  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(file.data()), static_cast<int>(file.size()), &width,
                            &height, &channels, STBI_rgb_alpha),
      stbi_image_free);
  if (!pixels || Size{static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height)} != header.size)
    return fail(broken());

  const std::uint64_t row_bytes = (std::uint64_t{header.size.width} * header.bits + 31) / 32 * 4;
  const bool whole = header.pixels + row_bytes * header.size.height <= file.size();
  return collect(header, whole, options, [&](std::uint32_t y, std::uint8_t* to) {
    const stbi_uc* from = pixels.get() + size_t{y} * header.size.width * 4;
    for (std::uint32_t x = 0; x < header.size.width; ++x, from += 4, to += 3) {
      const unsigned alpha = from[3];
      for (int c = 0; c < 3; ++c)
        to[c] = static_cast<std::uint8_t>((from[c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
  });
}

}  // namespace image_engine::media
