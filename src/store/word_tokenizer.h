// Cuts text into words for text indexes.
#pragma once

struct fts5_api;

namespace image_engine::store {

// Replaces the connection's tokenizer "unicode61" by one that folds text as store/folding.h says. A word is a run of
// letters and digits of any script with its marks; each emoji is a word. Under SQLite's own name, so that other
// programs can open the catalogue; what they find by MATCH may differ. Throws SqlFailure.
void add_word_tokenizer(fts5_api* api);

}  // namespace image_engine::store
