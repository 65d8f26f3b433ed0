#include "store/short_trigrams.h"

#include <sqlite3.h>

#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "core/text.h"
#include "store/sql.h"

namespace image_engine::store {
namespace {

constexpr std::size_t kCharacters = 3;

using OnTrigram = int (*)(void* context, int flags, const char* token, int size, int from, int to);

// SQLite's own, of one connection.
struct BuiltIn {
  void* context = nullptr;
  fts5_tokenizer functions{};
};

struct Trigrams {
  fts5_tokenizer functions{};
  Fts5Tokenizer* built_in = nullptr;
};

int create_trigrams(void* context, const char** arguments, int count, Fts5Tokenizer** made) {
  const auto* built_in = static_cast<const BuiltIn*>(context);
  auto* trigrams = new (std::nothrow) Trigrams{built_in->functions, nullptr};
  if (trigrams == nullptr) return SQLITE_NOMEM;
  const int code = trigrams->functions.xCreate(built_in->context, arguments, count, &trigrams->built_in);
  if (code != SQLITE_OK) {
    delete trigrams;
    return code;
  }
  *made = reinterpret_cast<Fts5Tokenizer*>(trigrams);
  return SQLITE_OK;
}

void delete_trigrams(Fts5Tokenizer* tokenizer) {
  auto* trigrams = reinterpret_cast<Trigrams*>(tokenizer);
  trigrams->functions.xDelete(trigrams->built_in);
  delete trigrams;
}

// The text with its case folded: the first trigram of the text and a filling, without the filling.
std::string folded(const Trigrams& trigrams, std::string_view text) {
  std::string token;
  const auto keep_first = [](void* first, int, const char* trigram, int size, int, int) {
    auto& kept = *static_cast<std::string*>(first);
    if (kept.empty()) kept.assign(trigram, static_cast<std::size_t>(size));
    return SQLITE_OK;
  };
  const std::string filled = std::string(text) + kTrigramEnd;
  const int code = trigrams.functions.xTokenize(trigrams.built_in, &token, FTS5_TOKENIZE_AUX, filled.data(),
                                                static_cast<int>(filled.size()), keep_first);
  if (code != SQLITE_OK) return {};
  while (token.ends_with('\n')) token.pop_back();
  return token;
}

int tokenize_trigrams(Fts5Tokenizer* tokenizer, void* context, int flags, const char* text, int size,
                      OnTrigram on_trigram) {
  const auto& trigrams = *reinterpret_cast<Trigrams*>(tokenizer);
  const std::string_view all(text, static_cast<std::size_t>(size));
  if ((flags & FTS5_TOKENIZE_QUERY) == 0 || character_count(all) >= kCharacters)
    return trigrams.functions.xTokenize(trigrams.built_in, context, flags, text, size, on_trigram);
  const std::string token = folded(trigrams, all);
  return token.empty() ? SQLITE_OK : on_trigram(context, 0, token.data(), static_cast<int>(token.size()), 0, size);
}

}  // namespace

void add_short_trigrams(fts5_api* api) {
  auto built_in = std::make_unique<BuiltIn>();
  if (api->xFindTokenizer(api, "trigram", &built_in->context, &built_in->functions) != SQLITE_OK)
    raise(ErrorCode::kUnsupported, "this SQLite has no trigram tokenizer: install SQLite 3.34 or newer");
  fts5_tokenizer functions{create_trigrams, delete_trigrams, tokenize_trigrams};
  const auto erase = [](void* context) { delete static_cast<BuiltIn*>(context); };
  if (api->xCreateTokenizer(api, "trigram", built_in.get(), &functions, erase) != SQLITE_OK)
    raise(ErrorCode::kInternal, "catalogue: SQLite takes no tokenizer for text indexes");
  (void)built_in.release();
}

}  // namespace image_engine::store
