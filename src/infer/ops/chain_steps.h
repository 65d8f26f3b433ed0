// What a thread does: the same arithmetic on the CPU and on a GPU.
#pragma once

#include <cmath>
#include <type_traits>

#include "infer/ops/chain.h"
#include "infer/ops/numbers.h"
#include "types/host_device.h"

namespace image_engine::infer {

struct Lane {
  float values[kLanes];
};

template <typename Change>
IE_HOST_DEVICE void change(Lane& lane, const Change& to) {
  IE_UNROLL
  for (std::uint32_t i = 0; i < kLanes; ++i) lane.values[i] = to(lane.values[i]);
}

template <typename Join>
IE_HOST_DEVICE void join(Lane& lane, const Lane& other, const Join& of) {
  IE_UNROLL
  for (std::uint32_t i = 0; i < kLanes; ++i) lane.values[i] = of(lane.values[i], other.values[i]);
}

IE_HOST_DEVICE inline float sigmoid(float x) { return 1.0F / (1.0F + expf(-x)); }

// Comparisons are such that NaN stays.
IE_HOST_DEVICE inline void apply(graph::ChainCode code, Lane& lane, const Lane& other) {
  using graph::ChainCode;
  constexpr float kRootOfHalf = 0.70710678F;
  switch (code) {
    case ChainCode::kAdd:
      return join(lane, other, [](float x, float o) { return x + o; });
    case ChainCode::kSubtract:
      return join(lane, other, [](float x, float o) { return x - o; });
    case ChainCode::kSubtractFrom:
      return join(lane, other, [](float x, float o) { return o - x; });
    case ChainCode::kMultiply:
      return join(lane, other, [](float x, float o) { return x * o; });
    case ChainCode::kDivide:
      return join(lane, other, [](float x, float o) { return x / o; });
    case ChainCode::kDivideInto:
      return join(lane, other, [](float x, float o) { return o / x; });
    case ChainCode::kAtLeast:
      return join(lane, other, [](float x, float o) { return x < o ? o : x; });
    case ChainCode::kAtMost:
      return join(lane, other, [](float x, float o) { return x > o ? o : x; });
    case ChainCode::kRelu:
      return change(lane, [](float x) { return x < 0 ? 0 : x; });
    case ChainCode::kSigmoid:
      return change(lane, [](float x) { return sigmoid(x); });
    case ChainCode::kSilu:
      return change(lane, [](float x) { return x * sigmoid(x); });
    case ChainCode::kGelu:
      return change(lane, [](float x) { return 0.5F * x * (1.0F + erff(x * kRootOfHalf)); });
    case ChainCode::kTanh:
      return change(lane, [](float x) { return tanhf(x); });
    case ChainCode::kExp:
      return change(lane, [](float x) { return expf(x); });
    case ChainCode::kLog:
      return change(lane, [](float x) { return logf(x); });
    case ChainCode::kSqrt:
      return change(lane, [](float x) { return sqrtf(x); });
    case ChainCode::kAbs:
      return change(lane, [](float x) { return fabsf(x); });
    case ChainCode::kNegate:
      return change(lane, [](float x) { return -x; });
    case ChainCode::kCount:
      return;
  }
}

// Where the operand's number for the output's element `i` is.
IE_HOST_DEVICE inline std::uint32_t place_of(const Operand& operand, std::uint32_t i) {
  std::uint32_t place = 0;
  for (std::uint32_t group = 0; group + 1 < operand.groups; ++group) {
    const std::uint32_t rest = divided(i, operand.sizes[group]);
    place += (i - rest * operand.sizes[group].number) * operand.strides[group];
    i = rest;
  }
  return place + i * operand.strides[operand.groups - 1];
}

// Where a place of a side lies between those of a smaller one, by their centres.
struct Between {
  std::uint32_t low, high;
  float part;  // of the higher
};

IE_HOST_DEVICE inline Between between(std::uint32_t place, std::uint32_t size, std::uint32_t smaller) {
  const float exact =
      (static_cast<float>(place) + 0.5F) * static_cast<float>(smaller) / static_cast<float>(size) - 0.5F;
  const float at = exact < 0 ? 0 : exact;
  const auto low = static_cast<std::uint32_t>(at);
  return {low, low + 1 < smaller ? low + 1 : low, at - static_cast<float>(low)};
}

// Of the output's element at `first`, for an operand that is made larger.
struct PicturePlace {
  std::uint32_t picture, y, x, channel;
};

IE_HOST_DEVICE inline PicturePlace picture_place(const Operand& operand, std::uint32_t first) {
  const std::uint32_t place = divided(first, operand.sizes[0]), line = divided(place, operand.sizes[1]);
  const std::uint32_t picture = divided(line, operand.sizes[2]);
  return {picture, line - picture * operand.sizes[2].number, place - line * operand.sizes[1].number,
          first - place * operand.sizes[0].number};
}

IE_HOST_DEVICE inline std::uint32_t place_at(const Operand& operand, const PicturePlace& place, std::uint32_t row,
                                             std::uint32_t column) {
  return ((place.picture * operand.strides[2] + row) * operand.strides[1] + column) * operand.strides[0] +
         place.channel;
}

IE_HOST_DEVICE inline std::uint32_t nearest_place(const Operand& operand, std::uint32_t first) {
  const PicturePlace place = picture_place(operand, first);
  return place_at(operand, place, divided(place.y * operand.strides[2], operand.sizes[2]),
                  divided(place.x * operand.strides[1], operand.sizes[1]));
}

// Of an operand that is made larger; `first` is at a multiple of kLanes channels.
template <typename Number>
IE_HOST_DEVICE void read_larger(const Operand& operand, std::uint32_t first, Lane& lane) {
  const auto* data = static_cast<const Number*>(operand.data);
  if (operand.access == Access::kNearest) return read_wide(data + nearest_place(operand, first), lane.values);
  const PicturePlace place = picture_place(operand, first);
  const auto at = [&](std::uint32_t row, std::uint32_t column) { return data + place_at(operand, place, row, column); };
  const Between row = between(place.y, operand.sizes[2].number, operand.strides[2]),
                column = between(place.x, operand.sizes[1].number, operand.strides[1]);
  const float parts[] = {(1 - row.part) * (1 - column.part), (1 - row.part) * column.part, row.part * (1 - column.part),
                         row.part * column.part};
  const Number* const corners[] = {at(row.low, column.low), at(row.low, column.high), at(row.high, column.low),
                                   at(row.high, column.high)};
  Lane sum{}, corner;
  IE_UNROLL
  for (int i = 0; i < 4; ++i) {
    read_wide(corners[i], corner.values);
    const float part = parts[i];
    join(sum, corner, [part](float x, float o) { return x + part * o; });
  }
  lane = sum;
}

template <typename Number>
IE_HOST_DEVICE void read_as(const Operand& operand, std::uint32_t first, std::uint32_t used, Lane& lane) {
  const auto* data = static_cast<const Number*>(operand.data);
  if (operand.access == Access::kNearest || operand.access == Access::kLinear)
    return read_larger<Number>(operand, first, lane);
  if (operand.access == Access::kWide && used == kLanes) return read_wide(data + place_of(operand, first), lane.values);
  if (operand.access == Access::kOne) {
    const float value = float_from(data[place_of(operand, first)]);
    return change(lane, [value](float) { return value; });
  }
  for (std::uint32_t i = 0; i < kLanes; ++i)
    lane.values[i] = i < used ? float_from(data[place_of(operand, first + i)]) : 0;
}

IE_HOST_DEVICE inline void read(const Operand& operand, std::uint32_t first, std::uint32_t used, Lane& lane) {
  if (operand.is_half) return read_as<Half>(operand, first, used, lane);
  read_as<float>(operand, first, used, lane);
}

template <typename Number>
IE_HOST_DEVICE void write_as(const Chain& chain, std::uint32_t first, std::uint32_t used, const Lane& lane) {
  auto* data = static_cast<Number*>(chain.result) + first;
  if (chain.is_wide && used == kLanes) return write_wide(lane.values, data);
  for (std::uint32_t i = 0; i < used; ++i) data[i] = number_from<Number>(lane.values[i]);
}

// Runs the steps on what a thread has of the elements from `first`, and writes them.
IE_HOST_DEVICE inline void finish_lane(const Chain& chain, std::uint32_t first, std::uint32_t used, Lane& lane) {
  Lane other{};
  for (std::uint32_t i = 0; i < chain.step_count; ++i) {
    const Step step = chain.steps[i];
    if (step.operand >= 0) read(chain.operands[step.operand], first, used, other);
    apply(step.code, lane, other);
  }
  if (chain.is_half) return write_as<Half>(chain, first, used, lane);
  write_as<float>(chain, first, used, lane);
}

// Of a plain chain: what is at the output's elements from `first`.
IE_HOST_DEVICE inline Words<Half> plain_words(const Operand& operand, std::uint32_t first) {
  const auto* data = static_cast<const Half*>(operand.data);
  const std::uint32_t place =
      operand.access == Access::kNearest ? nearest_place(operand, first) : place_of(operand, first);
  if (operand.access != Access::kOne) return words_at(data + place);
  std::uint16_t bits = 0;
  std::memcpy(&bits, data + place, sizeof bits);
  const std::uint32_t two = bits | std::uint32_t{bits} << 16U;
  return {{{{two, two, two, two}}}};
}

// What a thread computes of a plain chain: words of eight elements, `kStride` elements apart.
inline constexpr std::uint32_t kPlainWords = 2;

// Computes the elements of the words from `first`, as far as there are some. Everything is read before it is used, so
// that a thread waits for memory once.
template <std::uint32_t kOperands, std::uint32_t kStride>
IE_HOST_DEVICE void run_plain(const Chain& chain, std::uint32_t first) {
  Words<Half> words[kPlainWords][kOperands + 1];
  IE_UNROLL
  for (std::uint32_t k = 0; k < kPlainWords; ++k) IE_UNROLL
  for (std::uint32_t i = 0; i <= kOperands; ++i)
    if (first + k * kStride < chain.count) words[k][i] = plain_words(chain.operands[i], first + k * kStride);
  IE_UNROLL
  for (std::uint32_t k = 0; k < kPlainWords; ++k) {
    const std::uint32_t at = first + k * kStride;
    if (at >= chain.count) return;
    Lane lane, other{};
    read_words(words[k][0], lane.values);
    for (std::uint32_t step = 0; step < chain.step_count; ++step) {
      const auto operand = static_cast<std::uint32_t>(static_cast<std::int32_t>(chain.steps[step].operand));
      IE_UNROLL
      for (std::uint32_t i = 1; i <= kOperands; ++i)  // an index would put the words into memory
        if (operand == i) read_words(words[k][i], other.values);
      apply(chain.steps[step].code, lane, other);
    }
    write_wide(lane.values, static_cast<Half*>(chain.result) + at);
  }
}

// Calls run(operands) with the number of a plain chain's operands as a type.
template <typename Run>
auto with_operands(const Chain& chain, const Run& run) {
  switch (chain.plain_operands) {
    case 0:
      return run(std::integral_constant<std::uint32_t, 0>());
    case 1:
      return run(std::integral_constant<std::uint32_t, 1>());
    case 2:
      return run(std::integral_constant<std::uint32_t, 2>());
    default:
      return run(std::integral_constant<std::uint32_t, kMostPlainOperands>());
  }
}

// Computes the elements from `first`, a multiple of kLanes below the count.
IE_HOST_DEVICE inline void run_lane(const Chain& chain, std::uint32_t first) {
  const std::uint32_t left = chain.count - first, used = left < kLanes ? left : kLanes;
  Lane lane{};
  read(chain.operands[0], first, used, lane);
  finish_lane(chain, first, used, lane);
}

}  // namespace image_engine::infer
