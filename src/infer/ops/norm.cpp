#include "infer/ops/norm.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace image_engine::infer {
namespace {

bool is_at_words(const void* data) { return reinterpret_cast<std::uintptr_t>(data) % 16 == 0; }

}  // namespace

const char* fill_norm(std::span<const ChainTensor> inputs, float epsilon, bool is_half, RowNorm& work) {
  if (inputs.size() < 3 || inputs.size() > 5) return "it needs rows, gain and shift";
  const auto& rows = inputs[0].shape;
  if (rows.empty()) return "its rows have no dimensions";
  const std::int64_t channels = rows.back();
  if (channels < 1 || channels % graph::kNormChannels != 0 || channels > graph::kMostNormChannels)
    return "there is no kernel for rows of this size";
  std::int64_t count = 1;
  for (const std::int64_t side : rows.subspan(0, rows.size() - 1)) {
    if (side < 0 || (side > 0 && count > std::numeric_limits<std::int32_t>::max() / channels / side))
      return "a tensor of more than 2³¹ numbers";
    count *= side;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool is_vector = i != 0 && i != 3;
    if (is_vector ? inputs[i].shape.size() != 1 || inputs[i].shape[0] != channels
                  : !std::ranges::equal(inputs[i].shape, rows))
      return "an input has another shape";
    if (inputs[i].is_half != is_half) return "an input is of another type";
    if (!is_at_words(inputs[i].data)) return "a tensor does not begin at a multiple of 16 bytes";
  }
  work.rows = inputs[0].data;
  work.gain = inputs[1].data;
  work.shift = inputs[2].data;
  work.added = inputs.size() > 3 ? inputs[3].data : nullptr;
  work.bias = inputs.size() > 4 ? inputs[4].data : nullptr;
  work.count = static_cast<std::uint32_t>(count);
  work.channels = static_cast<std::uint32_t>(channels);
  const std::uint32_t words = (work.channels / kLanes + kNormWords - 1) / kNormWords;
  work.threads = std::bit_ceil(words);
  work.epsilon = epsilon;
  work.is_half = is_half;
  return nullptr;
}

const char* fill_norm_results(void* result, void* sum, RowNorm& work) {
  if (!is_at_words(result) || !is_at_words(sum)) return "a tensor does not begin at a multiple of 16 bytes";
  work.result = result;
  work.sum = sum;
  return nullptr;
}

}  // namespace image_engine::infer
