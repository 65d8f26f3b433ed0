#include "video/covering.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <limits>

namespace image_engine::video {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();

float longer_edge(const Box& box) { return std::max(box.width, box.height); }

Box around_both(const Box& a, const Box& b) {
  const float left = std::min(a.x, b.x), top = std::min(a.y, b.y);
  return {left, top, std::max(a.x + a.width, b.x + b.width) - left, std::max(a.y + a.height, b.y + b.height) - top};
}

Box moved(const Box& box, double x, double y) {
  return {box.x + static_cast<float>(x), box.y + static_cast<float>(y), box.width, box.height};
}

// How far apart the middles are, in the longer edge of both.
double apart(const Box& a, const Box& b) {
  const double x = (a.x + a.width / 2) - (b.x + b.width / 2), y = (a.y + a.height / 2) - (b.y + b.height / 2);
  return std::hypot(x, y) / std::max({longer_edge(a), longer_edge(b), 1.0F});
}

// Where a thing of box `to` is `seconds` after it, if it moves on as from `from` to `to`, `step` seconds later.
Box moved_on(const Box& from, const Box& to, double step, double seconds) {
  const double share = seconds / step;
  return moved(to, ((to.x + to.width / 2) - (from.x + from.width / 2)) * share,
               ((to.y + to.height / 2) - (from.y + from.height / 2)) * share);
}

}  // namespace

// Infinite: it is another thing.
double Covering::distance(const Followed& track, double seconds, const Box& box) const {
  const Sighting& last = track.back();
  const double gap = seconds - last.seconds;
  const double growth = static_cast<double>(longer_edge(box)) / std::max(longer_edge(last.box), 1e-3F);
  if (gap > options_.bridge || growth > options_.most_growth || growth < 1 / options_.most_growth) return kFar;
  double far = apart(last.box, box);
  if (track.size() > 1) {
    const Sighting& before = track[track.size() - 2];
    far = std::min(far, apart(moved_on(before.box, last.box, last.seconds - before.seconds, gap), box));
  }
  return far <= options_.reach + options_.reach_a_second * gap ? far : kFar;
}

void Covering::add(double seconds, std::span<const Box> boxes) {
  struct Pair {
    double distance;
    std::size_t track, box;
  };
  std::vector<Pair> pairs;
  for (std::size_t track = 0; track < tracks_.size(); ++track)
    if (seconds - tracks_[track].back().seconds <= options_.bridge)
      for (std::size_t box = 0; box < boxes.size(); ++box)
        if (const double far = distance(tracks_[track], seconds, boxes[box]); far < kFar)
          pairs.push_back({far, track, box});
  std::ranges::sort(pairs, {}, &Pair::distance);
  std::vector<bool> is_continued(tracks_.size()), is_known(boxes.size());
  for (const Pair& pair : pairs) {
    if (is_continued[pair.track] || is_known[pair.box]) continue;
    is_continued[pair.track] = is_known[pair.box] = true;
    tracks_[pair.track].push_back({seconds, boxes[pair.box]});
  }
  for (std::size_t box = 0; box < boxes.size(); ++box)
    if (!is_known[box]) tracks_.push_back({{seconds, boxes[box]}});
}

std::vector<Box> Covering::at(double seconds) const {
  std::vector<Box> boxes;
  for (const Followed& track : tracks_) {
    if (track.front().seconds - options_.beside > seconds) break;
    if (track.back().seconds + options_.beside < seconds) continue;
    // Where it was at a sighting, and where it would be if its motion from the sighting on the other side continued.
    const auto near_sighting = [&](std::ptrdiff_t index, std::ptrdiff_t other) {
      const Sighting& end = track[static_cast<std::size_t>(index)];
      if (other < 0 || other >= std::ssize(track)) return end.box;
      const Sighting& next = track[static_cast<std::size_t>(other)];
      const double gap = std::min(std::abs(seconds - end.seconds), options_.beside);
      return around_both(end.box, moved_on(next.box, end.box, std::abs(end.seconds - next.seconds), gap));
    };
    const auto later = std::ranges::lower_bound(track, seconds, {}, &Sighting::seconds) - track.begin();
    if (later == 0)
      boxes.push_back(near_sighting(0, 1));
    else if (later == std::ssize(track))
      boxes.push_back(near_sighting(later - 1, later - 2));
    else
      boxes.push_back(around_both(near_sighting(later - 1, later - 2), near_sighting(later, later + 1)));
  }
  return boxes;
}

}  // namespace image_engine::video
