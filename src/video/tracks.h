// Objects over time: which of the things that a detector finds in the frames of a video are the same thing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "types/box.h"

namespace image_engine::video {

// What a detector found in one frame.
struct Sighting {
  std::string name;           // of its class: things of different names are different things
  float confidence = 0;       // 0…1
  Box box;                    // in pixels of the upright frame
  std::vector<float> vector;  // how it looks, of unit length; may be empty
};

struct Stretch {
  double from = 0, to = 0;  // seconds of presentation time, of its first and last sighting
  bool operator==(const Stretch&) const = default;
};

struct Track {
  std::int64_t id = 0;  // from 1; as Tracker::add() told it
  std::string name;
  double from = 0, to = 0;  // seconds of presentation time, of the first and the last sighting
  // The sighting of the highest confidence, of several the first.
  double best_at = 0;
  Box best_box;
  float best_confidence = 0;
  std::size_t sightings = 0;  // of low confidence, too
  // When it was there: one from `from` to `to`, or several where it was lost to sight in between and known again by its
  // vector only.
  std::vector<Stretch> stretches;
};

// Confidences and overlaps as in ByteTrack (arXiv 2110.06864, section 4.1, and its published program).
struct TrackerOptions {
  double track_fps = 5;  // frames a second at which things that move are sampled; above 0
  float high = 0.5F;     // from here on a sighting may begin a track (`track_thresh`)
  float low = 0.1F;      // from here on it may continue one that was in the frame before
  // From here on one sighting makes a track. Between `high` and this a second must follow (`det_thresh`: high + 0.1).
  float sure = 0.6F;
  // For so long a thing may be out of sight and known again by its place: seconds from the first frame without it, at
  // least three frames at `track_fps`. (ByteTrack's 30 frames of 30 a second are 1.)
  double keep = 2;
  // For so long it is known again by its vector: seconds after its last sighting.
  double keep_vectors = 30;
  // Least cosine of the same thing (DeepSORT's `max_cosine_distance` of 0.2). Where the things that one frame shows are
  // so alike that half the way from their mean cosine to 1 is more, it is that.
  float same_vector = 0.8F;
};

// Follows things through the frames of one video, given in order of time. Between frames it keeps what is in sight,
// and, until `keep` or `keep_vectors` have passed, what was: of those that only vectors can bring back 1,000 at most.
// Of what is gone only its Track is left. Not thread-safe.
class Tracker {
 public:
  explicit Tracker(const TrackerOptions& options = {});
  Tracker(Tracker&&) noexcept;
  Tracker& operator=(Tracker&&) noexcept;
  ~Tracker();

  // A frame at `seconds` of presentation time; with `cut`, a scene change lies between it and the last one: all tracks
  // end, and only a vector continues one. Returns of each sighting its track's id, or 0: its confidence is too low for
  // a new track, or it is none: its confidence or box is no number, the box empty or beyond 10 million pixels. An id
  // that finish() does not name was seen once, and not surely. A frame that is not later than the last one is ignored,
  // but for its cut: zeros. An empty frame says that nothing is there; frames that show nothing new may be left out, as
  // only frames without it end a track.
  std::vector<std::int64_t> add(double seconds, std::span<const Sighting> sightings, bool cut = false);

  // All tracks, by `from`, then id. The tracker is as new afterwards, with new ids.
  std::vector<Track> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Whether overlap cannot tell which things of a frame are those of an earlier one: of one name, something in each
// overlaps nothing of the other. Frames in between help then. Only sightings that may begin a track count.
bool lose_overlap(std::span<const Sighting> before, std::span<const Sighting> now, const TrackerOptions& options = {});

// Of each name, the most of its tracks at one time ("object:person>=2"). A track counts from the first to the last
// sighting of each of its stretches; without any, from `from` to `to`.
std::map<std::string, int> most_at_once(std::span<const Track> tracks);

}  // namespace image_engine::video
