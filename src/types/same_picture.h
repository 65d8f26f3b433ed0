// Whether two frames show the same, as far as small copies of them tell.
#pragma once

#include <cstdint>
#include <span>

namespace image_engine {

// Whether two small pictures, RGB, show the same but for noise: a detector would find the same. False where one has
// another size than 3 · width · height bytes. Meant for 64 × 36 pixels.
bool is_same_picture(std::span<const std::uint8_t> one, std::span<const std::uint8_t> other, std::uint32_t width,
                     std::uint32_t height);

}  // namespace image_engine
