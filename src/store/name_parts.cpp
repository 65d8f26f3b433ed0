#include "store/name_parts.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>

namespace image_engine::store {
namespace {

enum class Letter : std::uint8_t { kNone, kDigit, kSmall, kCapital };

// Letters of other scripts count as small ones.
Letter letter_of(char c) {
  if (c >= '0' && c <= '9') return Letter::kDigit;
  if (c >= 'A' && c <= 'Z') return Letter::kCapital;
  return (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80 ? Letter::kSmall : Letter::kNone;
}

// Whether a part begins at `at` > 0 of the word.
bool begins_part(std::string_view word, size_t at) {
  const Letter before = letter_of(word[at - 1]), here = letter_of(word[at]);
  if ((before == Letter::kDigit) != (here == Letter::kDigit)) return true;
  if (here != Letter::kCapital) return false;
  // "HDRPhoto": HDR, Photo.
  return before == Letter::kSmall || (at + 1 < word.size() && letter_of(word[at + 1]) == Letter::kSmall);
}

class Parts {
 public:
  void add_word(std::string_view word) {
    for (size_t from = 0; from < word.size();) {
      size_t to = from + 1;
      while (to < word.size() && !begins_part(word, to)) ++to;
      const std::string_view part = word.substr(from, to - from);
      if (part != word) add(part);
      if (part.front() == '0') add(part.substr(std::min(part.find_first_not_of('0'), part.size())));
      from = to;
    }
  }
  std::string text;

 private:
  void add(std::string_view part) {
    if (part.size() < 2 || !known_.insert(part).second) return;
    if (!text.empty()) text += ' ';
    text += part;
  }
  std::set<std::string_view> known_;
};

}  // namespace

std::string name_parts(std::string_view path) {
  const size_t folder = path.rfind('/') + 1;  // 0 without one
  path = path.substr(0, folder + std::min(path.substr(folder).rfind('.'), path.size() - folder));
  Parts parts;
  for (size_t at = 0; at < path.size();) {
    size_t end = at;
    while (end < path.size() && letter_of(path[end]) != Letter::kNone) ++end;
    parts.add_word(path.substr(at, end - at));
    at = end + 1;
  }
  return std::move(parts.text);
}

}  // namespace image_engine::store
