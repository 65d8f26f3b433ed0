#include "video/tracks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "video/assignment.h"
#include "video/motion.h"

namespace image_engine::video {
namespace {

constexpr double kLeastOverlap = 0.2;     // "if the IoU … is smaller than 0.2, the matching will be rejected"
constexpr double kLeastOverlapLow = 0.5;  // of a sighting of low confidence: `thresh=0.5` in ByteTrack's program
// Chosen on the clips for tuning of bench/video/track_quality.py.
constexpr double kLeastReach = 0.2;
constexpr double kLookWeight = 0.25;  // of how alike two things look beside an overlap
constexpr double kStrangerShare = 0.5;
constexpr int kFewStrangers = 5;
constexpr int kMostComparisons = 200;  // a frame
constexpr float kOldVector = 0.9F;     // share of what was known in a track's vector: BoT-SORT's `alpha`
constexpr float kFarthest = 1e7F;      // pixels: no picture is as large
constexpr double kFramesToKeep = 3;
constexpr std::size_t kMostPast = 1000;

// Something that is, or may come back.
struct Live {
  Track track;
  Motion motion;
  std::vector<float> vector;
  std::optional<double> missed;  // since when frames have been without it
  bool past = false;             // only its vector may bring it back
};

// Of doubles: no box overflows it.
double area_of(const Box& box, double grow_x = 0, double grow_y = 0) {
  return (box.width + 2 * grow_x) * (box.height + 2 * grow_y);
}

// Intersection over union of boxes that have grown by so much to each side.
double overlap_of(const Box& a, const Box& b, double grow_x = 0, double grow_y = 0) {
  const auto shared = [](double from_a, double length_a, double from_b, double length_b, double grow) {
    return std::min(from_a + length_a, from_b + length_b) - std::max(from_a, from_b) + 2 * grow;
  };
  const double width = shared(a.x, a.width, b.x, b.width, grow_x);
  const double height = shared(a.y, a.height, b.y, b.height, grow_y);
  if (!(width > 0) || !(height > 0)) return 0;
  return width * height / (area_of(a, grow_x, grow_y) + area_of(b, grow_x, grow_y) - width * height);
}

// The cosine, where both have a vector of one kind.
std::optional<double> likeness_of(const Live& live, const Sighting& sighting) {
  if (live.vector.empty() || live.vector.size() != sighting.vector.size()) return std::nullopt;
  double product = 0, length2 = 0;
  for (std::size_t i = 0; i < live.vector.size(); ++i) {
    product += double{live.vector[i]} * sighting.vector[i];
    length2 += double{sighting.vector[i]} * sighting.vector[i];
  }
  const double cosine = product / std::sqrt(length2);
  return std::isfinite(cosine) ? std::optional(cosine) : std::nullopt;
}

// How alike different things look, from those that one frame shows: models differ in it, and so do videos.
class Strangers {
 public:
  void add(double likeness) { ++count_, sum_ += likeness; }
  // From here on two are the same: so far from strangers' mean to 1. Below 1.
  [[nodiscard]] double limit(double least) const {
    if (count_ < kFewStrangers) return least;
    const double mean = std::min(sum_ / count_, 0.99);
    return std::max(least, mean + kStrangerShare * (1 - mean));
  }

