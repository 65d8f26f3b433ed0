// Several pictures in one run of a graph.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "infer/session.h"
#include "types/tensor.h"

namespace image_engine::vision {

// Whether the graph leaves open how many pictures or texts a run has.
bool takes_batches(const std::vector<infer::TensorInfo>& inputs);

// One tensor of those of one picture each; all have the same shape and type.
Tensor stacked(std::span<const Tensor* const> pictures);

// What a run of `rows` pictures gave for each of them. An output that is not of one row a picture gives nothing.
std::vector<std::vector<Tensor>> unstacked(const std::vector<Tensor>& outputs, std::size_t rows);

}  // namespace image_engine::vision
