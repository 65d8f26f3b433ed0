// Inputs and outputs of models.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

namespace image_engine {

enum class ElementType : std::uint8_t { kFloat32, kFloat16, kInt64, kInt32, kUint8, kBool };

constexpr std::size_t element_size(ElementType type) {
  switch (type) {
    case ElementType::kInt64:
      return 8;
    case ElementType::kFloat32:
    case ElementType::kInt32:
      return 4;
    case ElementType::kFloat16:
      return 2;
    case ElementType::kUint8:
    case ElementType::kBool:
      return 1;
  }
  return 1;
}

// A tensor's row in a GPU's memory, which is kept until the last copy is destroyed.
struct GpuRow {
  std::shared_ptr<const void> address;  // null: there is none
  int device = 0;                       // CUDA's number of the GPU
  explicit operator bool() const { return address != nullptr; }
};

// Dense, row-major, in the machine's byte order. data.size() is the product of `shape` times element_size(type), less
// the rows that are on a GPU.
struct Tensor {
  ElementType type = ElementType::kFloat32;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> data;
  // Of a model's input with rows on a GPU: shape[0] of them. One without address is in `data`, behind those before it.
  std::vector<GpuRow> gpu_rows = {};

  // Zeros. `shape` has no negative numbers.
  static Tensor zeros(ElementType type, std::vector<std::int64_t> shape) {
    Tensor tensor{type, std::move(shape), {}};
    tensor.data.resize(tensor.count() * element_size(type));
    return tensor;
  }

  [[nodiscard]] std::size_t count() const {
    return std::accumulate(shape.begin(), shape.end(), std::size_t{1},
                           [](std::size_t product, std::int64_t n) { return product * static_cast<std::size_t>(n); });
  }
  // The elements; T must match `type` (std::uint16_t for kFloat16).
  template <typename T>
  [[nodiscard]] std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
  template <typename T>
  [[nodiscard]] std::span<T> as() {
    return {reinterpret_cast<T*>(data.data()), data.size() / sizeof(T)};
  }
};

}  // namespace image_engine