 private:
  int count_ = 0;
  double sum_ = 0;
};

// What it gains to take a sighting for a thing; 0 or less: it is another. `live` is where it is expected; `same` the
// least cosine of the same thing.
using Gain = double (*)(const Live& live, const Sighting& sighting, double same);

double with_look(double gain, const Live& live, const Sighting& sighting, double same) {
  const std::optional<double> likeness = gain > 0 ? likeness_of(live, sighting) : std::nullopt;
  return likeness ? gain + kLookWeight * (*likeness - same) / (1 - same) : gain;
}

double by_overlap(const Live& live, const Sighting& sighting, double same) {
  return with_look(overlap_of(live.motion.box(), sighting.box) - kLeastOverlap, live, sighting, same);
}

double by_overlap_low(const Live& live, const Sighting& sighting, double /*same*/) {
  return overlap_of(live.motion.box(), sighting.box) - kLeastOverlapLow;
}

// Overlap of boxes that have grown by as much as the place is in doubt, less where their sizes differ: at one frame a
// second, what moves lies beside where it was.
double by_reach(const Live& live, const Sighting& sighting, double same) {
  const Box expected = live.motion.box();
  const double area = area_of(expected), seen = area_of(sighting.box);
  const double grown = overlap_of(expected, sighting.box, live.motion.doubt_x(), live.motion.doubt_y());
  return with_look(grown * std::min(area, seen) / std::max(area, seen) - kLeastReach, live, sighting, same);
}

double by_vector(const Live& live, const Sighting& sighting, double same) {
  return likeness_of(live, sighting).value_or(-1) - same;
}

enum class Which { kInSight, kNotPast, kAll };

// Which sightings are taken for which things, in this order; each takes part until it is in a pair.
struct Round {
  bool high = true;
  Which which = Which::kAll;
  Gain gain = nullptr;
};
constexpr Round kRounds[] = {
    {true, Which::kNotPast, by_overlap},
    {false, Which::kInSight, by_overlap_low},
    {true, Which::kNotPast, by_reach},
    {true, Which::kAll, by_vector},
};

bool takes_part(const Live& live, Which which) {
  return which == Which::kAll || (!live.past && (which == Which::kNotPast || !live.missed));
}

// Also false of what is no number.
bool usable(const Sighting& sighting) {
  const Box& box = sighting.box;
  const bool within = std::ranges::all_of(std::array{box.x, box.y, box.width, box.height},
                                          [](float pixels) { return std::abs(pixels) <= kFarthest; });
  return within && box.width > 0 && box.height > 0 && std::isfinite(sighting.confidence);
}

void learn(std::vector<float>& known, const std::vector<float>& seen) {
  if (seen.empty()) return;
  double length2 = 0;
  std::vector<float> mixed(seen);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (known.size() == seen.size()) mixed[i] = kOldVector * known[i] + (1 - kOldVector) * seen[i];
    length2 += double{mixed[i]} * mixed[i];
  }
  if (!std::isfinite(length2) || length2 <= 0) return;
  for (float& value : mixed) value /= static_cast<float>(std::sqrt(length2));
  known = std::move(mixed);
}

void see(Live& live, double seconds, const Sighting& sighting) {
  Track& track = live.track;
  if (live.past) {
    live.motion = Motion(sighting.box);
    track.stretches.push_back({seconds, seconds});
  } else {
    live.motion.seen(sighting.box);
  }
  live.past = false;
  live.missed.reset();
  learn(live.vector, sighting.vector);
  ++track.sightings;
  track.to = track.stretches.back().to = seconds;
  if (sighting.confidence > track.best_confidence)
    track.best_confidence = sighting.confidence, track.best_at = seconds, track.best_box = sighting.box;
}

}  // namespace

struct Tracker::State {
  TrackerOptions options;
  double now = -std::numeric_limits<double>::infinity();
  bool cut = false;
  std::int64_t ids = 0;
  std::vector<Live> live;
  std::vector<Track> done;
  Strangers strangers;

  void wait_until(double seconds);
  void pair(const Round& round, std::span<const Sighting> sightings, std::vector<std::int64_t>& ids_of);
  void begin(const Sighting& sighting, std::int64_t id);
  void miss();
  void compare(std::span<const Sighting> sightings);
  void end(Live& ended);
  void forget();
};

void Tracker::State::wait_until(double seconds) {
  for (Live& each : live) {
    if (!each.past) each.motion.wait(seconds - now);
    each.past |= cut;
  }
  now = seconds;
  cut = false;
}

void Tracker::State::pair(const Round& round, std::span<const Sighting> sightings, std::vector<std::int64_t>& ids_of) {
  std::vector<Candidate> candidates;
  const double same = strangers.limit(options.same_vector);
  for (std::size_t column = 0; column < sightings.size(); ++column) {
    const Sighting& sighting = sightings[column];
    const bool high = sighting.confidence >= options.high;
    if (ids_of[column] != 0 || high != round.high || sighting.confidence < options.low || !usable(sighting)) continue;
    for (std::size_t row = 0; row < live.size(); ++row) {
      // What has been seen in this frame is where it was seen now.
      if (live[row].track.to == now || !takes_part(live[row], round.which) || live[row].track.name != sighting.name)
        continue;
      const double gain = round.gain(live[row], sighting, same);
      if (gain > 0) candidates.push_back({static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(column), gain});
    }
  }
  for (const auto& [row, column] : best_pairs(candidates)) {
    see(live[row], now, sightings[column]);
    ids_of[column] = live[row].track.id;
  }
}

void Tracker::State::begin(const Sighting& sighting, std::int64_t id) {
  Track track{id, sighting.name, now, now, now, sighting.box, sighting.confidence, 1, {{now, now}}};
  Live& begun = live.emplace_back(Live{std::move(track), Motion(sighting.box), {}, {}, false});
  learn(begun.vector, sighting.vector);
}

void Tracker::State::miss() {
  const double keep = std::max(options.keep, kFramesToKeep / options.track_fps);
  for (Live& each : live) {
    if (each.track.to == now) continue;
    if (!each.missed) each.missed = now;
    each.past |= now - *each.missed > keep;
  }
  forget();
}

