// Parts of graphs that are computed with channels last, and what chains take into themselves.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/chains.h"
#include "graph/net.h"

namespace image_engine::graph {

// Whether a kind, as TensorProto has it, is float32 or float16.
bool is_real(int kind);

// The step that a node of one operand is; nothing for others.
std::optional<ChainCode> unary_of(const Node& node);

// Of a convolution, with what it does not state.
struct Strides {
  std::vector<std::int64_t> strides, pads;
};
Strides strides_of(const Node& convolution);

// Whether it is a convolution of each channel by itself for which there is a kernel (chains.h).
bool is_depthwise(const Net& net, const Node& node);

// The layout that a Transpose of a picture changes to: its permutations.
inline const std::vector<std::int64_t> kToLast{0, 2, 3, 1}, kToFirst{0, 3, 1, 2};
// The input of the Transpose by these numbers that makes the tensor; else null.
const std::string* transposed_by(const Net& net, const std::string& name, const std::vector<std::int64_t>& permutation);

// Rows [pictures, places, channels] that are made of pictures with channels first, and such pictures that are made of
// rows, become Reshapes of pictures with channels last, and their Transposes: those cancel out with others.
void lay_rows_last(Net& net);

// What a tensor is a whole number of times as large as.
struct Resized {
  std::string source;
  OperandSize size;
};
// Nothing where it is not made so.
std::optional<Resized> resized(const Net& net, const std::string& name);

// What is done to each number of rows that are made of a depthwise convolution is done before they are made.
void put_at_convolutions(Net& net);

}  // namespace image_engine::graph
