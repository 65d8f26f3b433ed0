#include "audio/word_times.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "core/text.h"

namespace image_engine::audio {
namespace {

constexpr std::ptrdiff_t kMedianReach = 3;  // frames at both sides: a median of 7

// Each head's weights of a frame, over the tokens, get mean 0 and deviation 1.
void normalise(Attention& attention) {
  const std::size_t plane = attention.tokens * attention.frames;
  for (std::size_t head = 0; head < attention.heads; ++head) {
    float* const weights = attention.weights.data() + head * plane;
    for (std::size_t frame = 0; frame < attention.frames; ++frame) {
      double sum = 0, squares = 0;
      for (std::size_t token = 0; token < attention.tokens; ++token) {
        const double weight = weights[token * attention.frames + frame];
        sum += weight;
        squares += weight * weight;
      }
      const auto count = static_cast<double>(attention.tokens);
      const double mean = sum / count;
      const double deviation = std::sqrt(std::max(squares / count - mean * mean, 1e-20));
      for (std::size_t token = 0; token < attention.tokens; ++token) {
        float& weight = weights[token * attention.frames + frame];
        weight = static_cast<float>((weight - mean) / deviation);
      }
    }
  }
}

// The median over 7 frames; at the ends the row is mirrored.
void smooth(std::span<const float> row, std::span<float> smoothed) {
  const auto count = static_cast<std::ptrdiff_t>(row.size());
  for (std::ptrdiff_t frame = 0; frame < count; ++frame) {
    std::array<float, 2 * kMedianReach + 1> near{};
    for (std::ptrdiff_t k = -kMedianReach; k <= kMedianReach; ++k) {
      std::ptrdiff_t at = std::abs(frame + k);
      if (at >= count) at = std::max<std::ptrdiff_t>(2 * (count - 1) - at, 0);
      near[static_cast<std::size_t>(k + kMedianReach)] = row[static_cast<std::size_t>(at)];
    }
    std::nth_element(near.begin(), near.begin() + kMedianReach, near.end());
    smoothed[static_cast<std::size_t>(frame)] = near[kMedianReach];
  }
}

// The mean over heads of rows from `first` on.
std::vector<float> mean_of_heads(const Attention& attention, std::size_t first) {
  const std::size_t rows = attention.tokens - first, frames = attention.frames;
  std::vector<float> mean(rows * frames), smoothed(frames);
  for (std::size_t head = 0; head < attention.heads; ++head)
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t at = (head * attention.tokens + first + row) * frames;
      smooth({attention.weights.data() + at, frames}, smoothed);
      for (std::size_t frame = 0; frame < frames; ++frame)
        mean[row * frames + frame] += smoothed[frame] / static_cast<float>(attention.heads);
    }
  return mean;
}

enum Step : std::uint8_t { kBoth, kRow, kFrame };

// The path of the largest sum from the first row and frame to the last ones; the frame at which it enters each row.
std::vector<std::size_t> warp(const std::vector<float>& matrix, std::size_t rows, std::size_t frames) {
  const std::size_t width = frames + 1;
  std::vector<float> cost((rows + 1) * width, std::numeric_limits<float>::infinity());
  std::vector<Step> steps((rows + 1) * width, kBoth);
  cost[0] = 0;
  for (std::size_t frame = 1; frame <= frames; ++frame)
    for (std::size_t row = 1; row <= rows; ++row) {
      const float both = cost[(row - 1) * width + frame - 1], by_row = cost[(row - 1) * width + frame],
                  by_frame = cost[row * width + frame - 1];
      const std::size_t at = row * width + frame;
      steps[at] = both < by_row && both < by_frame ? kBoth : by_row < both && by_row < by_frame ? kRow : kFrame;
      const float least = steps[at] == kBoth ? both : steps[at] == kRow ? by_row : by_frame;
      cost[at] = least - matrix[(row - 1) * frames + frame - 1];
    }
  std::vector<std::size_t> first(rows);
  for (std::size_t row = rows, frame = frames; row > 0;) {
    first[row - 1] = frame > 0 ? frame - 1 : 0;
    if (frame == 0) {
      --row;
      continue;
    }
    const Step step = steps[row * width + frame];
    row -= step != kFrame ? 1 : 0;
    frame -= step != kRow ? 1 : 0;
  }
  return first;
}

// Bytes that the character beginning with this one has; 0: it begins none.
std::size_t character_bytes(unsigned char first) {
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  return first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
}

// Whether the text ends within a character.
bool is_partial(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(text.size(), 4); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    return character_bytes(byte) > back;
  }
  return false;
}

