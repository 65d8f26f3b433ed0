#include "infer/ops/operators.h"

extern "C" __attribute__((visibility("default"))) OrtStatus* RegisterCustomOps(OrtSessionOptions* options,
                                                                               const OrtApiBase* api) {
  using namespace image_engine::infer;
  constexpr OperatorProvider kProviders[] = {{nullptr, run_chain_on_host, run_depthwise_on_host, run_deformable_on_host,
                                              run_last_on_host, run_window_on_host, run_norm_on_host}};
  return add_operators(options, api, kProviders);
}
