#include "vision/text_input.h"

#include <algorithm>
#include <array>
#include <string>

#include "vision/graph_checks.h"

namespace image_engine::vision {
namespace {

constexpr std::string_view kTextMask = "attention_mask";
constexpr std::array<std::string_view, 3> kTextInputs{kTextIds, kTextMask, "token_type_ids"};

// Converts an integer to an input of 32 or 64 bits.
void set_integer(Tensor& tensor, std::size_t at, std::int64_t value) {
  if (tensor.type == ElementType::kInt64)
    tensor.as<std::int64_t>()[at] = value;
  else
    tensor.as<std::int32_t>()[at] = static_cast<std::int32_t>(value);
}

}  // namespace

Status check_text_input(const infer::TensorInfo& input, std::size_t context) {
  if (std::ranges::find(kTextInputs, input.name) == kTextInputs.end())
    return fail(ErrorCode::kCorrupt, "its text graph has an input '" + input.name + "', which is not a text input");
  const bool whole = input.type == ElementType::kInt64 || input.type == ElementType::kInt32;
  const bool sound = whole && input.shape.size() == 2 && (input.shape[0] < 0 || input.shape[0] == 1) &&
                     (input.shape[1] < 0 || static_cast<std::size_t>(input.shape[1]) == context);
  if (sound) return {};
  return fail(ErrorCode::kCorrupt, "its text graph's input '" + input.name + "' is " + shape_text(input.shape) +
                                       ", not integers [?," + std::to_string(context) + "]");
}

Tensor text_input(const infer::TensorInfo& input, std::span<const std::vector<std::int64_t>> ids, std::size_t length,
                  std::int64_t padding) {
  Tensor tensor = Tensor::zeros(input.type, {static_cast<std::int64_t>(ids.size()), static_cast<std::int64_t>(length)});
  for (std::size_t row = 0; row < ids.size(); ++row)
    for (std::size_t i = 0; i < length; ++i) {
      const bool there = i < ids[row].size();
      if (input.name == kTextIds) set_integer(tensor, row * length + i, there ? ids[row][i] : padding);
      if (input.name == kTextMask) set_integer(tensor, row * length + i, there ? 1 : 0);
    }
  return tensor;
}

}  // namespace image_engine::vision
