#include "infer/ops/depthwise.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace image_engine::infer {
namespace {

constexpr std::int64_t kMostPad = 16;

bool is_wide(const void* data) { return reinterpret_cast<std::uintptr_t>(data) % 16 == 0; }

}  // namespace

const char* depthwise_shape(std::span<const std::int64_t> picture, std::span<const std::int64_t> weights,
                            const DepthwiseAttributes& attributes, std::array<std::int64_t, 4>& output) {
  const auto& [strides, pads] = attributes;
  if (picture.size() != 4 || weights.size() != 4 || weights[0] != weights[1] || weights[2] != 1 ||
      weights[3] != picture[3])
    return "its weights are of another shape";
  if (std::ranges::count(graph::kDepthwiseSizes, weights[0]) == 0 || picture[3] % graph::kDepthwiseChannels != 0)
    return "there is no kernel of this size, or for so many channels";
  if (strides.size() != 2 || strides[0] != strides[1] || strides[0] < 1 || strides[0] > graph::kMostDepthwiseStride)
    return "it has other strides";
  if (pads.size() != 4 || std::ranges::any_of(pads, [](std::int64_t pad) { return pad < 0 || pad > kMostPad; }))
    return "it has other pads";
  if (picture[1] == 0 || picture[2] == 0) return "its picture is empty";
  const auto side = [&](std::size_t axis) {
    const std::int64_t free = picture[axis + 1] + pads[axis] + pads[axis + 2] - weights[0];
    return free < 0 ? 0 : free / strides[0] + 1;
  };
  output = {picture[0], side(0), side(1), picture[3]};
  return nullptr;
}

const char* fill_depthwise(std::span<const ChainTensor> inputs, const DepthwiseAttributes& attributes,
                           std::span<const std::int64_t> output, void* result, bool is_half, DepthwiseChain& work) {
  const ChainTensor &picture = inputs[0], &weights = inputs[1];
  if (picture.is_half != weights.is_half) return "its weights are of another type";
  if (!is_wide(picture.data) || !is_wide(weights.data)) return "a tensor does not begin at a multiple of 16 bytes";
  std::int64_t read = 1;
  for (const std::int64_t side : picture.shape) {
    if (side > 0 && read > std::numeric_limits<std::int32_t>::max() / side) return "a tensor of more than 2³¹ numbers";
    read *= side;
  }
  std::vector<ChainTensor> tensors{{picture.data, output, picture.is_half}};
  tensors.insert(tensors.end(), inputs.begin() + 2, inputs.end());
  if (const char* problem = fill_tensors(tensors, result, is_half, work.chain)) return problem;
  const auto small = [](std::int64_t number) { return static_cast<std::uint32_t>(number); };
  work.picture = picture.data;
  work.weights = weights.data;
  work.rows = small(output[0]);
  work.height = small(picture.shape[1]);
  work.width = small(picture.shape[2]);
  work.channels = small(output[3]);
  work.out_height = small(output[1]);
  work.out_width = small(output[2]);
  work.top = static_cast<std::int32_t>(attributes.pads[0]);
  work.left = static_cast<std::int32_t>(attributes.pads[1]);
  work.size = static_cast<std::uint8_t>(weights.shape[0]);
  work.stride = static_cast<std::uint8_t>(attributes.strides[0]);
  work.is_half = picture.is_half;
  return nullptr;
}

}  // namespace image_engine::infer
