// The containers that a part of a video can be written to.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace image_engine {

enum class ClipFormat : std::uint8_t { kMp4, kMov, kMatroska, kWebm };

struct ClipFormatRow {
  ClipFormat format;
  std::string_view extension;
  const char* muxer;        // FFmpeg's name
  bool has_edit_list;       // players begin at any frame; otherwise at a key frame
  bool has_display_matrix;  // a turned picture stays upright
};
inline constexpr std::array kClipFormats{
    ClipFormatRow{ClipFormat::kMp4, ".mp4", "mp4", true, true},
    ClipFormatRow{ClipFormat::kMov, ".mov", "mov", true, true},
    ClipFormatRow{ClipFormat::kMatroska, ".mkv", "matroska", false, false},
    ClipFormatRow{ClipFormat::kWebm, ".webm", "webm", false, false},
};

// By a file's extension in lower case; nothing for others.
constexpr std::optional<ClipFormat> clip_format_of(std::string_view extension) {
  if (extension == ".m4v") return ClipFormat::kMp4;
  const auto* row = std::ranges::find(kClipFormats, extension, &ClipFormatRow::extension);
  return row == kClipFormats.end() ? std::nullopt : std::optional(row->format);
}

constexpr const ClipFormatRow& row_of(ClipFormat format) {
  return *std::ranges::find(kClipFormats, format, &ClipFormatRow::format);
}

}  // namespace image_engine
