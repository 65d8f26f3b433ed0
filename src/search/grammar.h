// The structure of a query: terms, and how OR, NOT, blanks and parentheses join them (docs/search.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::search {

// [-][field:]value, the value bare or in quotes.
struct Term {
  bool negated = false;
  std::string_view field;  // into the query's text
  std::string value;
  bool quoted = false;
};

enum class NodeKind : std::uint8_t {
  kTerm,
  kAll,  // beside each other
  kAny,  // OR
  kNot,
};

struct Node {
  NodeKind kind = NodeKind::kTerm;
  Term term = {};                   // of kTerm
  std::vector<Node> children = {};  // kNot has one, kAny two or more
};

// Parentheses are nested at most so deeply.
inline constexpr int kMostNesting = 32;

// kAll; without children for a query without terms. `text` must outlive it. NOT binds before adjacency before OR.
// kInvalidArgument says which part of the query is not in the grammar, and what to write. Safe on any bytes.
Result<Node> parse_structure(std::string_view text);

}  // namespace image_engine::search
