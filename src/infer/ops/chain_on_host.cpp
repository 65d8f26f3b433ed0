#include "infer/ops/chain_steps.h"

namespace image_engine::infer {
namespace {

template <std::uint32_t kOperands>
void run_all_plain(const Chain& chain) {
  for (std::uint32_t first = 0; first < chain.count; first += kPlainWords * kLanes)
    run_plain<kOperands, kLanes>(chain, first);
}

}  // namespace

const char* run_chain_on_host(const Chain& chain, void*) {
  if (chain.is_plain) {
    with_operands(chain, [&](auto operands) { run_all_plain<decltype(operands)::value>(chain); });
    return nullptr;
  }
  for (std::uint32_t first = 0; first < chain.count; first += kLanes) run_lane(chain, first);
  return nullptr;
}

}  // namespace image_engine::infer
