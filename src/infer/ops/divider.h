// Division by a number that is known before, without a GPU's slow division.
#pragma once

#include <bit>
#include <cstdint>

#include "types/host_device.h"

namespace image_engine::infer {

// Of numbers below 2³¹. A product and a shift: Granlund and Montgomery, "Division by Invariant Integers using
// Multiplication".
struct Divider {
  std::uint32_t number, factor, shift;
};

// `number` is from 1 to 2³¹.
constexpr Divider divider_of(std::uint32_t number) {
  const auto shift = static_cast<std::uint32_t>(std::bit_width(number - 1));
  const std::uint64_t above = (std::uint64_t{1} << shift) - number;
  return {number, static_cast<std::uint32_t>((above << 32U) / number + 1), shift};
}

IE_HOST_DEVICE inline std::uint32_t divided(std::uint32_t n, const Divider& by) {
#if defined(__CUDA_ARCH__)
  const std::uint32_t high = __umulhi(n, by.factor);
#else
  const auto high = static_cast<std::uint32_t>((std::uint64_t{n} * by.factor) >> 32U);
#endif
  return (high + n) >> by.shift;
}

}  // namespace image_engine::infer
