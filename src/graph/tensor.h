// The numbers of an ONNX tensor. All functions are thread-safe.
#pragma once

#include <onnx/onnx.pb.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/runtime.h"

namespace image_engine::graph {

std::size_t count_of(const onnx::TensorProto& tensor);
TensorFacts facts_of(const onnx::TensorProto& tensor);

// The i-th number of a tensor of float, double, float16, bool or whole numbers; nothing for other types, and where the
// tensor holds fewer numbers than its dimensions promise.
std::optional<double> number_at(const onnx::TensorProto& tensor, std::size_t i);
// All numbers of a tensor of int64; nothing for other types.
std::optional<std::vector<std::int64_t>> whole_numbers(const onnx::TensorProto& tensor);
// All numbers of a tensor of float; nothing for other types.
std::optional<std::vector<float>> floats(const onnx::TensorProto& tensor);
// Whether any number is not zero; true where the numbers cannot be read.
bool has_nonzero(const onnx::TensorProto& tensor);

onnx::TensorProto float_tensor(std::span<const float> values, const std::vector<std::int64_t>& dims);
onnx::TensorProto int_tensor(const std::vector<std::int64_t>& values);
// `values` rounded to the nearest float16; beyond its range: infinity.
onnx::TensorProto half_tensor(std::span<const float> values, const onnx::TensorProto& like);

std::uint16_t half_of(float value);
float float_of(std::uint16_t half);

}  // namespace image_engine::graph
