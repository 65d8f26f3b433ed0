// Path patterns as in a .gitignore (gitignore(5)), on bytes, case-sensitive.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::scan {

// One pattern for a whole path: `*` and `?` do not match a slash, `[a-z]` and `[!a-z]` match one byte other than a
// slash, `**/` any number of folders, `/**` everything below; `\` makes the next byte literal. An unclosed `[` is
// literal. Matching takes at most pattern length × path length steps, whatever the bytes. Thread-safe.
class Glob {
 public:
  explicit Glob(std::string_view pattern);
  [[nodiscard]] bool matches(std::string_view path) const;

 private:
  enum class Kind : std::uint8_t { kByte, kAny, kSet, kStar, kEverything, kFolders };
  struct Token {
    Kind kind;
    unsigned char byte = 0;  // kByte
    std::uint32_t set = 0;   // kSet: index into sets_
  };
  size_t parse_set(std::string_view pattern, size_t at);
  [[nodiscard]] bool accepts(const Token& token, unsigned char byte) const;
  void enter(std::vector<bool>& states, size_t state) const;

  std::vector<Token> tokens_;
  std::vector<std::bitset<256>> sets_;
};

enum class Verdict : std::uint8_t { kUndecided, kMatched, kNegated };

// An ordered list of patterns; the last match decides. A pattern without a slash (except a trailing one) matches a name
// at any depth, one with a slash the path relative to the list's folder; a trailing slash matches folders only; a
// leading `!` negates.
class PatternList {
 public:
  static constexpr size_t kMaxPatternBytes = 1024;

  // Parses the lines of an ignore file, in UTF-8 or, with a byte-order mark, UTF-16. Ignores empty lines and those that
  // start with #; drops trailing spaces. Lines that add() rejects are skipped and counted in `refused`.
  static PatternList parse(std::string_view bytes, size_t* refused = nullptr);

  // kInvalidArgument for an empty pattern, one over kMaxPatternBytes, or one with a NUL.
  Status add(std::string_view pattern);

  // `path` is relative to the list's folder, without a leading slash.
  [[nodiscard]] Verdict check(std::string_view path, bool is_folder) const { return match(path, is_folder).verdict; }
  struct Match {
    Verdict verdict = Verdict::kUndecided;
    std::string_view pattern = {};  // the deciding pattern as given; lives as long as the list
  };
  [[nodiscard]] Match match(std::string_view path, bool is_folder) const;
  [[nodiscard]] bool empty() const { return rules_.empty(); }

 private:
  struct Rule {
    std::string text;
    Glob glob;
    bool negated;
    bool folders_only;
    bool names_only;  // matched against the last part of the path
  };
  std::vector<Rule> rules_;
};

}  // namespace image_engine::scan