// merge_punctuations() of OpenAI's whisper/timing.py has the same signs.
constexpr std::array<std::string_view, 7> kOpening = {"\"", "'", "“", "¿", "(", "[", "{"};
constexpr std::array<std::string_view, 17> kClosing = {"\"", "'", ".",  "。", ",", "，", "!", "！", "?",
                                                       "？", ":", "：", "”",  ")", "]",  "}", "、"};
constexpr std::array<std::string_view, 6> kSentenceEnds = {".", "。", "!", "！", "?", "？"};

bool is_one_of(std::span<const std::string_view> signs, std::string_view text) {
  return std::ranges::find(signs, text) != signs.end();
}

bool is_only_of(std::span<const std::string_view> signs, std::string_view text) {
  if (text.empty()) return false;
  while (!text.empty()) {
    const auto sign = std::ranges::find_if(signs, [&](std::string_view one) { return text.starts_with(one); });
    if (sign == signs.end()) return false;
    text.remove_prefix(sign->size());
  }
  return true;
}

struct Unit {
  SpokenWord word;
  std::size_t tokens = 0;
};

void append(Unit& unit, const Unit& next) {
  unit.word.text += next.word.text;
  unit.word.to = next.word.to;
  const auto count = static_cast<double>(unit.tokens + next.tokens);
  unit.word.confidence = (unit.word.confidence * static_cast<double>(unit.tokens) +
                          next.word.confidence * static_cast<double>(next.tokens)) /
                         count;
  unit.tokens += next.tokens;
}

// Tokens joined until they are whole characters.
std::vector<Unit> whole_characters(const WhisperTokens& tokens, std::span<const SpokenToken> spoken) {
  std::vector<Unit> units;
  bool is_open = false;
  for (const SpokenToken& token : spoken) {
    const Unit next{{std::string(tokens.text(token.id)), token.from, token.to, token.probability}, 1};
    if (is_open)
      append(units.back(), next);
    else
      units.push_back(next);
    is_open = is_partial(units.back().word.text);
  }
  return units;
}

std::vector<Unit> joined(std::vector<Unit> units, bool by_spaces) {
  std::vector<Unit> words;
  for (Unit& unit : units) {
    const std::string& text = unit.word.text;
    const bool begins = text.starts_with(' ') || words.empty() || is_only_of(kClosing, text);
    if (begins || !by_spaces)
      words.push_back(std::move(unit));
    else
      append(words.back(), unit);
  }
  return words;
}

void merge_punctuation(std::vector<Unit>& words) {
  std::vector<Unit> merged;
  for (Unit& word : words) {
    const bool closes = !merged.empty() && is_only_of(kClosing, word.word.text);
    const std::string_view before = merged.empty() ? std::string_view() : std::string_view(merged.back().word.text);
    const bool is_opened = before.starts_with(' ') && is_one_of(kOpening, before.substr(1));
    if (closes || is_opened) {
      // A sign has no time of its own.
      const SpokenWord times = is_opened ? word.word : merged.back().word;
      append(merged.back(), word);
      merged.back().word.from = times.from;
      merged.back().word.to = times.to;
    } else {
      merged.push_back(std::move(word));
    }
  }
  words = std::move(merged);
}

bool is_sentence_end(const std::string& text) {
  return std::ranges::any_of(kSentenceEnds, [&](std::string_view sign) { return text.ends_with(sign); });
}

