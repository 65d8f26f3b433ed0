#include "store/rebuild_words.h"

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <vector>

#include "core/log.h"
#include "core/text.h"
#include "store/asset_index.h"
#include "store/folding.h"
#include "store/rows.h"
#include "store/speech_index.h"

namespace image_engine::store {
namespace {

std::vector<AssetId> rows_of(Connection& c, const std::string& table) {
  std::vector<AssetId> ids;
  for (auto row = c.query("SELECT rowid FROM " + table); row.next();) ids.push_back(row.integer(0));
  return ids;
}

// Trigrams are of folded text.
void fold_trigrams(Connection& c, AssetId asset) {
  std::string changes;
  std::vector<std::string> texts;
  {
    auto row = c.query("SELECT " + text_columns() + " FROM asset_trigram WHERE rowid = ?", asset);
    if (!row.next()) return;
    for (size_t i = 0; i < kTextFields; ++i) texts.push_back(row.bytes(static_cast<int>(i)));
  }
  for (size_t i = 0; i < kTextFields; ++i)
    if (const std::string folded = folded_text(texts[i]); folded != texts[i])
      c.run(fmt::format("UPDATE asset_trigram SET {} = ? WHERE rowid = ?", text_field_name(static_cast<TextField>(i))),
            folded, asset);
}

// Says from time to time how far a long step is.
class Steps {
 public:
  explicit Steps(size_t total) : total_(total) {}
  void done_one() {
    constexpr auto kEvery = std::chrono::seconds(5);
    ++done_;
    if (std::chrono::steady_clock::now() - said_ < kEvery) return;
    said_ = std::chrono::steady_clock::now();
    log_info("text for searching: {} of {}", human_count(done_), human_count(total_));
  }

 private:
  size_t total_, done_ = 0;
  std::chrono::steady_clock::time_point said_ = std::chrono::steady_clock::now();
};

}  // namespace

void rebuild_words(Connection& c) {
  const std::vector<AssetId> assets = rows_of(c, "asset_text"), speech = rows_of(c, "asset_speech");
  if (assets.empty()) return;
  log_info("the text of {} is indexed anew for searching: once, for this version",
           human_count(assets.size(), "picture or recording", "pictures and recordings"));
  for (const char* table : {"asset_text", "asset_speech"})
    c.execute(fmt::format("INSERT INTO {0}({0}) VALUES('rebuild')", table));
  AssetIndex index(c);
  Steps steps(assets.size() + speech.size());
  for (const AssetId asset : assets) {
    index.refresh_names(asset);
    fold_trigrams(c, asset);
    steps.done_one();
  }
  for (const AssetId asset : speech) {
    refresh_speech(c, asset);
    steps.done_one();
  }
}

}  // namespace image_engine::store
