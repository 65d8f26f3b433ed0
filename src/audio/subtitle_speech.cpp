#include "audio/subtitle_speech.h"

#include <algorithm>
#include <array>
#include <utility>

#include "audio/characters.h"
#include "core/text.h"

namespace image_engine::audio {
namespace {

constexpr double kLongestCueSeconds = 7, kSecondsACharacter = 0.2;  // the longer of the two
constexpr double kShortestSeconds = 0.1;
constexpr double kRollingGap = 0.1;        // seconds between a cue and the one that repeats its line
constexpr std::size_t kRollingShare = 3;   // one of so many cues repeats a line where captions roll
constexpr std::size_t kLongestLabel = 30;  // characters

std::string without_brackets(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kBrackets{
      {{"[", "]"}, {"(", ")"}, {"{", "}"}, {"（", "）"}, {"【", "】"}}};
  std::string kept;
  std::array<bool, kBrackets.size()> has_ends;  // further on
  has_ends.fill(true);
  while (!text.empty()) {
    const auto* pair = std::ranges::find_if(kBrackets, [&](const auto& b) { return text.starts_with(b.first); });
    const auto at = static_cast<size_t>(pair - kBrackets.begin());
    size_t end = std::string_view::npos;
    if (at < kBrackets.size() && has_ends[at]) {
      end = text.find(pair->second);
      has_ends[at] = end != std::string_view::npos;
    }
    if (end != std::string_view::npos) {
      text.remove_prefix(end + pair->second.size());
      kept += ' ';
    } else {
      append_utf8(kept, take_character(text));
    }
  }
  return kept;
}

void skip(std::string_view& text, std::u32string_view characters) {
  while (!text.empty() && is_any_of(first_of(text), characters)) take_character(text);
}

// "JOHN: ", "MAN #2: "; its length, or 0.
size_t label_length(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || character_count(line.substr(0, colon)) > kLongestLabel) return 0;
  if (colon + 1 < line.size() && line[colon + 1] != ' ') return 0;
  const std::string_view label = line.substr(0, colon);
  const auto count = [&](char from, char to) {
    return std::ranges::count_if(label, [&](char c) { return c >= from && c <= to; });
  };
  return count('A', 'Z') >= 2 && count('a', 'z') == 0 ? colon + 1 : 0;
}

bool has_letters(std::string_view text) {
  constexpr std::u32string_view kSigns = U"…–—‐‑“”„‘’«»‹›¿¡、。！？・〜　・•·";
  while (!text.empty()) {
    const char32_t c = take_character(text);
    const bool is_ascii_letter = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 0x80);
    if (is_ascii_letter || (c >= 0xA0 && !is_any_of(c, kSigns))) return true;
  }
  return false;
}

// Words of a line, one space between two.
void add_words(std::string& text, std::string_view line) {
  while (!line.empty()) {
    skip(line, U" \t\r\u3000\u00A0");
    const size_t end = std::min(line.find_first_of(" \t\r"), line.size());
    const std::string_view word = line.substr(0, end);
    if (word.empty()) continue;
    if (!text.empty() && needs_space(text, word)) text += ' ';
    text += word;
    line.remove_prefix(end);
  }
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

using CueLines = std::vector<std::vector<std::string_view>>;

bool repeats(const std::vector<SubtitleCue>& cues, const CueLines& lines, size_t i) {
  return i > 0 && !lines[i].empty() && !lines[i - 1].empty() && cues[i].from <= cues[i - 1].to + kRollingGap &&
         lines[i].front() == lines[i - 1].back();
}

bool is_rolling(const std::vector<SubtitleCue>& cues, const CueLines& lines) {
  size_t repeated = 0;
  for (size_t i = 0; i < cues.size(); ++i) repeated += repeats(cues, lines, i) ? 1 : 0;
  return repeated >= 2 && repeated * kRollingShare >= cues.size();
}

}  // namespace

std::string spoken_text(std::string_view cue) {
  constexpr std::u32string_view kBeforeSpeakers = U" \t-–—‐‑>♪♫♬♩";
  const std::string kept = without_brackets(cue);
  std::string text;
  for (std::string_view line : split_lines(kept)) {
    skip(line, kBeforeSpeakers);
    line.remove_prefix(label_length(line));
    std::string without_notes;
    while (!line.empty())
      if (const char32_t c = take_character(line); !is_any_of(c, U"♪♫♬♩")) append_utf8(without_notes, c);
    add_words(text, without_notes);
  }
  return has_letters(text) ? text : "";
}

std::vector<SpeechSegment> speech_of_cues(const std::vector<SubtitleCue>& cues, const std::string& language) {
  CueLines lines;
  for (const SubtitleCue& cue : cues) lines.push_back(split_lines(cue.text));
  const bool rolling = is_rolling(cues, lines);
  std::vector<SpeechSegment> speech;
  for (size_t i = 0; i < cues.size(); ++i) {
    std::string_view text = cues[i].text;
    if (rolling && repeats(cues, lines, i)) text.remove_prefix(std::min(lines[i].front().size() + 1, text.size()));
    const std::string said = spoken_text(text);
    if (said.empty()) continue;
    const double most = std::max(kLongestCueSeconds, kSecondsACharacter * static_cast<double>(character_count(said)));
    const double from = cues[i].from, to = std::clamp(cues[i].to, from + kShortestSeconds, from + most);
    speech.push_back({from, to, language, 1, spread_words(said, from, to)});
  }
  return speech;
}

}  // namespace image_engine::audio
