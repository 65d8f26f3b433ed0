// Answers an AssetQuery. Every condition becomes a set of ids; only the assets that are shown are looked at closer.
#pragma once

#include <vector>

#include "store/asset_query.h"
#include "store/conditions.h"
#include "store/id_set.h"
#include "store/sql.h"

namespace image_engine::store {

class AssetFinder {
 public:
  explicit AssetFinder(Connection& connection) : connection_(connection) {}
  FoundAssets find(const AssetQuery& query);

 private:
  struct Ranked {
    AssetId id;
    std::uint32_t tier;  // matched words, then those matched whole
    float relevance;     // of bm25: higher is better, 0 when no word tells assets apart
  };

  IdSet allowed(const AssetQuery& query, Conditions& conditions);
  std::vector<Ranked> match_words(const AssetQuery& query, const IdSet& allowed, Conditions& conditions);
  void add_relevance(const std::string& expression, std::vector<float>& relevance);
  // The best `count`, newest first among equals.
  std::vector<Ranked> best(std::vector<Ranked> ranked, size_t count);
  std::vector<AssetId> newest(const std::vector<Ranked>& equals, size_t count);

  Connection& connection_;
  AssetId end_ = 1;
};

}  // namespace image_engine::store
