#include "types/asset_name.h"

#include <span>
#include <string>

namespace image_engine {

Hash128 asset_name(const Hash128& coded, std::uint32_t orientation) {
  if (orientation < 2 || orientation > kOrientations) return coded;
  const std::string turned = "orientation" + std::to_string(orientation);
  ContentHasher hasher;
  hasher.update(std::as_bytes(std::span(turned)));
  hasher.update(std::as_bytes(std::span(coded.bytes)));
  return hasher.digest();
}

std::array<Hash128, kOrientations> asset_names(const Hash128& coded) {
  std::array<Hash128, kOrientations> names;
  for (std::uint32_t i = 0; i < kOrientations; ++i) names[i] = asset_name(coded, i + 1);
  return names;
}

}  // namespace image_engine
