#include "infer/ops/chain_steps.h"

namespace image_engine::infer {

const char* run_chain_on_host(const Chain& chain, void*) {
  for (std::uint32_t first = 0; first < chain.count; first += kLanes) run_lane(chain, first);
  return nullptr;
}

}  // namespace image_engine::infer
