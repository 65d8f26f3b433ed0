#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "media/decoders.h"
#include "media/metadata_readers.h"

namespace image_engine::media {
namespace {

// Values of `compression` (Windows GDI). OS/2's own 3 and 4, JPEG and PNG inside a BMP are not read.
constexpr std::uint32_t kPlain = 0, kRle8 = 1, kRle4 = 2, kFields = 3, kAlphaFields = 6;
constexpr std::uint32_t kFile = 14, kCore = 12, kInfo = 40, kOs2 = 64;  // sizes of headers

struct Header {
  Size size;
  std::uint32_t bytes = 0;  // of the header behind the file's own: says which one it is
  bool is_top_down = false;
  std::uint32_t bits = 0;  // a pixel
  std::uint32_t compression = kPlain;
  std::uint32_t colours = 0;             // of the palette; 0: as many as the bits allow
  std::uint64_t pixels = 0;              // their offset
  std::array<std::uint32_t, 4> masks{};  // of red, green, blue, alpha in a pixel of 16 or 32 bits
};

// BITMAPFILEHEADER and the fields that BITMAPCOREHEADER, BITMAPINFOHEADER, Photoshop's with 52 and 56 bytes, V4 and V5
// agree on.
Header read_header(Bytes file) {
  const ByteView view(file, ByteOrder::kLittle);
  Header header;
  header.pixels = view.u32(10);
  header.bytes = view.u32(kFile);
  if (header.bytes == kCore) {
    header.size = {view.u16(18), view.u16(20)};
    header.bits = view.u16(24);
    return header;
  }
  const auto height = static_cast<std::int64_t>(static_cast<std::int32_t>(view.u32(22)));  // negative: top row first
  header.is_top_down = height < 0;
  header.size = {view.u32(18), static_cast<std::uint32_t>(height < 0 ? -height : height)};
  header.bits = view.u16(28);
  if (header.bytes < kInfo) return header;
  header.compression = view.u32(30);
  header.colours = view.u32(46);
  if (header.compression == kFields || header.compression == kAlphaFields) {
    const bool has_alpha = header.bytes >= 56 || header.compression == kAlphaFields;
    for (unsigned i = 0; i < (has_alpha ? 4 : 3); ++i) header.masks[i] = view.u32(kFile + kInfo + i * 4);
  } else if (header.bits == 16) {
    header.masks = {0x7C00, 0x3E0, 0x1F, 0};
  } else if (header.bits == 32) {
    header.masks = {0xFF0000, 0xFF00, 0xFF, 0};
  }
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

using Rgb = std::array<std::uint8_t, 3>;

// Blue, green, red and, but for the oldest header, an unused byte per colour, after the header.
std::array<Rgb, 256> read_palette(ByteView view, const Header& header) {
  const std::uint32_t most = 1U << header.bits, step = header.bytes == kCore ? 3 : 4;
  const std::uint64_t start = std::uint64_t{kFile} + header.bytes;
  std::array<Rgb, 256> palette{};
  for (std::uint32_t i = 0; i < (header.colours == 0 ? most : std::min(header.colours, most)); ++i)
    for (unsigned c = 0; c < 3; ++c) palette[i][c] = view.u8(start + std::uint64_t{i} * step + 2 - c);
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

// Rows of pixels that are stored as they are, without compression.
class PlainRows {
 public:
  PlainRows(Bytes file, const Header& header)
      : view_(file, ByteOrder::kLittle),
        header_(header),
        row_bytes_((std::uint64_t{header.size.width} * header.bits + 31) / 32 * 4) {
    if (header.bits <= 8) palette_ = read_palette(view_, header);
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      const std::uint32_t mask = header.masks[i];
      fields_[i] = {mask, std::countr_zero(mask), mask == 0 ? 0 : mask >> std::countr_zero(mask)};
    }
    has_alpha_ = fields_[3].mask != 0 && has_alpha();
  }
  [[nodiscard]] bool is_whole() const { return view_.has(header_.pixels, row_bytes_ * header_.size.height); }

  // Row y from the top, as RGB over white; what lies beyond the file's end is black.
  void write(std::uint32_t y, std::uint8_t* to) const {
    const std::uint64_t at = row_at(y);
    if (!view_.has(at, 1)) {
      std::fill_n(to, std::size_t{header_.size.width} * 3, std::uint8_t{0});
      return;
    }
    for (std::uint32_t x = 0; x < header_.size.width; ++x, to += 3) {
      const Rgb pixel = header_.bits <= 8 ? palette_[index(at, x)]
                        : header_.bits == 24
                            ? Rgb{view_.u8(at + x * 3U + 2), view_.u8(at + x * 3U + 1), view_.u8(at + x * 3U)}
                            : by_masks(sample(at, x));
      std::copy(pixel.begin(), pixel.end(), to);
    }
  }

 private:
  struct Field {
    std::uint32_t mask = 0;
    int shift = 0;
    std::uint64_t most = 0;  // 0: the field is missing
    [[nodiscard]] unsigned of(std::uint32_t pixel, unsigned otherwise) const {
      return most == 0 ? otherwise : static_cast<unsigned>((((pixel & mask) >> shift) * 255ULL + most / 2) / most);
    }
  };

  [[nodiscard]] std::uint64_t row_at(std::uint32_t y) const {
    return header_.pixels + row_bytes_ * (header_.is_top_down ? y : header_.size.height - 1 - y);
  }
  [[nodiscard]] std::uint8_t index(std::uint64_t row, std::uint32_t x) const {
    const std::uint64_t bit = std::uint64_t{x} * header_.bits;
    return static_cast<std::uint8_t>(view_.u8(row + bit / 8) >> (8 - header_.bits - bit % 8) &
                                     ((1U << header_.bits) - 1));
  }
  [[nodiscard]] std::uint32_t sample(std::uint64_t row, std::uint32_t x) const {
    return header_.bits == 16 ? view_.u16(row + x * 2ULL) : view_.u32(row + x * 4ULL);
  }
  [[nodiscard]] Rgb by_masks(std::uint32_t pixel) const {
    const unsigned alpha = has_alpha_ ? fields_[3].of(pixel, 255) : 255;
    Rgb rgb{};
    for (std::size_t c = 0; c < 3; ++c)
      rgb[c] = static_cast<std::uint8_t>((fields_[c].of(pixel, 0) * alpha + 255 * (255 - alpha) + 127) / 255);
    return rgb;
  }
  // Many programs name a mask for alpha and leave it zero everywhere.
  [[nodiscard]] bool has_alpha() const {
    for (std::uint32_t y = 0; y < header_.size.height; ++y)
      for (std::uint32_t x = 0; x < header_.size.width; ++x)
        if ((sample(row_at(y), x) & fields_[3].mask) != 0) return true;
    return false;
  }

  ByteView view_;
  const Header& header_;
  std::uint64_t row_bytes_;
  std::array<Rgb, 256> palette_{};
  std::array<Field, 4> fields_{};
  bool has_alpha_ = false;
};

// Whether PlainRows reads it.
bool is_plain_bitmap(const Header& header) {
  const bool by_fields = header.compression == kFields || header.compression == kAlphaFields;
  if (by_fields)
    return header.bytes != kOs2 && (header.bits == 16 || header.bits == 32) && header.masks[0] != header.masks[1];
  constexpr std::array<std::uint32_t, 7> kBits{1, 2, 4, 8, 16, 24, 32};
  return header.compression == kPlain && std::ranges::find(kBits, header.bits) != kBits.end();
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
  if (header.compression == kRle8 || header.compression == kRle4) return decode_runs(file, header, options);
  if (!is_plain_bitmap(header))
    return fail(ErrorCode::kUnsupported, "BMP with compression " + std::to_string(header.compression) + " and " +
                                             std::to_string(header.bits) + " bits a pixel is not read");
  if (!ByteView(file).has(header.pixels, 1)) return fail(broken());
  const PlainRows rows(file, header);
  return collect(header, rows.is_whole(), options, [&](std::uint32_t y, std::uint8_t* to) { rows.write(y, to); });
}

}  // namespace image_engine::media
