#include "cli/canvas.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "core/file.h"
#include "core/text.h"

#define STB_TRUETYPE_IMPLEMENTATION
#define STBTT_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb/stb_image_write.h>
#include <stb/stb_truetype.h>
#pragma GCC diagnostic pop

namespace image_engine::cli {
namespace {

constexpr std::size_t kLargestFont = std::size_t{64} << 20;
constexpr int kJpegQuality = 92;
constexpr const char* kFonts[] = {
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",    // Debian, Ubuntu
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",  // Fedora
    "/usr/share/fonts/TTF/DejaVuSans.ttf",                // Arch
    "/usr/share/fonts/dejavu/DejaVuSans.ttf",             // Alpine
};

void append(void* context, void* data, int size) {
  auto& bytes = *static_cast<std::vector<std::byte>*>(context);
  const auto* from = static_cast<const std::byte*>(data);
  bytes.insert(bytes.end(), from, from + size);
}

// The whole pixels that a span covers, within 0…size; none for NaN.
struct Pixels {
  std::int64_t from = 0, to = 0;
};
Pixels pixels(float from, float to, std::uint32_t size) {
  if (!(from <= to)) return {};
  const auto limit = static_cast<float>(size);
  return {static_cast<std::int64_t>(std::floor(std::clamp(from, 0.0F, limit))),
          static_cast<std::int64_t>(std::ceil(std::clamp(to, 0.0F, limit)))};
}

}  // namespace

struct Font::Data {
  std::string bytes;  // that `info` points into
  stbtt_fontinfo info{};
  int ascent = 0, descent = 0;

