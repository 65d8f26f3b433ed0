// Reports to ThreadSanitizer the ordering that a library compiled without it guarantees. No effect in other builds.
#pragma once

#include "core/sanitizers.h"

#if IE_THREAD_SANITIZER
extern "C" void __tsan_acquire(void* address);  // NOLINT: the names are the sanitizer's
extern "C" void __tsan_release(void* address);  // NOLINT
#endif

namespace image_engine::pipeline {

// Everything that a thread did before happens_before(x) is visible to a thread after happens_after(x). The caller
// asserts that the library guarantees it; `x` is only an identifier.
inline void happens_before([[maybe_unused]] const void* x) {
#if IE_THREAD_SANITIZER
  __tsan_release(const_cast<void*>(x));
#endif
}
inline void happens_after([[maybe_unused]] const void* x) {
#if IE_THREAD_SANITIZER
  __tsan_acquire(const_cast<void*>(x));
#endif
}

}  // namespace image_engine::pipeline
