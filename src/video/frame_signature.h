// What the built-in scene detector keeps of a frame, and how it compares two of them.
#pragma once

#include <array>
#include <cstdint>

#include "video/scene_changes.h"

namespace image_engine::video {

inline constexpr int kReach = 4;  // small pixels that a block is searched for in each direction
inline constexpr int kPaddedWidth = kSmallWidth + 2 * kReach, kPaddedHeight = kSmallHeight + 2 * kReach;
inline constexpr int kCoarseWidth = kSmallWidth / 2, kCoarseHeight = kSmallHeight / 2;
inline constexpr int kCoarseValues = kCoarseWidth * kCoarseHeight * 3;

// Columns left…right − 1 and rows top…bottom − 1 of a small frame.
struct Area {
  int left = 0, top = 0, right = kSmallWidth, bottom = kSmallHeight;
  int pixels() const { return (right - left) * (bottom - top); }
};

// Of luma, 0…255: its mean, and the mean distance from that.
struct Light {
  float mean = 0, deviation = 0;
};

// 9 KB.
struct FrameSignature {
  std::int64_t index = 0;
  double seconds = 0;
  Area picture;                                                 // without black bars at the edges
  Light in_picture, overall;                                    // without the bars, and with them
  std::array<std::uint8_t, kPaddedWidth * kPaddedHeight> luma;  // edges repeated outwards
  std::array<std::int16_t, kCoarseValues> coarse;               // luma, then both colour differences: sums of 2 × 2
  std::array<std::uint16_t, 512> colours;  // histogram of luma and both colour differences, 8 steps each
};

FrameSignature sign(const SmallFrame& frame);

// How unlike two frames are when what moved is looked for where it went, and how much their colours differ:
// 0 the same … 1 nothing in common.
float unlikeness(const FrameSignature& a, const FrameSignature& b);

// As far as brightness goes, once `b` has the mean and contrast of `a`: 0 the same picture, only in another light; 0.2
// and more another picture.
float unlikeness_in_one_light(const FrameSignature& a, const FrameSignature& b);

// What a frame between two others says of the way from one to the other. All 0 where it lies anywhere but between them.
struct Mix {
  float steadiness = 0;  // 1: it lies on the straight way, as a mixture does; 0 and below: it has something that
                         // neither end has
  float distance = 0;    // length of the way, in contrasts
};
Mix mix_of(const FrameSignature& a, const FrameSignature& middle, const FrameSignature& b);

// Of both frames' brightness, where the whole picture has moved as it fits best, up to a third of its width and height:
// near 1 for the same scene, whatever the camera did and however the light changed. About 100 µs.
float correlation_when_moved(const FrameSignature& a, const FrameSignature& b);

// Which share of `b` a mixture of `a` and `b` has: 0…1, also beyond for what is no mixture.
float share_of_way(const FrameSignature& a, const FrameSignature& frame, const FrameSignature& b);

}  // namespace image_engine::video
