#include "search/grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/text.h"

namespace image_engine::search {
namespace {

enum class PieceKind : std::uint8_t { kTerm, kOr, kNot, kOpen, kClose, kEnd };

struct Piece {
  PieceKind kind = PieceKind::kEnd;
  Term term = {};
};

// Length of the blank at the front of `text`: ASCII white space, or U+3000, which East Asian keyboards type.
size_t blank_size(std::string_view text) {
  constexpr std::string_view kIdeographicSpace = "\xE3\x80\x80";
  if (text.starts_with(kIdeographicSpace)) return kIdeographicSpace.size();
  return !text.empty() && std::string_view(" \t\r\n\v\f").find(text[0]) != std::string_view::npos ? 1 : 0;
}

bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_of_word(char c) {
  return static_cast<unsigned char>(c) >= 0x80 || is_ascii_letter(c) || (c >= '0' && c <= '9');
}

tl::unexpected<Error> wrong(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

// Operators of other search programs, with what to write here.
struct Unknown {
  std::string_view sign, advice;
};
constexpr Unknown kUnknownWords[] = {
    {"AND", "fields beside each other must all hold; quote a word that must be there"},
    {"XOR", "write (a NOT b) OR (b NOT a)"},
    {"NEAR", "words next to each other are quoted; near: is a place"},
    {"&&", "fields beside each other must all hold; quote a word that must be there"},
    {"||", "write OR or |"},
};
constexpr Unknown kUnknownPrefixes[] = {
    {"+", "quote a word that must be there"},
    {"!", "write NOT or -"},
    {"~", "words of four letters and more find longer ones, too"},
};
// After a word and before nothing but a number.
constexpr Unknown kUnknownSuffixes[] = {
    {"^", "words have no weights"},
    {"~", "words of four letters and more find longer ones, too, and others are named where little is found"},
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : rest_(text) {}

  Result<Piece> next() {
    while (const size_t blank = blank_size(rest_)) rest_.remove_prefix(blank);
    if (rest_.empty()) return Piece{};
    if (take('|')) return rest_.starts_with('|') ? Result<Piece>(unknown(kUnknownWords[4])) : Piece{PieceKind::kOr};
    if (take('(')) return Piece{PieceKind::kOpen};
    if (take(')')) return Piece{PieceKind::kClose};
    if (rest_.starts_with("-(")) {
      rest_.remove_prefix(1);
      return Piece{PieceKind::kNot};
    }
    for (const Unknown& prefix : kUnknownPrefixes)
      if (rest_.starts_with(prefix.sign) && rest_.size() > 1 && is_of_word(rest_[1])) return unknown(prefix);
    return take_term();
  }

 private:
  static tl::unexpected<Error> unknown(const Unknown& sign) {
    return wrong(
        fmt::format("there is no such operator as {}: {}, or quote it to search for it", sign.sign, sign.advice));
  }

  static bool ends_with_sign(std::string_view word, std::string_view sign) {
    const size_t last = word.find_last_not_of("0123456789.");
    return last != std::string_view::npos && last > 0 && word.substr(last, 1) == sign && is_of_word(word[last - 1]);
  }

  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  Result<Piece> take_term() {
    Piece piece{PieceKind::kTerm};
    Term& term = piece.term;
    if (rest_.size() > 1 && rest_[0] == '-' && blank_size(rest_.substr(1)) == 0) {
      term.negated = true;
      rest_.remove_prefix(1);
    }
    take_field(term);
    if (!term.field.empty() && rest_.starts_with('('))
      return wrong(fmt::format("{0}: takes one value: write ({0}:a OR {0}:b)", term.field));
    take_value(term);
    if (term.quoted) return piece;
    if (term.field.empty() && !term.negated) {
      if (term.value == "OR") return Piece{PieceKind::kOr};
      if (term.value == "NOT") return Piece{PieceKind::kNot};
      for (const Unknown& word : kUnknownWords)
        if (term.value == word.sign) return unknown(word);
      for (const Unknown& suffix : kUnknownSuffixes)
        if (ends_with_sign(term.value, suffix.sign)) return unknown(suffix);
    }
    IE_CHECK(check_wildcards(term.value));
    return piece;
  }

  // ASCII letters followed by a colon; anything else ("12:30") is a word.
  void take_field(Term& term) {
    const auto end = std::ranges::find_if_not(rest_, is_ascii_letter);
    if (end == rest_.begin() || end == rest_.end() || *end != ':') return;
    const auto size = static_cast<size_t>(end - rest_.begin());
    term.field = rest_.substr(0, size);
    rest_.remove_prefix(size + 1);
  }

  void take_value(Term& term) {
    if (rest_.starts_with('"')) {
      rest_.remove_prefix(1);
      const size_t end = std::min(rest_.find('"'), rest_.size());  // an unclosed quote ends with the query
      term.value = rest_.substr(0, end);
      term.quoted = true;
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      return;
    }
    // Parentheses of a word's own, as in "IMG_2(1).jpg", belong to it.
    size_t end = 0;
    int open = 0;
    for (; end < rest_.size() && rest_[end] != '"' && rest_[end] != '|' && blank_size(rest_.substr(end)) == 0; ++end) {
      if (rest_[end] == '(') ++open;
      if (rest_[end] == ')' && open-- == 0) break;
    }
    term.value = rest_.substr(0, end);
    rest_.remove_prefix(end);
  }

  static Status check_wildcards(std::string_view value) {
    const size_t star = value.find('*');
    if (star != std::string_view::npos && star + 1 < value.size())
      return wrong(printable(value) +
                   ": * stands for more letters only at the end of a word; quote it to search for it");
    for (size_t i = 1; i + 1 < value.size(); ++i)
      if (value[i] == '?' && is_of_word(value[i - 1]) && is_of_word(value[i + 1]))
        return wrong(printable(value) + ": ? stands for no letter; write the word's beginning, or quote it");
    return {};
  }

  std::string_view rest_;
};

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) {}

