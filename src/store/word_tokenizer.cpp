#include "store/word_tokenizer.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "core/text.h"
#include "store/folding.h"
#include "store/sql.h"

namespace image_engine::store {
namespace {

using OnWord = int (*)(void* context, int flags, const char* token, int size, int from, int to);

// Of each ASCII character the letter or digit that it becomes; 0 for one that separates.
constexpr std::array<char, 128> kAsciiLetters = [] {
  std::array<char, 128> letters{};
  for (char c = '0'; c <= '9'; ++c) letters[static_cast<unsigned char>(c)] = c;
  for (char c = 'a'; c <= 'z'; ++c) letters[static_cast<unsigned char>(c)] = c;
  for (char c = 'A'; c <= 'Z'; ++c) letters[static_cast<unsigned char>(c)] = static_cast<char>(c - 'A' + 'a');
  return letters;
}();

// FTS5 has no longer words.
constexpr std::size_t kMostBytes = 32'768;

struct Words {
  Folding* folding = nullptr;  // the connection's
  std::string word;
};

int create_words(void* context, const char**, int, Fts5Tokenizer** made) {
  auto* words = new (std::nothrow) Words{static_cast<Folding*>(context), {}};
  *made = reinterpret_cast<Fts5Tokenizer*>(words);
  return words == nullptr ? SQLITE_NOMEM : SQLITE_OK;
}

void delete_words(Fts5Tokenizer* tokenizer) { delete reinterpret_cast<Words*>(tokenizer); }

int tokenize_words(Fts5Tokenizer* tokenizer, void* context, int, const char* text, int size, OnWord on_word) {
  auto& [folding, word] = *reinterpret_cast<Words*>(tokenizer);
  const std::string_view all(text, static_cast<std::size_t>(size));
  std::size_t from = 0, to = 0;
  int code = SQLITE_OK;
  word.clear();
  const auto end_word = [&, &word = word] {
    if (!word.empty() && code == SQLITE_OK)
      code = on_word(context, 0, word.data(), static_cast<int>(std::min(word.size(), kMostBytes)),
                     static_cast<int>(from), static_cast<int>(to));
    word.clear();
  };
  for (std::size_t at = 0; at < all.size() && code == SQLITE_OK;) {
    if (const auto byte = static_cast<unsigned char>(all[at]); byte < 0x80) {
      if (const char letter = kAsciiLetters[byte]; letter != 0) {
        if (word.empty()) from = at;
        word += letter;
        to = at + 1;
      } else {
        end_word();
      }
      ++at;
      continue;
    }
    std::string_view rest = all.substr(at);
    const Folding::Character& character = folding->of(take_character(rest));
    const std::size_t next = all.size() - rest.size();
    if (character.role == Role::kIgnored) {
      if (!word.empty()) to = next;
    } else {
      if (character.role == Role::kSeparator || character.role == Role::kSymbol) end_word();
      if (word.empty()) from = at;
      folding->append(character, word);
      to = next;
      if (character.role == Role::kSymbol) end_word();
    }
    at = next;
  }
  end_word();
  return code;
}

}  // namespace

void add_word_tokenizer(fts5_api* api) {
  auto folding = std::make_unique<Folding>();
  fts5_tokenizer functions{create_words, delete_words, tokenize_words};
  const auto erase = [](void* context) { delete static_cast<Folding*>(context); };
  if (api->xCreateTokenizer(api, "unicode61", folding.get(), &functions, erase) != SQLITE_OK)
    raise(ErrorCode::kInternal, "catalogue: SQLite takes no tokenizer for text indexes");
  (void)folding.release();
}

}  // namespace image_engine::store
