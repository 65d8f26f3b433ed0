#include "store/moment_matches.h"

#include <algorithm>
#include <bit>
#include <iterator>

namespace image_engine::store {
namespace {

constexpr double kTogether = 1e-3;  // seconds

bool overlap(const MomentMatch& a, const MomentMatch& b) { return a.from < b.to && b.from < a.to; }

void add_missing(std::vector<Why>& list, const std::vector<Why>& more) {
  for (const Why& why : more)
    if (std::ranges::find(list, why) == list.end()) list.push_back(why);
}

// Adds what holds at the same time: the surest of these, and others by which more conditions hold.
void join_overlapping(MomentMatch& match, const std::vector<MomentMatch>& others) {
  std::vector<const MomentMatch*> same_time;
  for (const MomentMatch& other : others)
    if (overlap(match, other)) same_time.push_back(&other);
  std::ranges::stable_sort(same_time, std::ranges::greater{}, &MomentMatch::confidence);
  for (const MomentMatch* other : same_time) {
    const std::uint64_t both = match.conditions | other->conditions;
    if (other != same_time.front() && both == match.conditions) continue;
    match.conditions = both;
    add_missing(match.why, other->why);
  }
}

int most_conditions(const std::vector<MomentMatch>& list) {
  int most = 0;
  for (const MomentMatch& match : list) most = std::max(most, std::popcount(match.conditions));
  return most;
}

// Frames one after the other as one time, the surest first.
std::vector<MatchedTime> runs_of(std::vector<MomentMatch> matches) {
  std::ranges::stable_sort(matches, {}, &MomentMatch::from);
  std::vector<std::pair<double, MatchedTime>> runs;  // by the surest frame's confidence
  for (MomentMatch& match : matches) {
    if (runs.empty() || match.from > runs.back().second.moment.to + kTogether)
      runs.push_back({-1, {{match.from, match.to, 0, {}}, {}}});
    auto& [confidence, run] = runs.back();
    run.moment.to = std::max(run.moment.to, match.to);
    if (match.confidence <= confidence) continue;
    confidence = match.confidence;
    run.moment.at = match.from;
    run.moment.why = std::move(match.why);
  }
  std::ranges::stable_sort(runs, std::ranges::greater{}, &std::pair<double, MatchedTime>::first);
  std::vector<MatchedTime> times;
  for (auto& [confidence, run] : runs) times.push_back(std::move(run));
  return times;
}

}  // namespace

std::vector<MatchedTime> matched_times(std::vector<MomentMatch> matches) {
  std::vector<MomentMatch> said, seen, heard;
  for (MomentMatch& match : matches) {
    if (match.conditions == 0) continue;
    const bool speech = match.kind == MomentKind::kSpeech;
    (speech ? said : match.kind == MomentKind::kSound ? heard : seen).push_back(std::move(match));
  }
  for (MomentMatch& match : seen) join_overlapping(match, heard);
  for (MomentMatch& match : said) {
    join_overlapping(match, seen);
    join_overlapping(match, heard);
  }
  const int most = std::max({most_conditions(said), most_conditions(seen), most_conditions(heard), 1});
  for (std::vector<MomentMatch>* list : {&said, &seen, &heard})
    std::erase_if(*list, [&](const MomentMatch& match) { return std::popcount(match.conditions) < most; });
  std::ranges::stable_sort(said, {}, &MomentMatch::from);
  std::vector<MatchedTime> times;
  for (MomentMatch& match : said) {
    std::erase_if(seen, [&](const MomentMatch& frame) { return overlap(match, frame); });
    times.push_back({{match.from, match.to, match.from, std::move(match.why)}, std::move(match.hits)});
  }
  std::ranges::move(heard, std::back_inserter(seen));
  std::ranges::move(runs_of(std::move(seen)), std::back_inserter(times));
  return times;
}

}  // namespace image_engine::store
