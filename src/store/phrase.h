// A phrase of a query, as the text index understands it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "store/asset_query.h"
#include "store/sql.h"

namespace image_engine::store {

// A word of a text as in the text index, with its place in the text, bytes.
struct Token {
  std::string text;
  std::size_t from = 0, to = 0;
};
std::vector<Token> tokens_of(Connection& connection, std::string_view text);

struct Phrase {
  std::vector<std::string> tokens;
  std::string anywhere;     // instead of tokens, for scripts without spaces: folded_text()
  bool prefix = false;      // the last token may be the start of a longer one
  std::string inside = {};  // of text in pictures: it may also be a part of words, folded_text(); empty: it may not
};
Phrase phrase_of(Connection& connection, const TextCondition& condition);

// Where the phrase begins in a text with these tokens, bytes; npos where the text does not have it. For scripts without
// spaces about where: folding changes lengths.
std::size_t find_phrase(const Phrase& phrase, std::string_view text, const std::vector<Token>& tokens);
bool has_phrase(Connection& connection, const Phrase& phrase, std::string_view text);

}  // namespace image_engine::store
