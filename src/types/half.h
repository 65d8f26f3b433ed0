// Half-precision numbers, IEEE 754 binary16, in which vectors are stored.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace image_engine {

// Rounds to nearest even. Keeps subnormals; overflow becomes infinity. Thread-safe.
std::uint16_t to_half(float value);
std::vector<std::uint16_t> to_half(std::span<const float> values);
std::vector<float> from_half(std::span<const std::uint16_t> values);

}  // namespace image_engine
