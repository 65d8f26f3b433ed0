#include "infer/vnni.h"

#include <cpuid.h>

namespace image_engine::infer {
namespace {

// CPUID leaf 7, subleaf 1, EAX bit 4 (Intel's Software Developer's Manual, volume 2). Clang 16 has no name for it.
bool has_avx_vnni() {
  constexpr unsigned kAvxVnni = 1U << 4;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kAvxVnni) != 0;
}

}  // namespace

bool has_vnni() {
  static const bool kHas = __builtin_cpu_supports("avx512vnni") || has_avx_vnni();
  return kHas;
}

}  // namespace image_engine::infer
