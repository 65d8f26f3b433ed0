#include "types/passages.h"

#include <algorithm>

#include "core/text.h"

namespace image_engine {
namespace {

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, begins_character));
}

}  // namespace

std::vector<Passage> passages_of(std::span<const SpeechSegment> segments) {
  std::vector<Passage> passages;
  std::size_t length = 0;  // of the last passage, in characters
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const SpeechSegment& segment = segments[i];
    const std::string text = segment.text();
    if (text.empty()) continue;
    const std::size_t more = 1 + characters(text);
    const bool fits = !passages.empty() && segment.from - passages.back().to < kLongestPause &&
                      segment.to - passages.back().from <= kLongestPassage && length + more <= kMostCharacters &&
                      i - passages.back().first < kMostSegments;
    if (!fits) {
      passages.push_back({i, segment.from, segment.to, text});
      length = more - 1;
      continue;
    }
    Passage& passage = passages.back();
    passage.text += " " + text;
    passage.to = std::max(passage.to, segment.to);
    length += more;
  }
  return passages;
}

}  // namespace image_engine