  [[nodiscard]] float scale(float height) const { return height / static_cast<float>(std::max(1, ascent - descent)); }
  // Calls back with each glyph and its position in the line, in pixels; returns the line's width.
  template <typename See>
  float each(std::string_view text, float height, See see) const {
    const std::string valid = to_utf8(text);
    float x = 0;
    for (std::string_view rest = valid; !rest.empty();) {
      const int glyph = stbtt_FindGlyphIndex(&info, static_cast<int>(take_character(rest)));
      see(glyph, x);
      int advance = 0, bearing = 0;
      stbtt_GetGlyphHMetrics(&info, glyph, &advance, &bearing);
      x += scale(height) * static_cast<float>(advance);
    }
    return x;
  }
};

Result<Font> Font::open() {
  std::vector<std::string> paths(std::begin(kFonts), std::end(kFonts));
  if (const char* named = std::getenv("IMAGE_ENGINE_FONT"); named != nullptr && *named != '\0') paths = {named};
  for (const std::string& path : paths) {
    Result<std::string> bytes = read_file(path, kLargestFont);
    if (!bytes) continue;
    auto data = std::make_shared<Font::Data>();
    data->bytes = std::move(*bytes);
    // A table directory has 12 bytes; the library checks the rest.
    const auto* begin = reinterpret_cast<const unsigned char*>(data->bytes.data());
    const int offset = data->bytes.size() < 12 ? -1 : stbtt_GetFontOffsetForIndex(begin, 0);
    if (offset < 0 || stbtt_InitFont(&data->info, begin, offset) == 0)
      return fail(ErrorCode::kCorrupt, printable(path) + " is not a TrueType font");
    int gap = 0;
    stbtt_GetFontVMetrics(&data->info, &data->ascent, &data->descent, &gap);
    Font font;
    font.data_ = std::move(data);
    return font;
  }
  return fail(ErrorCode::kNotFound, paths.size() == 1 ? printable(paths[0]) + " cannot be read"
                                                      : "there is no font: install DejaVu Sans (fonts-dejavu-core), "
                                                        "or name a TrueType file as IMAGE_ENGINE_FONT");
}

float Font::width(std::string_view text, float height) const {
  return data_->each(text, height, [](int, float) {});
}

Canvas::Canvas(const ImageView& picture)
    : image_{picture.width, picture.height, {picture.pixels.begin(), picture.pixels.end()}} {}

void Canvas::blend(std::int64_t x, std::int64_t y, Colour colour, float opacity) {
  if (x < 0 || y < 0 || x >= image_.width || y >= image_.height) return;
  std::uint8_t* pixel = image_.pixels.data() + static_cast<std::size_t>(y) * image_.row_bytes() + x * 3;
  const std::uint8_t wanted[] = {colour.red, colour.green, colour.blue};
  for (int i = 0; i < 3; ++i) {
    const auto old = static_cast<float>(pixel[i]);
    pixel[i] = static_cast<std::uint8_t>(old + (static_cast<float>(wanted[i]) - old) * opacity + 0.5F);
  }
}

void Canvas::paste(const ImageView& picture, std::uint32_t left, std::uint32_t top) {
  if (left >= image_.width || top >= image_.height) return;
  const std::size_t bytes = std::size_t{std::min(picture.width, image_.width - left)} * 3;
  for (std::uint32_t y = 0; y < std::min(picture.height, image_.height - top); ++y)
    std::copy_n(
        picture.pixels.begin() + static_cast<std::ptrdiff_t>(std::size_t{y} * picture.width * 3), bytes,
        image_.pixels.begin() + static_cast<std::ptrdiff_t>((top + y) * image_.row_bytes() + std::size_t{left} * 3));
}

void Canvas::line(Spot from, Spot to, float width, Colour colour) {
  const float reach = width / 2 + 0.5F;
  const Pixels across = pixels(std::min(from.x, to.x) - reach, std::max(from.x, to.x) + reach, image_.width);
  const Pixels down = pixels(std::min(from.y, to.y) - reach, std::max(from.y, to.y) + reach, image_.height);
  const float dx = to.x - from.x, dy = to.y - from.y;
  const float length = dx * dx + dy * dy;
  if (!std::isfinite(length)) return;
  for (std::int64_t y = down.from; y < down.to; ++y)
    for (std::int64_t x = across.from; x < across.to; ++x) {
      const float px = static_cast<float>(x) + 0.5F - from.x, py = static_cast<float>(y) + 0.5F - from.y;
      const float along = length > 0 ? std::clamp((px * dx + py * dy) / length, 0.0F, 1.0F) : 0;
      const float distance = std::hypot(px - along * dx, py - along * dy);
      if (distance < reach) blend(x, y, colour, std::min(1.0F, reach - distance));
    }
}

void Canvas::fill(const Box& box, Colour colour, float opacity) {
  const Pixels across = pixels(box.x, box.x + box.width, image_.width);
  const Pixels down = pixels(box.y, box.y + box.height, image_.height);
  for (std::int64_t y = down.from; y < down.to; ++y)
    for (std::int64_t x = across.from; x < across.to; ++x) blend(x, y, colour, opacity);
}

void Canvas::tint(const vision::Mask& mask, Colour colour, float opacity) {
  for (std::uint32_t y = 0; y < image_.height; ++y)
    for (std::uint32_t x = 0; x < image_.width; ++x) {
      const std::uint64_t column = std::uint64_t{x} * mask.width / image_.width,
                          row = std::uint64_t{y} * mask.height / image_.height;
      if (mask.pixels[row * mask.width + column] != 0) blend(x, y, colour, opacity);
    }
}

void Canvas::write(const Font& font, Spot at, std::string_view text, float height, Colour colour) {
  if (!std::isfinite(at.x) || !std::isfinite(at.y)) return;
  const Font::Data& data = *font.data_;
  const float scale = data.scale(height);
  const float baseline = std::round(at.y + scale * static_cast<float>(data.ascent));
  std::vector<unsigned char> coverage;
  data.each(text, height, [&](int glyph, float x) {
    const float left = at.x + x;
    if (!(left > -height && left < static_cast<float>(image_.width))) return;
    const float whole = std::floor(left);
    int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
    stbtt_GetGlyphBitmapBoxSubpixel(&data.info, glyph, scale, scale, left - whole, 0, &x0, &y0, &x1, &y1);
    const int glyph_width = x1 - x0, glyph_height = y1 - y0;
    const auto most = static_cast<int>(8 * height);  // valid fonts need far less
    if (glyph_width <= 0 || glyph_height <= 0 || glyph_width > most || glyph_height > most) return;
    coverage.assign(static_cast<std::size_t>(glyph_width) * static_cast<std::size_t>(glyph_height), 0);
    stbtt_MakeGlyphBitmapSubpixel(&data.info, coverage.data(), glyph_width, glyph_height, glyph_width, scale, scale,
                                  left - whole, 0, glyph);
    for (int row = 0; row < glyph_height; ++row)
      for (int column = 0; column < glyph_width; ++column)
        blend(static_cast<std::int64_t>(whole) + x0 + column, static_cast<std::int64_t>(baseline) + y0 + row, colour,
              static_cast<float>(coverage[static_cast<std::size_t>(row * glyph_width + column)]) / 255);
  });
}

Result<std::vector<std::byte>> Canvas::png() const {
  std::vector<std::byte> bytes;
  if (stbi_write_png_to_func(append, &bytes, static_cast<int>(image_.width), static_cast<int>(image_.height), 3,
                             image_.pixels.data(), static_cast<int>(image_.row_bytes())) == 0)
    return fail(ErrorCode::kInternal, "the drawing cannot be written as PNG");
  return bytes;
}

Result<std::vector<std::byte>> Canvas::jpeg() const {
  std::vector<std::byte> bytes;
  if (stbi_write_jpg_to_func(append, &bytes, static_cast<int>(image_.width), static_cast<int>(image_.height), 3,
                             image_.pixels.data(), kJpegQuality) == 0)
    return fail(ErrorCode::kInternal, "the drawing cannot be written as JPEG");
  return bytes;
}

}  // namespace image_engine::cli
