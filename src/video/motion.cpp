#include "video/motion.h"

#include <algorithm>
#include <cmath>

namespace image_engine::video {
namespace {

// Standard deviations in sides of the box. DeepSORT's are 1/20 of the height for a place and 1/160 for a velocity in
// pixels a frame; at first twice and ten times as much. A random walk's grows with the square root of its steps.
constexpr double kFrames = 30;  // a second
constexpr double kMeasured = 1.0 / 20;
constexpr double kDrift2 = kMeasured * kMeasured * kFrames;                     // sides² in a second
constexpr double kRate = kFrames / 160, kRateDrift2 = kRate * kRate * kFrames;  // (sides a second)² in a second
constexpr double kFirst2 = 4 * kMeasured * kMeasured, kFirstRate2 = 100 * kRate * kRate;
constexpr double kLeastSide = 1;  // pixel

double square(double value) { return value * value; }

}  // namespace

void Motion::Coordinate::wait(double seconds, double side, bool moves) {
  const double side2 = square(side), rate_drift = moves ? kRateDrift2 * side2 : 0;
  at += rate * seconds;
  variance += seconds * (2 * together + seconds * (of_rate + rate_drift * seconds / 3) + kDrift2 * side2);
  together += seconds * (of_rate + rate_drift * seconds / 2);
  of_rate += rate_drift * seconds;
}

void Motion::Coordinate::seen(double measured, double side) {
  const double sum = variance + square(kMeasured * side), off = measured - at;
  const double gain = variance / sum, rate_gain = together / sum;
  at += gain * off;
  rate += rate_gain * off;
  of_rate -= rate_gain * together;
  together *= 1 - gain;
  variance *= 1 - gain;
}

Motion::Motion(const Box& seen) {
  const double width = seen.width, height = seen.height;
  const auto moving = [](double at, double side) {
    return Coordinate{at, 0, kFirst2 * side * side, 0, kFirstRate2 * side * side};
  };
  const auto drifting = [](double side) { return Coordinate{side, 0, kFirst2 * side * side}; };
  x_ = moving(seen.x + width / 2, width), y_ = moving(seen.y + height / 2, height);
  width_ = drifting(width), height_ = drifting(height);
}

void Motion::wait(double seconds) {
  seconds = std::min(seconds, kCoast - unseen_);
  if (!(seconds > 0)) return;
  unseen_ += seconds;
  const double width = std::max(width_.at, kLeastSide), height = std::max(height_.at, kLeastSide);
  x_.wait(seconds, width, true), width_.wait(seconds, width, false);
  y_.wait(seconds, height, true), height_.wait(seconds, height, false);
}

void Motion::seen(const Box& box) {
  const double width = std::max<double>(box.width, kLeastSide), height = std::max<double>(box.height, kLeastSide);
  x_.seen(box.x + box.width / 2.0, width), width_.seen(box.width, width);
  y_.seen(box.y + box.height / 2.0, height), height_.seen(box.height, height);
  unseen_ = 0;
}

Box Motion::box() const {
  const double width = std::max(width_.at, 0.0), height = std::max(height_.at, 0.0);
  return {static_cast<float>(x_.at - width / 2), static_cast<float>(y_.at - height / 2), static_cast<float>(width),
          static_cast<float>(height)};
}

double Motion::doubt_x() const { return std::sqrt(x_.variance); }
double Motion::doubt_y() const { return std::sqrt(y_.variance); }

}  // namespace image_engine::video
