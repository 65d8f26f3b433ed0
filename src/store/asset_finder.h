// Answers an AssetQuery. Each condition becomes a set of ids; details are read only for the assets that are shown.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/asset_query.h"
#include "store/conditions.h"
#include "store/explain.h"
#include "store/id_set.h"
#include "store/sql.h"

namespace image_engine::store {

class AssetFinder {
 public:
  explicit AssetFinder(Connection& connection) : connection_(connection) {}
  FoundAssets find(const AssetQuery& query);

 private:
  struct Ranked {
    AssetId id = 0;
    std::uint32_t words = 0;  // that match
    float certainty = 0;      // 0…1: the mean of the matched words
    float bm25 = 0;           // higher is better; 0 when every asset matches every word
    double score = 0;         // 0…1, of words and findings
  };

  // Assets that the query does not list, whatever its conditions.
  IdSet hidden(const AssetQuery& query);
  IdSet allowed(const Alternative& query, const IdSet& hidden, Conditions& conditions);
  // Likewise of assets without a time, if the query requires one: what the other conditions allow.
  IdSet without_date(const Alternative& query, const IdSet& hidden, Conditions& conditions);
  // Of `allowed`; keeps of `undated` what the words match.
  std::vector<Ranked> match_words(const Alternative& query, const IdSet& allowed, Conditions& conditions,
                                  IdSet& undated);
  struct Finding {
    Relevant best;
    std::vector<MomentFinding> moments;
  };
  using Findings = std::unordered_map<AssetId, Finding>;
  // Adds what the alternative finds, each asset with its score, to the findings of all alternatives.
  std::vector<Ranked> find_one(const Alternative& query, const IdSet& hidden, Conditions& conditions, Findings& all);
  // Each asset once, with the best of its scores.
  std::vector<Ranked> find_all(const AssetQuery& query, Conditions& conditions, Findings& findings);
  Findings ask_more(const Alternative& query, const IdSet& allowed) const;
  // Merges word matches and findings; each asset once, with its score (docs/search.md).
  std::vector<Ranked> join(std::vector<Ranked> ranked, const Findings& findings, size_t words) const;
  void add_bm25(std::string_view sql, const std::string& expression, std::vector<float>& bm25);
  // The best `count`, newest first among equals.
  std::vector<Ranked> best(std::vector<Ranked> ranked, size_t count);
  std::vector<AssetId> newest(const std::vector<Ranked>& equals, size_t count);

  Connection& connection_;
  AssetId end_ = 1;
  IdSet undated_{1};  // see FoundAssets::without_date
};

}  // namespace image_engine::store