void Tracker::State::end(Live& ended) {
  if (ended.track.sightings > 1 || ended.track.best_confidence >= options.sure) done.push_back(std::move(ended.track));
}

// Things of one name that one frame shows apart: boxes that overlap may be two of one thing.
void Tracker::State::compare(std::span<const Sighting> sightings) {
  int left = kMostComparisons;
  for (const Sighting& sighting : sightings) {
    if (sighting.vector.empty() || sighting.confidence < options.high || !usable(sighting)) continue;
    for (const Live& each : live) {
      if (each.track.to != now || each.track.name != sighting.name || overlap_of(each.motion.box(), sighting.box) > 0)
        continue;
      const std::optional<double> likeness = likeness_of(each, sighting);
      if (likeness) strangers.add(*likeness);
      if (likeness && --left == 0) return;
    }
  }
}

// What nothing can bring back, and of what vectors can, what is longest out of sight.
void Tracker::State::forget() {
  const auto gone = [&](const Live& each) {
    return each.past && (each.vector.empty() || now - each.track.to > options.keep_vectors);
  };
  const auto last = std::stable_partition(live.begin(), live.end(), [&](const Live& each) { return !gone(each); });
  std::for_each(last, live.end(), [&](Live& each) { end(each); });
  live.erase(last, live.end());
  std::size_t past = static_cast<std::size_t>(std::ranges::count_if(live, &Live::past));
  if (past <= kMostPast) return;
  std::ranges::stable_sort(live, {}, [](const Live& each) { return std::pair(!each.past, each.track.to); });
  const auto kept = live.begin() + static_cast<std::ptrdiff_t>(past - kMostPast);
  std::for_each(live.begin(), kept, [&](Live& each) { end(each); });
  live.erase(live.begin(), kept);
}

Tracker::Tracker(const TrackerOptions& options) : state_(std::make_unique<State>(State{options})) {}
Tracker::Tracker(Tracker&&) noexcept = default;
Tracker& Tracker::operator=(Tracker&&) noexcept = default;
Tracker::~Tracker() = default;

std::vector<std::int64_t> Tracker::add(double seconds, std::span<const Sighting> sightings, bool cut) {
  std::vector<std::int64_t> ids(sightings.size());
  state_->cut |= cut;
  if (!std::isfinite(seconds) || seconds <= state_->now) return ids;
  state_->wait_until(seconds);
  for (const Round& round : kRounds) state_->pair(round, sightings, ids);
  for (std::size_t i = 0; i < sightings.size(); ++i)
    if (ids[i] == 0 && sightings[i].confidence >= state_->options.high && usable(sightings[i]))
      state_->begin(sightings[i], ids[i] = ++state_->ids);
  state_->miss();
  state_->compare(sightings);
  return ids;
}

std::vector<Track> Tracker::finish() {
  for (Live& each : state_->live) state_->end(each);
  std::vector<Track> tracks = std::move(state_->done);
  state_ = std::make_unique<State>(State{state_->options});
  std::ranges::sort(tracks, {}, [](const Track& track) { return std::pair(track.from, track.id); });
  return tracks;
}

bool lose_overlap(std::span<const Sighting> before, std::span<const Sighting> now, const TrackerOptions& options) {
  const auto begins = [&](const Sighting& sighting) { return sighting.confidence >= options.high && usable(sighting); };
  const auto is_alone = [&](const Sighting& one, std::span<const Sighting> others) {
    return begins(one) && std::ranges::none_of(others, [&](const Sighting& other) {
             return other.name == one.name && overlap_of(one.box, other.box) > kLeastOverlap;
           });
  };
  return std::ranges::any_of(now, [&](const Sighting& one) {
    return is_alone(one, before) && std::ranges::any_of(before, [&](const Sighting& other) {
             return other.name == one.name && is_alone(other, now);
           });
  });
}

std::map<std::string, int> most_at_once(std::span<const Track> tracks) {
  struct Change {
    double at = 0;
    int by = 0;
  };
  std::map<std::string, std::vector<Change>> changes;
  for (const Track& track : tracks) {
    const Stretch whole[] = {{track.from, track.to}};
    const std::span<const Stretch> stretches = track.stretches.empty() ? std::span(whole) : std::span(track.stretches);
    for (const auto& [from, to] : stretches)
      changes[track.name].insert(changes[track.name].end(), {{from, 1}, {to, -1}});
  }
  std::map<std::string, int> most;
  for (auto& [name, of_name] : changes) {
    // At one time those that come are counted before those that go.
    std::ranges::sort(of_name, {}, [](const Change& change) { return std::pair(change.at, -change.by); });
    int now = 0;
    for (const Change& change : of_name) most[name] = std::max(most[name], now += change.by);
  }
  return most;
}

}  // namespace image_engine::video
