// Inputs whose rows are on a GPU.
#pragma once

#include <span>
#include <vector>

#include "core/result.h"
#include "types/tensor.h"

namespace image_engine::infer {

bool has_gpu_rows(std::span<const Tensor> inputs);

// The inputs with all rows in `data`, copied from GPU `device`. kKilled: they are lost with it, and whoever made them
// can make them again. Thread-safe.
Result<std::vector<Tensor>> on_host(std::span<const Tensor> inputs, int device = 0);

}  // namespace image_engine::infer
