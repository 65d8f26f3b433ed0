#include "infer/ops/norm_steps.h"

namespace image_engine::infer {
namespace {

template <typename Number>
void normalize(const RowNorm& work, std::uint32_t row) {
  NormPart parts[kMostNormThreads];
  const auto of_all = [&](float mean, bool of_squares) {
    float sum = 0;
    for (std::uint32_t i = 0; i < work.threads; ++i) sum += part_sum(work, parts[i], i, mean, of_squares);
    return sum / static_cast<float>(work.channels);
  };
  for (std::uint32_t i = 0; i < work.threads; ++i) parts[i] = read_part<Number>(work, row, i);
  const float mean = of_all(0, false), variance = of_all(mean, true);
  for (std::uint32_t i = 0; i < work.threads; ++i) write_part<Number>(work, row, i, parts[i], mean, variance);
}

}  // namespace

const char* run_norm_on_host(const RowNorm& work, void*) {
  for (std::uint32_t row = 0; row < work.count; ++row)
    work.is_half ? normalize<Half>(work, row) : normalize<float>(work, row);
  return nullptr;
}

}  // namespace image_engine::infer
