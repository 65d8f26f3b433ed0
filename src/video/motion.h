// Where something that moves will be, from where it was seen.
#pragma once

#include "types/box.h"

namespace image_engine::video {

// A box as four Kalman filters: the centre moves at a constant velocity, the size drifts. The noise is DeepSORT's
// (arXiv 1703.07402; BoT-SORT's, arXiv 2206.14651, of the width), which is told for a frame of 30 a second, here for a
// second: frames may come at any times, and two steps do as much as one of their sum.
class Motion {
 public:
  explicit Motion(const Box& seen);
  // `seconds` from the last call on. Not negative. After kCoast seconds without seen(), it waits where it is.
  void wait(double seconds);
  void seen(const Box& box);

  [[nodiscard]] Box box() const;
  // By how much the centre is likely to be off, in pixels (one standard deviation).
  [[nodiscard]] double doubt_x() const;
  [[nodiscard]] double doubt_y() const;

  static constexpr double kCoast = 2;

 private:
  struct Coordinate {
    double at = 0, rate = 0;                         // pixels, pixels a second
    double variance = 0, together = 0, of_rate = 0;  // of `at`, of both, of `rate`
    void wait(double seconds, double side, bool moves);
    void seen(double measured, double side);
  };
  Coordinate x_, y_, width_, height_;
  double unseen_ = 0;  // seconds
};

}  // namespace image_engine::video
