// Text of one and two characters in trigram indexes, for scripts without spaces.
#pragma once

struct fts5_api;

namespace image_engine::store {

// Replaces the connection's tokenizer "trigram" by one that differs in queries only: SQLite's own makes no token of
// fewer than three characters, this one makes the text itself a token. `"天气" *` then finds the trigrams that begin
// with it. So a text to be found must be followed by two more characters: kTrigramEnd. Throws SqlFailure.
void add_short_trigrams(fts5_api* api);

inline constexpr char kTrigramEnd[] = "\n\n";

}  // namespace image_engine::store
