#include "infer/ops/chain.h"

#include <limits>

namespace image_engine::infer {
namespace {

using graph::ChainCode;
using graph::kMostChainGroups;
using graph::kMostChainInputs;
using graph::kMostChainSteps;

constexpr std::int64_t kMostElements = std::numeric_limits<std::int32_t>::max();

bool is_aligned(const void* data) { return reinterpret_cast<std::uintptr_t>(data) % 16 == 0; }

// The operand's sizes and strides; false where it cannot be broadcast.
bool lay_out(std::span<const std::int64_t> shape, std::span<const std::int64_t> output, Operand& operand) {
  if (shape.size() > output.size()) return false;
  operand.groups = 0;
  std::uint32_t stride = 1;
  for (std::size_t i = 0; i < output.size(); ++i) {  // from the innermost
    const std::int64_t size = output[output.size() - 1 - i];
    const std::int64_t side = i < shape.size() ? shape[shape.size() - 1 - i] : 1;
    if (side != 1 && side != size) return false;
    if (size == 1) continue;
    const std::uint32_t step = side == 1 ? 0 : stride;
    stride *= static_cast<std::uint32_t>(side);
    if (operand.groups > 0 && (operand.strides[operand.groups - 1] == 0) == (step == 0)) {
      operand.sizes[operand.groups - 1] *= static_cast<std::uint32_t>(size);
      continue;
    }
    if (operand.groups == kMostChainGroups) return false;
    operand.sizes[operand.groups] = static_cast<std::uint32_t>(size);
    operand.strides[operand.groups++] = step;
  }
  if (operand.groups == 0) {
    operand.sizes[0] = 1;
    operand.strides[operand.groups++] = 0;
  }
  return true;
}

Access access_of(const Operand& operand) {
  if (operand.groups > 1 && operand.sizes[0] % kLanes != 0) return Access::kEach;
  if (operand.strides[0] == 0) return Access::kOne;
  return is_aligned(operand.data) ? Access::kWide : Access::kEach;
}

}  // namespace

const char* fill_steps(std::span<const std::int64_t> steps, Chain& chain) {
  if (steps.size() % 2 != 0 || steps.size() / 2 > kMostChainSteps) return "it has too many steps, or half a step";
  chain.step_count = static_cast<std::uint8_t>(steps.size() / 2);
  for (std::size_t i = 0; i < chain.step_count; ++i) {
    const std::int64_t code = steps[2 * i], operand = steps[2 * i + 1];
    if (code < 0 || code >= static_cast<std::int64_t>(ChainCode::kCount)) return "it has an unknown step";
    const auto known = static_cast<ChainCode>(code);
    if (takes_operand(known) ? operand < 1 || operand >= kMostChainInputs : operand != -1)
      return "a step's operand is not there";
    chain.steps[i] = {known, static_cast<std::int8_t>(operand)};
  }
  return nullptr;
}

const char* fill_tensors(std::span<const ChainTensor> inputs, void* result, bool is_half, Chain& chain) {
  if (inputs.empty() || inputs.size() > kMostChainInputs) return "it has no inputs, or too many";
  for (std::size_t i = 0; i < chain.step_count; ++i)
    if (chain.steps[i].operand >= static_cast<std::int64_t>(inputs.size())) return "a step's operand is not there";
  std::int64_t count = 1;
  for (const std::int64_t side : inputs[0].shape) {
    if (side < 0 || (side > 0 && count > kMostElements / side)) return "a tensor of more than 2³¹ numbers";
    count *= side;
  }
  chain.count = static_cast<std::uint32_t>(count);
  chain.result = result;
  chain.is_half = is_half;
  chain.is_wide = is_aligned(result);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Operand& operand = chain.operands[i];
    operand.data = inputs[i].data;
    operand.is_half = inputs[i].is_half;
    if (!lay_out(inputs[i].shape, inputs[0].shape, operand)) return "an operand has another shape";
    operand.access = access_of(operand);
  }
  return nullptr;
}

}  // namespace image_engine::infer
