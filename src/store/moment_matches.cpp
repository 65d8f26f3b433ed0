#include "store/moment_matches.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include "store/overlaps.h"

namespace image_engine::store {
namespace {

constexpr double kTogether = 1e-3;  // seconds

TimeRange time_of(const MomentMatch& match) { return {match.from, match.to}; }

Overlaps overlaps_of(const std::vector<MomentMatch>& matches) {
  std::vector<TimeRange> ranges;
  ranges.reserve(matches.size());
  for (const MomentMatch& match : matches) ranges.push_back(time_of(match));
  return Overlaps(ranges);
}

void add_missing(std::vector<Why>& list, const std::vector<Why>& more) {
  for (const Why& why : more)
    if (std::ranges::find(list, why) == list.end()) list.push_back(why);
}

// Adds to each what holds at the same time: the surest of these, and others by which more conditions hold.
void join_overlapping(std::vector<MomentMatch>& matches, const std::vector<MomentMatch>& others) {
  const Overlaps overlaps = overlaps_of(others);
  for (MomentMatch& match : matches) {
    std::vector<std::size_t> same_time = overlaps.with(time_of(match));
    std::ranges::stable_sort(same_time, std::ranges::greater{}, [&](std::size_t i) { return others[i].confidence; });
    for (const std::size_t i : same_time) {
      const MomentMatch& other = others[i];
      const std::uint64_t both = match.conditions | other.conditions;
      if (i != same_time.front() && both == match.conditions) continue;
      match.conditions = both;
      add_missing(match.why, other.why);
    }
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
      runs.push_back({-1, {{.from = match.from, .to = match.to}, {}}});
    auto& [confidence, run] = runs.back();
    run.moment.to = std::max(run.moment.to, match.to);
    if (match.confidence <= confidence) continue;
    confidence = match.confidence;
    run.moment.at = match.from;
    run.moment.score = match.relevance;
    run.moment.why = std::move(match.why);
  }
  std::ranges::stable_sort(runs, std::ranges::greater{}, &std::pair<double, MatchedTime>::first);
  std::vector<MatchedTime> times;
  for (auto& [confidence, run] : runs) times.push_back(std::move(run));
  return times;
}

// The surest, the earlier of equals; by time.
void keep_surest(std::vector<MomentMatch>& matches, std::size_t most) {
  std::ranges::stable_sort(matches, {}, &MomentMatch::from);
  if (matches.size() <= most) return;
  std::ranges::stable_sort(matches, std::ranges::greater{}, &MomentMatch::confidence);
  matches.erase(matches.begin() + static_cast<std::ptrdiff_t>(most), matches.end());
  std::ranges::stable_sort(matches, {}, &MomentMatch::from);
}

}  // namespace

std::vector<MatchedTime> matched_times(std::vector<MomentMatch> matches, std::size_t most_times) {
  std::vector<MomentMatch> said, seen, heard;
  for (MomentMatch& match : matches) {
    if (match.conditions == 0) continue;
    const bool speech = match.kind == MomentKind::kSpeech;
    (speech ? said : match.kind == MomentKind::kSound ? heard : seen).push_back(std::move(match));
  }
  join_overlapping(seen, heard);
  join_overlapping(said, seen);
  join_overlapping(said, heard);
  const int most = std::max({most_conditions(said), most_conditions(seen), most_conditions(heard), 1});
  for (std::vector<MomentMatch>* list : {&said, &seen, &heard})
    std::erase_if(*list, [&](const MomentMatch& match) { return std::popcount(match.conditions) < most; });
  const Overlaps spoken = overlaps_of(said);
  std::erase_if(seen, [&](const MomentMatch& frame) { return spoken.any(time_of(frame)); });
  keep_surest(said, most_times);
  std::vector<MatchedTime> times;
  for (MomentMatch& match : said)
    times.push_back({{match.from, match.to, match.from, match.relevance, std::move(match.why)}, std::move(match.hits)});
  std::ranges::move(heard, std::back_inserter(seen));
  std::ranges::move(runs_of(std::move(seen)), std::back_inserter(times));
  if (times.size() > most_times) times.resize(most_times);
  return times;
}

}  // namespace image_engine::store
