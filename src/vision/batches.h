// Several pictures in one run of a graph.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "infer/session.h"
#include "types/tensor.h"

namespace image_engine::vision {

// Whether the graph accepts any number of pictures or texts in a run.
bool takes_batches(const std::vector<infer::TensorInfo>& inputs);

// Stacks one tensor per picture into one; all must have the same shape and type. Rows on a GPU stay there.
Tensor stacked(std::span<const Tensor* const> pictures);

// Splits the outputs of a run of `rows` pictures by picture. Empty if an output does not have one row per picture.
std::vector<std::vector<Tensor>> unstacked(const std::vector<Tensor>& outputs, std::size_t rows);

}  // namespace image_engine::vision