  Result<Node> parse() {
    IE_CHECK(advance());
    if (piece_.kind == PieceKind::kEnd) return Node{NodeKind::kAll, {}, {}};
    if (piece_.kind == PieceKind::kClose) return stray();
    IE_TRY(Node node, any(0));
    if (piece_.kind == PieceKind::kClose) return stray();
    return node;
  }

 private:
  static tl::unexpected<Error> stray() { return wrong("a ) closes no (: quote it to search for it"); }

  Status advance() {
    IE_TRY(piece_, lexer_.next());
    return {};
  }

  // Alternatives joined by OR, of which one alone is itself.
  Result<Node> any(int depth) {
    std::vector<Node> alternatives;
    do {
      if (!alternatives.empty()) IE_CHECK(advance());
      if (piece_.kind == PieceKind::kOr || piece_.kind == PieceKind::kEnd || piece_.kind == PieceKind::kClose)
        return wrong(alternatives.empty() && piece_.kind != PieceKind::kOr
                         ? "( ) needs something between its parentheses"
                         : "OR needs something before it and after it; quote \"or\" to search for the word");
      IE_TRY(alternatives.emplace_back(), all(depth));
    } while (piece_.kind == PieceKind::kOr);
    if (alternatives.size() == 1) return std::move(alternatives.front());
    return Node{NodeKind::kAny, {}, std::move(alternatives)};
  }

  Result<Node> all(int depth) {
    Node node{NodeKind::kAll};
    while (piece_.kind == PieceKind::kTerm || piece_.kind == PieceKind::kNot || piece_.kind == PieceKind::kOpen) {
      IE_TRY(node.children.emplace_back(), one(depth));
    }
    return node;
  }

  Result<Node> one(int depth) {
    bool negated = false;
    for (; piece_.kind == PieceKind::kNot; negated = !negated) IE_CHECK(advance());
    Node node;
    if (piece_.kind == PieceKind::kTerm) {
      node.term = std::move(piece_.term);
    } else if (piece_.kind == PieceKind::kOpen) {
      if (depth == kMostNesting) return wrong(fmt::format("parentheses are nested at most {} deep", kMostNesting));
      IE_CHECK(advance());
      IE_TRY(node, any(depth + 1));
      if (piece_.kind != PieceKind::kClose) return wrong("a ( is not closed: quote it to search for it");
    } else {
      return wrong("NOT needs something after it; quote \"not\" to search for the word");
    }
    IE_CHECK(advance());
    if (!negated) return node;
    Node excluded;
    excluded.kind = NodeKind::kNot;
    excluded.children.push_back(std::move(node));
    return excluded;
  }

  Lexer lexer_;
  Piece piece_;
};

}  // namespace

Result<Node> parse_structure(std::string_view text) { return Parser(text).parse(); }

}  // namespace image_engine::search
