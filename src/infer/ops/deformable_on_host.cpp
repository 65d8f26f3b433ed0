#include "infer/ops/deformable_steps.h"

namespace image_engine::infer {

const char* run_deformable_on_host(const Deformable& work, void*) {
  for (std::uint32_t i = 0; i < samples_of(work); ++i) run_sample(work, i);
  return nullptr;
}

}  // namespace image_engine::infer
