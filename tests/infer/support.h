// What the tests of this folder share. Their inputs are made by make_inputs.py, run by ctest.
#pragma once

#include <string>
#include <vector>

#include "tests/support/files.h"
#include "types/tensor.h"

namespace image_engine::infer {

inline const std::string kFolder = "infer_inputs/";

inline Tensor tensor_of(ElementType type, std::vector<std::int64_t> shape, const std::string& bytes) {
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  return {type, std::move(shape), {data, data + bytes.size()}};
}

inline Tensor floats(std::vector<std::int64_t> shape, const std::vector<float>& values) {
  return tensor_of(ElementType::kFloat32, std::move(shape),
                   {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
}

}  // namespace image_engine::infer
