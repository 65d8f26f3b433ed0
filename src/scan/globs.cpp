#include "scan/globs.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"

namespace image_engine::scan {

Glob::Glob(std::string_view pattern) {
  size_t at = 0;
  while (at < pattern.size()) {
    const auto byte = static_cast<unsigned char>(pattern[at]);
    const bool starts_part = at == 0 || pattern[at - 1] == '/';
    if (byte == '*') {
      const size_t end = std::min(pattern.find_first_not_of('*', at), pattern.size());
      const bool whole_part = end - at >= 2 && starts_part && (end == pattern.size() || pattern[end] == '/');
      tokens_.push_back({!whole_part ? Kind::kStar : end == pattern.size() ? Kind::kEverything : Kind::kFolders});
      at = tokens_.back().kind == Kind::kFolders ? end + 1 : end;
    } else if (byte == '?') {
      tokens_.push_back({Kind::kAny});
      ++at;
    } else if (const size_t end = byte == '[' ? parse_set(pattern, at) : at; end != at) {
      at = end;
    } else {
      if (byte == '\\' && at + 1 < pattern.size()) ++at;
      tokens_.push_back({Kind::kByte, static_cast<unsigned char>(pattern[at])});
      ++at;
    }
  }
}

// Adds the token of the set that starts at pattern[at] and returns the position after it; `at` if it is unclosed.
size_t Glob::parse_set(std::string_view pattern, size_t at) {
  const size_t start = at++;
  const bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
  if (negated) ++at;
  std::bitset<256> set;
  const auto take = [&] {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
    return static_cast<unsigned char>(pattern[at++]);
  };
  for (bool first = true; at < pattern.size() && (first || pattern[at] != ']'); first = false) {
    const unsigned low = take();
    unsigned high = low;
    if (at + 1 < pattern.size() && pattern[at] == '-' && pattern[at + 1] != ']') {
      ++at;
      high = take();
    }
    for (unsigned byte = low; byte <= high; ++byte) set.set(byte);
  }
  if (at >= pattern.size()) return start;
  if (negated) set.flip();
  set.reset('/');
  tokens_.push_back({Kind::kSet, 0, static_cast<std::uint32_t>(sets_.size())});
  sets_.push_back(set);
  return at + 1;
}

bool Glob::accepts(const Token& token, unsigned char byte) const {
  switch (token.kind) {
    case Kind::kByte:
      return byte == token.byte;
    case Kind::kSet:
      return sets_[token.set].test(byte);
    case Kind::kAny:
    case Kind::kStar:
      return byte != '/';
    case Kind::kEverything:
    case Kind::kFolders:
      return true;
  }
  return false;
}

// Tokens that may match nothing also activate the next state.
void Glob::enter(std::vector<bool>& states, size_t state) const {
  states[state] = true;
  while (state < tokens_.size() && tokens_[state].kind >= Kind::kStar) states[++state] = true;
}

// A nondeterministic automaton with one state before each token: every byte of the path is read once.
bool Glob::matches(std::string_view path) const {
  std::vector<bool> states(tokens_.size() + 1);
  std::vector<bool> next(tokens_.size() + 1);
  enter(states, 0);
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    next.assign(next.size(), false);
    bool alive = false;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (!states[i] || !accepts(tokens_[i], byte)) continue;
      alive = true;
      switch (tokens_[i].kind) {
        case Kind::kByte:
        case Kind::kAny:
        case Kind::kSet:
          enter(next, i + 1);
          break;
        case Kind::kStar:
        case Kind::kEverything:
          enter(next, i);
          break;
        case Kind::kFolders:
          next[i] = true;
          if (byte == '/') enter(next, i + 1);
          break;
      }
    }
    if (!alive) return false;
    states.swap(next);
  }
  return states.back();
}

namespace {

constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF", kUtf16Little = "\xFF\xFE", kUtf16Big = "\xFE\xFF";

// A lone surrogate becomes U+FFFD; half a unit at the end is dropped.
std::string utf8_of_utf16(std::string_view bytes, bool big_endian) {
  const auto unit = [&](size_t at) -> std::uint32_t {
    if (at + 1 >= bytes.size()) return 0;
    const auto first = static_cast<unsigned char>(bytes[at]), second = static_cast<unsigned char>(bytes[at + 1]);
    return big_endian ? first << 8U | second : second << 8U | first;
  };
  std::string text;
  for (size_t at = 0; at + 1 < bytes.size(); at += 2) {
    const std::uint32_t high = unit(at), low = unit(at + 2);
    if (high < 0xD800 || high > 0xDFFF) {
      append_utf8(text, high);
    } else if (high < 0xDC00 && low >= 0xDC00 && low <= 0xDFFF) {
      append_utf8(text, 0x10000 + ((high - 0xD800) << 10 | (low - 0xDC00)));
      at += 2;
    } else {
      append_utf8(text, 0xFFFD);
    }
  }
  return text;
}

// The encodings of Notepad and similar editors: UTF-8 with a byte-order mark, "Unicode" and "Unicode big endian".
std::string ignore_text(std::string_view bytes) {
  if (bytes.starts_with(kUtf8Mark)) return std::string(bytes.substr(kUtf8Mark.size()));
  const bool big_endian = bytes.starts_with(kUtf16Big);
  if (!big_endian && !bytes.starts_with(kUtf16Little)) return std::string(bytes);
  return utf8_of_utf16(bytes.substr(kUtf16Big.size()), big_endian);
}

}  // namespace

PatternList PatternList::parse(std::string_view bytes, size_t* refused) {
  PatternList list;
  const std::string decoded = ignore_text(bytes);
  std::string_view text = decoded;
  if (refused) *refused = 0;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    while (line.ends_with(' ') && !line.ends_with("\\ ")) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    if (!list.add(line) && refused) ++*refused;
  }
  return list;
}

Status PatternList::add(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes)
    return fail(ErrorCode::kInvalidArgument, fmt::format("a pattern is longer than {} bytes", kMaxPatternBytes));
  if (pattern.find('\0') != std::string_view::npos)
    return fail(ErrorCode::kInvalidArgument, "a pattern contains a NUL: save the file as UTF-8");
  const std::string text(pattern);
  const bool negated = pattern.starts_with('!');
  if (negated) pattern.remove_prefix(1);
  const bool folders_only = pattern.ends_with('/');
  if (folders_only) pattern.remove_suffix(1);
  const bool names_only = pattern.find('/') == std::string_view::npos;
  if (pattern.starts_with('/')) pattern.remove_prefix(1);
  if (pattern.empty()) return fail(ErrorCode::kInvalidArgument, "a pattern is empty");
  rules_.push_back({text, Glob(pattern), negated, folders_only, names_only});
  return {};
}

PatternList::Match PatternList::match(std::string_view path, bool is_folder) const {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (rule->folders_only && !is_folder) continue;
    if (rule->glob.matches(rule->names_only ? name : path))
      return {rule->negated ? Verdict::kNegated : Verdict::kMatched, rule->text};
  }
  return {};
}

}  // namespace image_engine::scan
