#include "infer/ops/depthwise_steps.h"

namespace image_engine::infer {
namespace {

template <int kSize, int kStride, typename Number>
struct HostStrips {
  static const char* run(const DepthwiseChain& work, void*) {
    for (std::uint32_t i = 0; i < strips_of(work); ++i) run_strip<kSize, kStride, Number>(work, i);
    return nullptr;
  }
};

}  // namespace

const char* run_depthwise_on_host(const DepthwiseChain& work, void* stream) {
  return run_strips<HostStrips>(work, stream);
}

}  // namespace image_engine::infer
