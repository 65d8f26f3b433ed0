#include "store/phrase.h"

#include <algorithm>

#include "store/asset_index.h"
#include "store/conditions.h"
#include "store/folding.h"

namespace image_engine::store {
namespace {

bool begins_at(const std::vector<Token>& tokens, size_t at, const std::vector<std::string>& wanted, bool prefix) {
  if (wanted.empty() || at + wanted.size() > tokens.size()) return false;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const std::string& token = tokens[at + i].text;
    const bool open = prefix && i + 1 == wanted.size();
    if (open ? !token.starts_with(wanted[i]) : token != wanted[i]) return false;
  }
  return true;
}

size_t find_folded(std::string_view text, const std::string& part) {
  const size_t at = folded_text(text).find(part);
  return at == std::string::npos ? at : std::min(at, text.size());
}

}  // namespace

std::vector<Token> tokens_of(Connection& connection, std::string_view text) {
  std::vector<Token> tokens;
  connection.tokenize(text, [&](std::string_view token, int from, int to) {
    tokens.push_back({std::string(token), static_cast<size_t>(from), static_cast<size_t>(to)});
  });
  return tokens;
}

Phrase phrase_of(Connection& connection, const TextCondition& condition) {
  Phrase phrase{{}, {}, condition.prefix};
  const std::string text = query_text(condition.text);
  if (has_unspaced_script(text))
    phrase.anywhere = folded_text(text);
  else
    for (Token& token : tokens_of(connection, text)) phrase.tokens.push_back(std::move(token.text));
  if (condition.field == TextField::kText) phrase.inside = part_of_words(condition.text);
  return phrase;
}

size_t find_phrase(const Phrase& phrase, std::string_view text, const std::vector<Token>& tokens) {
  if (!phrase.anywhere.empty()) return find_folded(text, phrase.anywhere);
  for (size_t at = 0; at < tokens.size(); ++at)
    if (begins_at(tokens, at, phrase.tokens, phrase.prefix)) return tokens[at].from;
  return phrase.inside.empty() ? std::string::npos : find_folded(text, phrase.inside);
}

bool has_phrase(Connection& connection, const Phrase& phrase, std::string_view text) {
  return find_phrase(phrase, text, tokens_of(connection, text)) != std::string::npos;
}

}  // namespace image_engine::store
