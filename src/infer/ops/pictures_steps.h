// What a thread does for pictures with channels last: the same arithmetic on the CPU and on a GPU.
#pragma once

#include "infer/ops/chain_steps.h"
#include "infer/ops/pictures.h"

namespace image_engine::infer {

// Threads that turn everything: of eight places each.
IE_HOST_DEVICE inline std::uint32_t turns_of(const LastChannels& work) { return work.rows * (work.places / kLanes); }

template <typename Number>
IE_HOST_DEVICE void read_plane(const LastChannels& work, std::uint32_t place, Lane& lane) {
  read_wide(static_cast<const Number*>(work.picture) + place, lane.values);
}

// `index` is less than turns_of().
template <std::uint32_t kChannels>
IE_HOST_DEVICE void run_turn(const LastChannels& work, std::uint32_t index) {
  const std::uint32_t row = divided(index, work.words), at = (index - row * work.words.number) * kLanes;
  Lane planes[kChannels];
  IE_UNROLL
  for (std::uint32_t c = 0; c < kChannels; ++c) {
    const std::uint32_t place = (row * kChannels + c) * work.places + at;
    if (work.picture_half)
      read_plane<Half>(work, place, planes[c]);
    else
      read_plane<float>(work, place, planes[c]);
  }
  const std::uint32_t first = (row * work.places + at) * kChannels;
  IE_UNROLL
  for (std::uint32_t word = 0; word < kChannels; ++word) {
    Lane lane;
    IE_UNROLL
    for (std::uint32_t i = 0; i < kLanes; ++i) {
      const std::uint32_t number = word * kLanes + i;
      lane.values[i] = planes[number % kChannels].values[number / kChannels];
    }
    if (work.is_half)
      write_wide(lane.values, static_cast<Half*>(work.result) + first + word * kLanes);
    else
      write_wide(lane.values, static_cast<float*>(work.result) + first + word * kLanes);
  }
}

// Calls Runner<channels>::run(work, stream) for those of the work.
template <template <std::uint32_t> typename Runner>
const char* run_turns(const LastChannels& work, void* stream) {
  constexpr RunLast kRuns[] = {Runner<1>::run, Runner<2>::run, Runner<3>::run, Runner<4>::run};
  static_assert(sizeof kRuns / sizeof kRuns[0] == graph::kMostTurned);
  return kRuns[work.channels - 1](work, stream);
}

// NaN stays.
IE_HOST_DEVICE inline void take_greater(Lane& lane, const Lane& other) {
  join(lane, other, [](float x, float o) { return x >= o || x != x ? x : o; });
}

// `index` is less than work.words.
template <typename Number>
IE_HOST_DEVICE void run_window(const WindowMax& work, std::uint32_t index) {
  const std::uint32_t words = work.word_channels.number, place = divided(index, work.word_channels);
  const std::uint32_t line = divided(place, work.width), row = divided(line, work.height);
  const auto y = static_cast<std::int32_t>(line - row * work.height.number) * work.stride - work.top,
             x = static_cast<std::int32_t>(place - line * work.width.number) * work.stride - work.left;
  const auto height = static_cast<std::int32_t>(work.in_height), width = static_cast<std::int32_t>(work.in_width);
  const auto* picture = static_cast<const Number*>(work.picture) + (index - place * words) * kLanes;
  Lane most, other;
  change(most, [](float) { return -INFINITY; });
  for (std::int32_t i = y; i < y + work.size; ++i)
    for (std::int32_t j = x; j < x + work.size; ++j) {
      if (i >= 0 && i < height && j >= 0 && j < width) {
        const std::uint32_t at = (row * work.in_height + static_cast<std::uint32_t>(i)) * work.in_width;
        read_wide(picture + std::size_t{at + static_cast<std::uint32_t>(j)} * words * kLanes, other.values);
        take_greater(most, other);
      } else if (work.has_zeros) {
        take_greater(most, Lane{});
      }
    }
  write_wide(most.values, static_cast<Number*>(work.result) + std::size_t{index} * kLanes);
}

}  // namespace image_engine::infer
