// What every target here shares. The libraries themselves are not instrumented: what is looked for is our own code, and
// theirs as far as it crashes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "media/media.h"

// Leaks on errors inside the libraries are the worker's to survive: it is replaced when its memory grows.
extern "C" const char* __asan_default_options() { return "detect_leaks=0:allocator_may_return_null=1"; }

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  if (!image_engine::media::init(1)) std::abort();
  return 0;
}

inline image_engine::media::Bytes as_file(const std::uint8_t* data, size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}
