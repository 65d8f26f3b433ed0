// float16 and float32 in memory, one or eight at a time, on the CPU and on a GPU.
#pragma once

#include <cstdint>
#include <cstring>
#include <iterator>

#include "types/host_device.h"

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#else
#include <onnxruntime_float16.h>
#endif

// Before loops whose number of turns is known.
#if defined(__CUDA_ARCH__)
#define IE_UNROLL _Pragma("unroll")
#else
#define IE_UNROLL
#endif

namespace image_engine::infer {

#if defined(__CUDACC__)
using Half = __half;
IE_HOST_DEVICE inline float float_from(Half value) { return __half2float(value); }
#else
struct Half : onnxruntime_float16::Float16Impl<Half> {
  Half() = default;
  explicit Half(float value) { val = ToUint16Impl(value); }
  using Float16Impl::ToFloatImpl;
};
static_assert(sizeof(Half) == 2);
inline float float_from(Half value) { return value.ToFloatImpl(); }
#endif
IE_HOST_DEVICE inline float float_from(float value) { return value; }

template <typename Number>
IE_HOST_DEVICE Number number_from(float value) {
#if defined(__CUDACC__)
  if constexpr (sizeof(Number) == sizeof(Half)) return __float2half_rn(value);
#endif
  return Number(value);
}

// What one instruction of a GPU moves.
struct alignas(16) Word {
  std::uint32_t parts[4];
};

// Eight numbers as they are in memory.
template <typename Number>
struct Words {
  Word parts[8 * sizeof(Number) / sizeof(Word)];
};

// Those at a multiple of 16 bytes.
template <typename Number>
IE_HOST_DEVICE Words<Number> words_at(const Number* data) {
  Words<Number> words;
  IE_UNROLL
  for (std::size_t i = 0; i < std::size(words.parts); ++i) words.parts[i] = reinterpret_cast<const Word*>(data)[i];
  return words;
}

template <typename Number>
IE_HOST_DEVICE void read_words(const Words<Number>& words, float (&values)[8]) {
  Number numbers[8];
  std::memcpy(static_cast<void*>(numbers), words.parts, sizeof numbers);
  IE_UNROLL
  for (int i = 0; i < 8; ++i) values[i] = float_from(numbers[i]);
}

template <typename Number>
IE_HOST_DEVICE void read_wide(const Number* data, float (&values)[8]) {
  read_words(words_at(data), values);
}

template <typename Number>
IE_HOST_DEVICE void write_wide(const float (&values)[8], Number* data) {
  Word words[8 * sizeof(Number) / sizeof(Word)];
  Number numbers[8];
  IE_UNROLL
  for (int i = 0; i < 8; ++i) numbers[i] = number_from<Number>(values[i]);
  std::memcpy(words, numbers, sizeof words);
  for (std::size_t i = 0; i < std::size(words); ++i) reinterpret_cast<Word*>(data)[i] = words[i];
}

}  // namespace image_engine::infer
