// Inputs whose rows are on GPUs.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/result.h"
#include "types/tensor.h"

namespace image_engine::infer {

bool has_gpu_rows(std::span<const Tensor> inputs);
// Whether some of them are on another GPU than `device`.
bool has_rows_elsewhere(std::span<const Tensor> inputs, int device);
// The GPU with most of the rows; none: all are on the host.
std::optional<int> home_of(std::span<const Tensor> inputs);

// The inputs with their rows in `data`, but for those that are on GPU `kept`, which stay there. Each row is copied
// by the GPU that it is on, so that GPUs need no access to each other's memory. kKilled: they are lost with it, and
// whoever made them can make them again. Thread-safe.
Result<std::vector<Tensor>> on_host(std::span<const Tensor> inputs, std::optional<int> kept = {});

}  // namespace image_engine::infer