// A word before or after a pause takes the pause's frames, too: at the ends of sentences words are at most twice as
// long as the median one.
void shorten(std::vector<Unit>& words) {
  std::vector<double> durations;
  for (const Unit& unit : words)
    if (unit.word.to > unit.word.from) durations.push_back(unit.word.to - unit.word.from);
  if (durations.empty()) return;
  const auto middle = durations.begin() + static_cast<std::ptrdiff_t>(durations.size() / 2);
  std::nth_element(durations.begin(), middle, durations.end());
  const double longest = 2 * std::min(*middle, 0.7);
  for (std::size_t i = 0; i < words.size(); ++i) {
    SpokenWord& word = words[i].word;
    if (word.to - word.from <= longest) continue;
    if (is_sentence_end(word.text))
      word.to = word.from + longest;
    else if (i == 0 || is_sentence_end(words[i - 1].word.text))
      word.from = word.to - longest;
  }
}

}  // namespace

std::vector<std::size_t> first_frames(const Attention& attention, std::size_t first) {
  if (first >= attention.tokens || attention.frames == 0 || attention.heads == 0) return {};
  Attention normalised = attention;
  normalise(normalised);
  return warp(mean_of_heads(normalised, first), attention.tokens - first, attention.frames);
}

std::vector<SpokenWord> words_of(const WhisperTokens& tokens, std::span<const SpokenToken> spoken,
                                 std::string_view language) {
  std::vector<Unit> units = joined(whole_characters(tokens, spoken), has_spaces(language));
  merge_punctuation(units);
  shorten(units);
  std::vector<SpokenWord> words;
  for (Unit& unit : units) {
    unit.word.text = to_utf8(unit.word.text);
    const bool has_text = unit.word.text.find_first_not_of(' ') != std::string::npos;
    if (has_text) words.push_back(std::move(unit.word));
  }
  return words;
}

namespace {

struct Bracket {
  std::string_view open, close;
};
constexpr std::array<Bracket, 9> kBrackets = {{{"[", "]"},
                                               {"(", ")"},
                                               {"{", "}"},
                                               {"*", "*"},
                                               {"♪", "♪"},
                                               {"♫", "♫"},
                                               {"（", "）"},
                                               {"【", "】"},
                                               {"「♪", "♪」"}}};
constexpr std::array<std::string_view, 2> kNotes = {"♪", "♫"};

}  // namespace

std::vector<SpokenWord> without_sounds(std::vector<SpokenWord> words) {
  std::string text;
  std::vector<std::size_t> begins;  // of each word in it
  for (const SpokenWord& word : words) {
    begins.push_back(text.size());
    text += word.text;
  }
  begins.push_back(text.size());
  std::vector<bool> dropped(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = std::string_view(text).substr(at);
    const auto bracket =
        std::ranges::find_if(kBrackets, [&](const Bracket& one) { return rest.starts_with(one.open); });
    // "sh*t" and "f***" are words; a bracket that is not closed hides nothing.
    const bool begins_word = at == 0 || text[at - 1] == ' ';
    const std::size_t end = bracket == kBrackets.end() || (bracket->open == "*" && !begins_word)
                                ? std::string_view::npos
                                : rest.find(bracket->close, bracket->open.size());
    if (end == std::string_view::npos) {
      ++at;
      continue;
    }
    const std::size_t until = at + end + bracket->close.size();
    std::fill(dropped.begin() + static_cast<std::ptrdiff_t>(at), dropped.begin() + static_cast<std::ptrdiff_t>(until),
              true);
    at = until;
  }
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i].text.clear();
    for (std::size_t at = begins[i]; at < begins[i + 1]; ++at)
      if (!dropped[at]) words[i].text += text[at];
  }
  std::erase_if(words, [](const SpokenWord& word) {
    std::string_view left = word.text;
    while (left.starts_with(' ')) left.remove_prefix(1);
    return left.empty() || is_only_of(kClosing, left) || is_only_of(kNotes, left);
  });
  return words;
}

}  // namespace image_engine::audio
