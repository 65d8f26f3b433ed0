// A drawn recording for tests: what stands still, and what moves before it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>
#include <vector>

#include "video/scene_changes.h"

namespace image_engine::video {

// The same at every place and time for the same seeds.
class MovingPicture {
 public:
  // `ground` stands still, `movers` move.
  MovingPicture(unsigned ground, unsigned movers, int count = 4) {
    std::mt19937 random(ground);
    for (Blot& blot : still_) blot = blot_from(random);
    std::mt19937 other(movers * 7919 + 17);
    for (int i = 0; i < count; ++i) {
      Mover mover{blot_from(other), {}};
      mover.blot.radius = 0.08 + 0.04 * draw(other);
      for (Wave& wave : mover.waves) wave = {0.1 + 0.25 * draw(other), 0.02 + 0.13 * draw(other), draw(other)};
      movers_.push_back(mover);
    }
  }

  // Luma 0…255 at a place of the picture (0…1 across and down) and a time in seconds.
  [[nodiscard]] double at(double x, double y, double seconds) const {
    double luma = 110;
    for (const Blot& blot : still_) luma += blot.light * weight(blot, x, y);
    for (const Mover& mover : movers_) {
      Blot blot = mover.blot;
      blot.x = 0.5 + mover.waves[0].at(seconds) + mover.waves[1].at(seconds);
      blot.y = 0.5 + mover.waves[2].at(seconds) + mover.waves[3].at(seconds);
      luma += blot.light * weight(blot, x, y);
    }
    return std::clamp(luma, 0.0, 255.0);
  }

  // A small frame of it, grey.
  [[nodiscard]] std::vector<std::uint8_t> frame(double seconds) const {
    return frame_of([&](double x, double y) { return at(x, y, seconds); });
  }

  template <typename Luma>
  static std::vector<std::uint8_t> frame_of(Luma luma) {
    std::vector<std::uint8_t> rgb;
    for (int row = 0; row < static_cast<int>(kSmallHeight); ++row)
      for (int column = 0; column < static_cast<int>(kSmallWidth); ++column) {
        const double value = luma((column + 0.5) / kSmallWidth, (row + 0.5) / kSmallHeight);
        rgb.insert(rgb.end(), 3, static_cast<std::uint8_t>(std::clamp(std::lround(value), 0L, 255L)));
      }
    return rgb;
  }

 private:
  struct Blot {
    double x = 0, y = 0, radius = 0.1, light = 0;
  };
  struct Wave {
    double reach = 0, frequency = 0, phase = 0;
    [[nodiscard]] double at(double seconds) const {
      return reach * std::sin(2 * std::numbers::pi * (frequency * seconds + phase));
    }
  };
  struct Mover {
    Blot blot;
    std::array<Wave, 4> waves;
  };

  static double draw(std::mt19937& random) { return static_cast<double>(random()) / 4294967296.0; }
  static Blot blot_from(std::mt19937& random) {
    Blot blot;
    blot.x = draw(random), blot.y = draw(random), blot.radius = 0.05 + 0.2 * draw(random);
    blot.light = (draw(random) < 0.5 ? -1 : 1) * (20 + 35 * draw(random));
    return blot;
  }
  static double weight(const Blot& blot, double x, double y) {
    const double dx = x - blot.x, dy = (y - blot.y) * 9 / 16;
    const double near = std::max(1 - (dx * dx + dy * dy) / (4 * blot.radius * blot.radius), 0.0);
    return near * near;
  }

  std::array<Blot, 6> still_;
  std::vector<Mover> movers_;
};

}  // namespace image_engine::video
