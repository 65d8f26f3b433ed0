// Dot products of one query with many rows, with the CPU's fastest kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace image_engine::search {

// The length of rows and queries is a multiple of this; zeros fill the end.
inline constexpr std::size_t kRowStep = 64;

// Zeroed bytes, aligned to a cache line.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t size) : lines_((size + sizeof(Line) - 1) / sizeof(Line)) {}
  template <typename T>
  T* as() {
    return reinterpret_cast<T*>(lines_.data());
  }
  template <typename T>
  const T* as() const {
    return reinterpret_cast<const T*>(lines_.data());
  }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> lines_;
};

struct Kernels {
  const char* name;  // "avx512"
  // dots[i] = query · row number rows[i] of `stride` numbers each, from `base` on. `base` and `query` are aligned to 64
  // bytes. Rows are IEEE binary16; NaN or infinity in a row makes its dot NaN or infinity.
  void (*half_dots)(const std::uint16_t* base, std::size_t stride, std::span<const std::uint32_t> rows,
                    const float* query, float* dots);
  // The same in integers. The sum of |query| × 127 must be below 2³¹.
  void (*byte_dots)(const std::int8_t* base, std::size_t stride, std::span<const std::uint32_t> rows,
                    const std::int16_t* query, std::int32_t* dots);
};

// The kernels that the CPU supports and IMAGE_ENGINE_CPU permits (core/cpu.h), fastest first; the last is plain C++.
std::span<const Kernels> usable_kernels();

}  // namespace image_engine::search
