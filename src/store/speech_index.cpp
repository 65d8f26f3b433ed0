#include "store/speech_index.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "core/text.h"
#include "store/asset_index.h"
#include "store/moments.h"
#include "store/rows.h"
#include "store/short_trigrams.h"

namespace image_engine::store {
namespace {

// About 1,000 hours of speech.
constexpr size_t kMostSpeech = size_t{50} << 20;

// One line of valid UTF-8 without control characters: NUL would end the text for some of SQLite's functions.
std::string speech_line(std::string_view text) {
  std::string line = to_utf8(text);
  std::ranges::replace_if(
      line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return line;
}

struct SpeechDocument {
  std::string said;
  std::vector<SegmentStart> segments;
};

// What an index says of the asset.
std::optional<std::pair<std::string, std::string>> indexed(Connection& c, std::string_view sql, AssetId asset) {
  auto row = c.query(sql, asset);
  if (!row.next()) return std::nullopt;
  return std::pair(row.bytes(0), row.bytes(1));
}

void put_if_new(Connection& c, const SpeechTable& table, AssetId asset, const SpeechDocument& document) {
  const std::string segments = segments_to_bytes(document.segments);
  const auto known = indexed(c, table.select, asset);
  if (known ? *known == std::pair(document.said, segments) : document.said.empty()) return;
  c.run(table.erase, asset);
  if (!document.said.empty()) c.run(table.insert, asset, document.said, Blob{segments});
}

}  // namespace

std::string segments_to_bytes(const std::vector<SegmentStart>& segments) {
  std::string bytes;
  bytes.reserve(segments.size() * 8);
  const auto put = [&](std::uint32_t number) {
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(number >> shift & 0xff);
  };
  for (const SegmentStart& segment : segments) {
    put(static_cast<std::uint32_t>(segment.moment));
    put(segment.start);
  }
  return bytes;
}

std::vector<SegmentStart> segments_from_bytes(std::string_view bytes) {
  std::vector<SegmentStart> segments;
  const auto number = [&](size_t at) {
    std::uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value |= std::uint32_t{static_cast<unsigned char>(bytes[at + i])} << 8 * i;
    return value;
  };
  for (size_t at = 0; at + 8 <= bytes.size(); at += 8) segments.push_back({number(at), number(at + 4)});
  return segments;
}

void refresh_speech(Connection& c, AssetId asset) {
  SpeechDocument words, unspaced;
  std::uint32_t tokens = 0;
  bool has_unspaced = false, was_unspaced = false;
  auto row = c.query(
      "SELECT t.moment, t.name FROM moment_things t JOIN moments m ON m.asset_id = t.asset_id AND m.moment = t.moment "
      "WHERE t.asset_id = ? AND t.field = ? ORDER BY m.from_seconds, t.moment",
      asset, text_field_name(TextField::kSaid));
  while (row.next()) {
    const std::string line = speech_line(row.bytes(1));
    if (words.said.size() + line.size() > kMostSpeech) break;
    words.segments.push_back({row.integer(0), tokens});
    words.said.append(words.said.empty() ? "" : "\n").append(line);
    c.tokenize(line, [&](std::string_view, int, int) { ++tokens; });
    // Without a space: scripts that have none are searched for anywhere.
    const bool is_unspaced = has_unspaced_script(line);
    if (!unspaced.said.empty() && !(is_unspaced && was_unspaced)) unspaced.said += '\n';
    was_unspaced = is_unspaced;
    unspaced.segments.push_back({row.integer(0), static_cast<std::uint32_t>(unspaced.said.size())});
    unspaced.said += line;
    has_unspaced = has_unspaced || is_unspaced;
  }
  if (has_unspaced)
    unspaced.said += kTrigramEnd;
  else
    unspaced = {};
  put_if_new(c, kSpeechWords, asset, words);
  put_if_new(c, kSpeechTrigrams, asset, unspaced);
}

void erase_speech(Connection& c, AssetId asset) {
  c.run(kSpeechWords.erase, asset);
  c.run(kSpeechTrigrams.erase, asset);
}

}  // namespace image_engine::store
