#include "core/cpu.h"

#include <fmt/format.h>
#include <sched.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <thread>

#include "core/file.h"
#include "core/text.h"

namespace image_engine {
namespace {

constexpr std::string_view kLevelNames[] = {"baseline", "avx2", "avx512"};

#if defined(__x86_64__)
// Every CPU with AVX2 has F16C, which not every compiler can detect.
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vnni");
}
bool has_popcnt() { return __builtin_cpu_supports("popcnt"); }
// CPUID leaf 7, subleaf 1, EAX bit 4 (Intel's Software Developer's Manual, volume 2). Clang 16 has no name for it.
bool has_avx_vnni() {
  constexpr unsigned kAvxVnni = 1U << 4;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kAvxVnni) != 0;
}
// CPUID leaf 7, EBX bit 29. GCC 12 and clang 16 have no name for it.
bool has_sha() {
  constexpr unsigned kSha = 1U << 29;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & kSha) != 0;
}
bool has_vnni() { return __builtin_cpu_supports("avx512vnni") || has_avx_vnni(); }
void find_features() { __builtin_cpu_init(); }  // for calls before main()
#else
bool has_avx2() { return false; }
bool has_avx512() { return false; }
bool has_popcnt() { return false; }
bool has_sha() { return false; }
bool has_vnni() { return false; }
void find_features() {}
#endif

CpuLevel cpu_limit() {
  static const CpuLevel kLimit = parse_cpu_limit(environment(kCpuVariable)).value_or(CpuLevel::kAvx512);
  return kLimit;
}

}  // namespace

std::string_view cpu_level_name(CpuLevel level) { return kLevelNames[static_cast<std::size_t>(level)]; }

Result<CpuLevel> parse_cpu_limit(std::string_view value) {
  if (value.empty()) return CpuLevel::kAvx512;
  for (const CpuLevel level : kCpuLevels)
    if (value == cpu_level_name(level)) return level;
  return fail(ErrorCode::kInvalidArgument, fmt::format("{} is '{}': unset it, or use one of {}", kCpuVariable,
                                                       printable(value), fmt::join(kLevelNames, ", ")));
}

Status check_cpu_limit() {
  IE_CHECK(parse_cpu_limit(environment(kCpuVariable)));
  return {};
}

CpuLevel cpu_offers() {
  static const CpuLevel kOffered = [] {
    find_features();
    return !has_avx2() ? CpuLevel::kBaseline : has_avx512() ? CpuLevel::kAvx512 : CpuLevel::kAvx2;
  }();
  return kOffered;
}

bool cpu_uses(CpuLevel level) { return level <= std::min(cpu_offers(), cpu_limit()); }

bool cpu_uses_popcnt() {
  find_features();
  return cpu_limit() > CpuLevel::kBaseline && has_popcnt();
}

bool cpu_uses_sha() {
  find_features();
  static const bool kHas = has_sha();
  return cpu_limit() > CpuLevel::kBaseline && kHas;
}

unsigned available_cores() {
  cpu_set_t cores;
  const bool known = ::sched_getaffinity(0, sizeof cores, &cores) == 0;
  const unsigned count = known ? static_cast<unsigned>(CPU_COUNT(&cores)) : std::thread::hardware_concurrency();
  return std::max(count, 1U);
}

bool cpu_has_vnni() {
  static const bool kHas = has_vnni();
  return kHas;
}

}  // namespace image_engine
