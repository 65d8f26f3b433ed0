// A configuration file: applied as a whole or not at all, and every value in force is one that a flag could set.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/config.h"

using namespace image_engine;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  Config config;
  if (!apply_yaml(config, {reinterpret_cast<const char*>(data), size}, "fuzz.yaml")) {
    if (!config.origins.empty()) std::abort();
    return 0;
  }
  for (const auto& entry : describe(config)) {
    Config other;
    if (!set(other, entry.key, entry.value)) std::abort();
  }
  return 0;
}
