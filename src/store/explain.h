// Why an asset was found.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "store/asset_query.h"
#include "store/conditions.h"
#include "store/moment_matches.h"
#include "store/moments.h"
#include "store/phrase.h"
#include "store/speech_hits.h"
#include "store/sql.h"

namespace image_engine::store {

// The line, or the surroundings of the match in a long one.
std::string excerpt(std::string_view line, std::size_t match);

// A moment that was found by something other than a word.
struct MomentFinding {
  MomentId moment = 0;
  double relevance = 0;  // 0…1
  Why why;
};

class Explainer {
 public:
  // The query and its conditions must outlive it.
  Explainer(Connection& connection, const AssetQuery& query, Conditions& conditions);
  // Before explain(), of all assets that it is called for.
  void prepare(const std::vector<AssetId>& assets) {
    for (Pattern& pattern : patterns_) find_in(connection_, assets, pattern.speech);
  }
  // The asset's first file and, for each condition that holds, what matched. `found`: moments of it that were found by
  // something else.
  FoundAsset explain(AssetId asset, std::span<const MomentFinding> found);

 private:
  struct Pattern {
    TextField field;
    Phrase phrase;
    SpeechPattern speech;
  };
  void add_pattern(const TextCondition& condition);
  // What holds for an asset when the filters hold.
  void add_filters(const std::vector<Filter>& filters);
  void explain_text(FoundAsset& asset);
  // `shown`: what is shown of the line: itself, or the names whose parts it has.
  void explain_line(std::string_view line, TextField field, std::string_view shown, FoundAsset& asset);
  void explain_facts(FoundAsset& asset);
  std::string taken_text(AssetId asset, const std::string& known_local);
  // The times of a video or recording at which as many conditions hold as at any.
  void explain_moments(FoundAsset& asset, std::span<const MomentFinding> found);
  void match_things(AssetId asset, std::map<MomentId, MomentMatch>& matches);
  std::vector<SpeechHit> match_speech(AssetSpeech& speech, std::map<MomentId, MomentMatch>& matches, AssetId asset);
  void quote_hits(FoundAsset& asset, AssetSpeech& speech, std::vector<MatchedTime>& times,
                  std::span<const SpeechHit> firsts);
  bool holds(const Pattern& pattern, const MomentThing& thing);
  // The parts of the condition that hold for the asset; empty when it does not hold.
  std::vector<Why> objects_why(AssetId asset, const ObjectsCondition& condition);
  std::vector<Why> subject_why(AssetId asset, const SubjectCondition& condition);
  std::vector<Why> sign_why(AssetId asset, const Sign& sign);
  // Whether a person has given the asset this label or title.
  bool is_own(AssetId asset, TextField field, std::string_view line);
  // "person 0.94", "person 0.94, 3 of them"; the name alone where it was not found.
  std::string counted_text(AssetId asset, TextField field, std::string_view name);
  // "beach 0.81" for a scene, an action or a learned label of the field `wanted`; nothing for any other line of the
  // column.
  std::optional<Why> class_why(AssetId asset, TextField column, TextField wanted, std::string_view name);

  Connection& connection_;
  Conditions& conditions_;
  std::vector<Pattern> patterns_;
  std::set<TextCondition> known_;        // those of patterns_
  std::vector<const Condition*> facts_;  // the conditions that are not on text
  std::size_t most_moments_;
};

}  // namespace image_engine::store
