// Converts header text of any encoding to clean UTF-8.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "types/byte_view.h"
#include "types/metadata.h"

namespace image_engine::media {

inline constexpr size_t kMaxText = size_t{64} << 10;  // most bytes of a field

// Up to the first NUL, trimmed, capped at kMaxText; invalid UTF-8 is read as Latin-1.
std::string clean_text(std::string_view bytes);

// UTF-16 in `order` unless it has a byte-order mark, cleaned as above; lone surrogates become U+FFFD.
std::string clean_utf16(std::string_view bytes, ByteOrder order);

// EXIF's UserComment (Exif 2.32, 4.6.6): eight bytes that name the character code, then text. JIS is not read.
std::string clean_user_comment(std::string_view bytes, ByteOrder order);

// "2024:06:01 10:22:03", "2024-06-01T10:22:03.12+02:00", "2024-06", "Sat, 1 Jun 2024 10:22:03 GMT" and similar forms.
// Parts that are zero, blank or missing are unknown; a time of day that no clock has (hour 24, second 60) is unknown as
// a whole. nullopt without a year, for impossible dates and for other text.
std::optional<CaptureTime> parse_time(std::string_view text);

// "+02:00", "-0530", "Z", "GMT", "UTC" in minutes east of UTC.
std::optional<std::int32_t> parse_offset(std::string_view text);

// ISO 6709 annex H, "+48.1372+011.5755+520.000/", degrees only.
std::optional<Gps> parse_iso6709(std::string_view text);

// "10/600", "2.8", "-1": finite, or nullopt.
std::optional<double> parse_number(std::string_view text);

}  // namespace image_engine::media
