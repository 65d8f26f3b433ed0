// What a GPU has an instruction for, and the same on the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "types/half.h"
#include "types/host_device.h"

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#endif

namespace image_engine::gpu {

IE_HOST_DEVICE inline void add_count(std::uint32_t* to, std::uint32_t count) {
#if defined(__CUDA_ARCH__)
  atomicAdd(to, count);
#else
  *to += count;
#endif
}

IE_HOST_DEVICE inline void add_sum(std::uint64_t* to, std::uint64_t value) {
#if defined(__CUDA_ARCH__)
  static_assert(sizeof(unsigned long long) == sizeof *to);
  atomicAdd(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(value));
#else
  *to += value;
#endif
}

// `value` is not negative.
IE_HOST_DEVICE inline void raise(float* to, float value) {
#if defined(__CUDA_ARCH__)
  atomicMax(reinterpret_cast<int*>(to), __float_as_int(value));
#else
  if (value > *to) *to = value;
#endif
}

// Bytes of the eight in (low, high), chosen by the four lowest hexadecimal digits of `choice`.
IE_HOST_DEVICE inline std::uint32_t chosen_bytes(std::uint32_t low, std::uint32_t high, std::uint32_t choice) {
#if defined(__CUDA_ARCH__)
  return __byte_perm(low, high, choice);
#else
  const std::uint64_t both = std::uint64_t{high} << 32U | low;
  std::uint32_t result = 0;
  for (unsigned i = 0; i < 4; ++i)
    result |= static_cast<std::uint32_t>(both >> ((choice >> (4 * i) & 7U) * 8) & 255U) << (8 * i);
  return result;
#endif
}

// The four bytes of (low, high) that begin at bit `shift`: 0, 8, 16 or 24.
IE_HOST_DEVICE inline std::uint32_t word_at(std::uint32_t low, std::uint32_t high, std::uint32_t shift) {
#if defined(__CUDA_ARCH__)
  return __funnelshift_r(low, high, shift);
#else
  return static_cast<std::uint32_t>((std::uint64_t{high} << 32U | low) >> shift);
#endif
}

// sum + the products of four 16-bit weights and four samples.
IE_HOST_DEVICE inline std::int32_t add_products(std::int32_t sum, std::uint32_t weights, std::uint32_t more_weights,
                                                std::uint32_t samples) {
#if defined(__CUDA_ARCH__)
  asm("dp2a.lo.s32.u32 %0, %1, %2, %0;" : "+r"(sum) : "r"(weights), "r"(samples));
  asm("dp2a.hi.s32.u32 %0, %1, %2, %0;" : "+r"(sum) : "r"(more_weights), "r"(samples));
  return sum;
#else
  const auto product = [&](std::uint32_t two, unsigned half, unsigned sample) {
    return static_cast<std::int16_t>(two >> (16 * half)) * static_cast<std::int32_t>(samples >> (8 * sample) & 255U);
  };
  return sum + product(weights, 0, 0) + product(weights, 1, 1) + product(more_weights, 0, 2) +
         product(more_weights, 1, 3);
#endif
}

IE_HOST_DEVICE inline std::uint16_t half_bits(float value) {
#if defined(__CUDA_ARCH__)
  return __half_as_ushort(__float2half_rn(value));
#else
  return to_half(value);
#endif
}

IE_HOST_DEVICE inline std::uint32_t word_in(const std::uint8_t* bytes) {  // at a multiple of 4
#if defined(__CUDA_ARCH__)
  return *reinterpret_cast<const std::uint32_t*>(bytes);
#else
  std::uint32_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word;
#endif
}

struct FourWeights {
  std::uint32_t low, high;
};
IE_HOST_DEVICE inline FourWeights weights_at(const std::int16_t* weights) {  // at a multiple of 8
#if defined(__CUDA_ARCH__)
  const uint2 four = __ldg(reinterpret_cast<const uint2*>(weights));
  return {four.x, four.y};
#else
  FourWeights four{};
  std::memcpy(&four, weights, sizeof four);
  return four;
#endif
}

// Four bytes at any address; zeros from `end` on. Reads only aligned words that lie before `end`, or single bytes.
IE_HOST_DEVICE inline std::uint32_t bytes_at(const std::uint8_t* at, const std::uint8_t* end) {
  if (at + 8 <= end) {
    const std::size_t over = reinterpret_cast<std::uintptr_t>(at) % 4;
    if (over == 0) return word_in(at);
    return word_at(word_in(at - over), word_in(at - over + 4), static_cast<std::uint32_t>(over) * 8);
  }
  std::uint32_t word = 0;
  for (unsigned i = 0; i < 4; ++i)
    if (at + i < end) word |= static_cast<std::uint32_t>(at[i]) << (8 * i);
  return word;
}

}  // namespace image_engine::gpu
