#include "infer/ops/chain.h"

#include <algorithm>
#include <limits>

namespace image_engine::infer {
namespace {

using graph::ChainCode;
using graph::kMostChainGroups;
using graph::kMostChainInputs;
using graph::kMostChainSteps;

constexpr std::int64_t kMostElements = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMostSide = 1 << 15;  // of a picture that is made larger: a product of two is below 2³¹

bool is_aligned(const void* data) { return reinterpret_cast<std::uintptr_t>(data) % 16 == 0; }

// The operand's sizes and strides; false where it cannot be broadcast.
bool lay_out(std::span<const std::int64_t> shape, std::span<const std::int64_t> output, Operand& operand) {
  if (shape.size() > output.size()) return false;
  operand.groups = 0;
  std::uint32_t sizes[kMostChainGroups], stride = 1;
  for (std::size_t i = 0; i < output.size(); ++i) {  // from the innermost
    const std::int64_t size = output[output.size() - 1 - i];
    const std::int64_t side = i < shape.size() ? shape[shape.size() - 1 - i] : 1;
    if (side != 1 && side != size) return false;
    if (size == 1) continue;
    const std::uint32_t step = side == 1 ? 0 : stride;
    stride *= static_cast<std::uint32_t>(side);
    if (operand.groups > 0 && (operand.strides[operand.groups - 1] == 0) == (step == 0)) {
      sizes[operand.groups - 1] *= static_cast<std::uint32_t>(size);
      continue;
    }
    if (operand.groups == kMostChainGroups) return false;
    sizes[operand.groups] = static_cast<std::uint32_t>(size);
    operand.strides[operand.groups++] = step;
  }
  if (operand.groups == 0) {
    sizes[0] = 1;
    operand.strides[operand.groups++] = 0;
  }
  for (std::size_t i = 0; i < operand.groups; ++i) operand.sizes[i] = divider_of(std::max(sizes[i], 1U));
  return true;
}

Access access_of(const Operand& operand) {
  if (operand.groups > 1 && operand.sizes[0].number % kLanes != 0) return Access::kEach;
  if (operand.strides[0] == 0) return Access::kOne;
  return is_aligned(operand.data) ? Access::kWide : Access::kEach;
}

// The same for an operand that is made larger.
bool lay_out_smaller(std::span<const std::int64_t> shape, std::span<const std::int64_t> output, graph::OperandSize size,
                     Operand& operand) {
  if (shape.size() != 4 || output.size() != 4 || shape[0] != output[0] || shape[3] != output[3]) return false;
  if (output[3] % kLanes != 0 || !is_aligned(operand.data)) return false;
  for (const std::size_t i : {1, 2})
    if (shape[i] <= 0 || output[i] % shape[i] != 0 || output[i] == 0 || output[i] > kMostSide) return false;
  const auto small = [](std::int64_t side) { return static_cast<std::uint32_t>(side); };
  for (std::size_t i = 0; i < 3; ++i) {  // the innermost first
    operand.sizes[i] = divider_of(small(std::max<std::int64_t>(output[3 - i], 1)));
    operand.strides[i] = small(shape[3 - i]);
  }
  operand.access = size == graph::OperandSize::kNearest ? Access::kNearest : Access::kLinear;
  return true;
}

bool is_plain(const Chain& chain, std::size_t inputs) {
  if (inputs - 1 > kMostPlainOperands || chain.count % kLanes != 0 || !chain.is_half || !chain.is_wide) return false;
  return std::all_of(chain.operands, chain.operands + inputs, [](const Operand& operand) {
    return operand.is_half && operand.access != Access::kEach && operand.access != Access::kLinear;
  });
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

const char* fill_sizes(std::span<const std::int64_t> sizes, Chain& chain) {
  if (sizes.size() > kMostChainInputs || (!sizes.empty() && sizes[0] != 0)) return "its sizes are of no operands";
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 0 || sizes[i] >= static_cast<std::int64_t>(graph::OperandSize::kCount))
      return "it has an unknown size";
    chain.operand_sizes[i] = static_cast<graph::OperandSize>(sizes[i]);
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
    if (chain.operand_sizes[i] != graph::OperandSize::kSame) {
      if (!lay_out_smaller(inputs[i].shape, inputs[0].shape, chain.operand_sizes[i], operand))
        return "an operand cannot be made larger";
      continue;
    }
    if (!lay_out(inputs[i].shape, inputs[0].shape, operand)) return "an operand has another shape";
    operand.access = access_of(operand);
  }
  chain.is_plain = is_plain(chain, inputs.size());
  chain.plain_operands = static_cast<std::uint8_t>(inputs.size() - 1);
  return nullptr;
}

}  // namespace image_engine::infer
