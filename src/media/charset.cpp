#include "media/charset.h"

#include <array>
#include <string_view>

#include "core/text.h"

namespace image_engine::media {
namespace {

using namespace std::string_view_literals;

constexpr char32_t kNoCharacter = 0xFFFD;

std::string from_utf16(std::string_view bytes, bool big_endian) {
  const auto unit = [&](size_t at) -> char32_t {
    const auto high = static_cast<unsigned char>(bytes[at + (big_endian ? 0 : 1)]);
    const auto low = static_cast<unsigned char>(bytes[at + (big_endian ? 1 : 0)]);
    return static_cast<char32_t>(high << 8 | low);
  };
  std::string text;
  for (size_t at = 0; at + 1 < bytes.size(); at += 2) {
    char32_t c = unit(at);
    const bool is_high = c >= 0xD800 && c < 0xDC00;
    const char32_t low = is_high && at + 3 < bytes.size() ? unit(at + 2) : 0;
    if (low >= 0xDC00 && low < 0xE000) {
      c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
      at += 2;
    } else if (c >= 0xD800 && c < 0xE000) {
      c = kNoCharacter;
    }
    if (c != 0) append_utf8(text, c);
  }
  return text;
}

std::string from_windows_1252(std::string_view bytes) {
  // 0x80…0x9F; 0: none.
  constexpr std::array<char16_t, 32> kUpper{0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                            0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017D, 0,
                                            0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                            0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};
  std::string text;
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    const char32_t c = value >= 0x80 && value < 0xA0 ? kUpper[value - 0x80] : value;
    if (value != 0) append_utf8(text, c != 0 ? c : kNoCharacter);
  }
  return text;
}

// UTF-16 without a mark: of its first characters nearly all are ASCII, whose other byte is zero.
bool has_zeros(std::string_view bytes, size_t first) {
  const std::string_view head = bytes.substr(0, 256);
  size_t zeros = 0, all = 0;
  for (size_t at = first; at < head.size(); at += 2) ++all, zeros += head[at] == '\0' ? 1 : 0;
  return all >= 4 && zeros * 10 >= all * 7;
}

// A few damaged bytes do not make UTF-8 another set.
bool is_mostly_utf8(std::string_view bytes) {
  constexpr size_t kGoodToBad = 9;
  size_t good = 0, bad = 0;
  while (!bytes.empty()) {
    const auto first = static_cast<unsigned char>(bytes.front());
    const char32_t c = take_character(bytes);
    if (first >= 0x80) ++(c == kNoCharacter && first != 0xEF ? bad : good);
  }
  return good >= bad * kGoodToBad;
}

}  // namespace

std::string utf8_of_text_file(Bytes file) {
  std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
  if (bytes.starts_with("\xFF\xFE"sv)) return from_utf16(bytes.substr(2), false);
  if (bytes.starts_with("\xFE\xFF"sv)) return from_utf16(bytes.substr(2), true);
  if (has_zeros(bytes, 1)) return from_utf16(bytes, false);
  if (has_zeros(bytes, 0)) return from_utf16(bytes, true);
  const bool is_marked = bytes.starts_with("\xEF\xBB\xBF"sv);
  if (is_marked) bytes.remove_prefix(3);
  if (!is_marked && !is_mostly_utf8(bytes)) return from_windows_1252(bytes);
  std::string text = to_utf8(bytes);
  std::erase(text, '\0');
  return text;
}

}  // namespace image_engine::media
