// Operators of our own for ONNX Runtime; src/infer/ops has their kernels.
//
// PointwiseChain: steps on each element of a tensor, one after the other,
// without a pass over memory between them.
//
// Inputs: 0 is what the steps begin with and has the shape of the output; the others are operands, broadcast to it as
// ONNX does. Each is float32 or float16; steps compute in float32. Attribute `steps`: for each step its code and its
// operand's number, −1 for none. Two names, as the type of the output is the operator's: kChainFull, kChainHalf.
#pragma once

#include <cstdint>

namespace image_engine::graph {

inline constexpr const char* kOwnDomain = "image_engine";
inline constexpr const char* kChainFull = "PointwiseChain";
inline constexpr const char* kChainHalf = "PointwiseChainHalf";
inline constexpr const char* kChainSteps = "steps";

// An operand may be smaller than the output by whole numbers of times, both with channels last, and as many channels, a
// multiple of kDepthwiseChannels. Attribute `sizes`, where there are such: for each input one of these.
enum class OperandSize : std::uint8_t {
  kSame,     // as large, or broadcast
  kNearest,  // each number is repeated
  kLinear,   // between the centres of two numbers in proportion, beyond the outermost as they are
  kCount
};
inline constexpr const char* kChainSizes = "sizes";

// DepthwiseChain: a convolution of each channel by itself, with channels last, and steps on its sums. Inputs: 0 the
// picture [rows, height, width, channels], 1 the weights [size, size, 1, channels] of the same type, then the steps'
// operands, which are numbered from 1 and broadcast to the output. Attributes: `steps`; `strides`: two equal numbers;
// `pads`: top, left, bottom, right.
inline constexpr const char* kDepthwiseFull = "DepthwiseChain";
inline constexpr const char* kDepthwiseHalf = "DepthwiseChainHalf";
inline constexpr const char* kDepthwiseStrides = "strides";
inline constexpr const char* kDepthwisePads = "pads";
// What there are kernels for; the channels are a multiple of kDepthwiseChannels.
inline constexpr int kDepthwiseSizes[] = {3, 5, 7};
inline constexpr int kMostDepthwiseStride = 2;
inline constexpr int kDepthwiseChannels = 8;

inline constexpr int kMostChainSteps = 24;
inline constexpr int kMostChainInputs = 12;
// Stretches of neighbouring dimensions in which an operand is all broadcast, or not at all.
inline constexpr int kMostChainGroups = 4;

// x is the element, o the operand's. The numbers are part of graphs that are kept: graph::kMakerVersion changes with
// them.
enum class ChainCode : std::uint8_t {
  kAdd,           // x + o
  kSubtract,      // x − o
  kSubtractFrom,  // o − x
  kMultiply,      // x · o
  kDivide,        // x / o
  kDivideInto,    // o / x
  kAtLeast,       // the greater of x and o
  kAtMost,        // the lesser
  kRelu,
  kSigmoid,
  kSilu,  // x · σ(x)
  kGelu,  // x · (1 + erf(x / √2)) / 2
  kTanh,
  kExp,
  kLog,
  kSqrt,
  kAbs,
  kNegate,
  kCount
};

// Whether a step has an operand.
constexpr bool takes_operand(ChainCode code) { return code < ChainCode::kRelu; }

// DeformableSum: multi-scale deformable attention. Inputs: 0 rows [pictures, places, heads · size], those of several
// levels one after the other; 1 points [pictures, queries, heads, points, 2], x and y from −1 to 1 as GridSample has
// them; 2 their weights [pictures, queries, heads, points]. Output: [pictures, queries, heads · size], the weighted
// sums of what lies at the points, by linear interpolation, with zeros outside. Attribute `levels`: for each level its
// first place, height, width and points. The size of a head is a multiple of kDeformableChannels.
inline constexpr const char* kDeformableFull = "DeformableSum";
inline constexpr const char* kDeformableHalf = "DeformableSumHalf";
inline constexpr const char* kDeformableLevels = "levels";
inline constexpr int kMostDeformableLevels = 8;
inline constexpr int kDeformableChannels = 8;

// ChannelsLast: a picture [rows, channels, height, width] as [rows, height, width, channels]. At most kMostTurned
// channels; height · width is a multiple of kTurnedPlaces.
inline constexpr const char* kLastFull = "ChannelsLast";
inline constexpr const char* kLastHalf = "ChannelsLastHalf";
inline constexpr int kMostTurned = 4;
inline constexpr int kTurnedPlaces = 8;

// WindowMax: the greatest number of each window of each channel, of a picture [rows, height, width, channels], whose
// channels are a multiple of kWindowChannels, and of the output's type. Attribute `window`: size, stride, the pads top,
// left, bottom and right, and whether the pads are zeros (1) or nothing (0).
inline constexpr const char* kWindowFull = "WindowMax";
inline constexpr const char* kWindowHalf = "WindowMaxHalf";
inline constexpr const char* kWindow = "window";
inline constexpr int kWindowNumbers = 7;
inline constexpr int kMostWindow = 8;
inline constexpr int kWindowChannels = 8;

// RowNorm: x' = (x − mean) / √(variance + epsilon) · gain + shift of each row, the last dimension. Inputs, all of the
// output's type: 0 the rows, 1 gain, 2 shift, then, if there are, 3 what is added to the rows before, of their shape,
// and 4 a vector that is added, too. RowNormSum has a second output: the sums. Attribute `epsilon`. A row is a multiple
// of kNormChannels and at most kMostNormChannels.
inline constexpr const char* kNormFull = "RowNorm";
inline constexpr const char* kNormHalf = "RowNormHalf";
inline constexpr const char* kNormSumFull = "RowNormSum";
inline constexpr const char* kNormSumHalf = "RowNormSumHalf";
inline constexpr const char* kNormEpsilon = "epsilon";
inline constexpr int kNormChannels = 8;
inline constexpr int kMostNormChannels = 512;

}  // namespace image_engine::graph
