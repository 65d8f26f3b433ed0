// A chain of elementwise steps (graph/chains.h) as its kernels take it: a plain struct, an argument of a launch.
#pragma once

#include <cstdint>
#include <span>

#include "graph/chains.h"
#include "infer/ops/divider.h"

namespace image_engine::infer {

// The elements that a thread computes, which lie one after the other in the output: 16 bytes in float16.
inline constexpr std::uint32_t kLanes = 8;

// How an operand's numbers for a thread's elements lie.
enum class Access : std::uint8_t {
  kWide,     // one after the other, at a multiple of 16 bytes
  kOne,      // one for all of them
  kEach,     // anywhere
  kNearest,  // channels of the nearest place, of an operand that is made larger
  kLinear,   // channels of the four places around
};

struct Operand {
  const void* data;
  // The output's dimensions, the innermost first, those next to each other joined: sizes, and the distance in the
  // operand; 0 where it is broadcast. Of an operand that is made larger the channels, the output's width and height as
  // sizes, and its own width and height as the last two strides.
  Divider sizes[graph::kMostChainGroups];
  std::uint32_t strides[graph::kMostChainGroups];
  std::uint8_t groups;
  Access access;
  bool is_half;
};

struct Step {
  graph::ChainCode code;
  std::int8_t operand;  // −1: none
};

struct Chain {
  Operand operands[graph::kMostChainInputs];  // the first is what the steps begin with
  Step steps[graph::kMostChainSteps];
  graph::OperandSize operand_sizes[graph::kMostChainInputs];
  void* result;
  std::uint32_t count;  // of elements
  std::uint8_t step_count;
  bool is_half, is_wide;  // the result
  // All numbers are float16 and in whole words, or one for a word: what a thread needs is read before the first step.
  bool is_plain;
  std::uint8_t plain_operands;  // beside the first
};

inline constexpr std::uint32_t kMostPlainOperands = 3;

struct ChainTensor {
  const void* data;
  std::span<const std::int64_t> shape;
  bool is_half;
};

// `steps` as the operator's attribute has them. Null, or what is wrong: nothing that is not checked here is read out of
// bounds.
const char* fill_steps(std::span<const std::int64_t> steps, Chain& chain);
// `sizes` as the operator's attribute has them; empty where there is none.
const char* fill_sizes(std::span<const std::int64_t> sizes, Chain& chain);
// After those two: the tensors. The result has the shape of the first input.
const char* fill_tensors(std::span<const ChainTensor> inputs, void* result, bool is_half, Chain& chain);

// Null, or an error's message. `stream` is a cudaStream_t, or unused. Neither allocates memory nor waits, so that a
// launch can be recorded.
using RunChain = const char* (*)(const Chain& chain, void* stream);
const char* run_chain_on_host(const Chain& chain, void* stream);
const char* run_chain_on_gpu(const Chain& chain, void* stream);

}  // namespace image_engine::infer
