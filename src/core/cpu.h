// The CPU's cores, and its vector instructions for our own loops.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/result.h"

namespace image_engine {

enum class CpuLevel : std::uint8_t {
  kBaseline,  // available on every CPU of the architecture
  kAvx2,      // AVX2, FMA, F16C
  kAvx512,    // AVX-512 F, BW, VNNI
};
// From the lowest to the highest.
inline constexpr CpuLevel kCpuLevels[] = {CpuLevel::kBaseline, CpuLevel::kAvx2, CpuLevel::kAvx512};

// "baseline", "avx2", "avx512": the values of IMAGE_ENGINE_CPU.
std::string_view cpu_level_name(CpuLevel level);

// The environment variable that lowers the level; it cannot raise it. No limit if unset or empty.
inline constexpr const char* kCpuVariable = "IMAGE_ENGINE_CPU";

// The value of IMAGE_ENGINE_CPU; the highest level for an empty one. kInvalidArgument, with the list of valid values,
// for anything else.
Result<CpuLevel> parse_cpu_limit(std::string_view value);
// The same for the environment: programs check it once, at their start.
Status check_cpu_limit();

// The highest level of the CPU and the operating system, regardless of IMAGE_ENGINE_CPU.
CpuLevel cpu_offers();

// Whether to use loops for `level`: the CPU has it, and it is within IMAGE_ENGINE_CPU as read on the first call (an
// invalid value limits nothing). All functions here are thread-safe, and may be called before main().
bool cpu_uses(CpuLevel level);
// The same for the POPCNT instruction, which older CPUs have without AVX2: not at IMAGE_ENGINE_CPU=baseline.
bool cpu_uses_popcnt();
// The same for the SHA extensions (SHA-256 and SSE4.1), which some CPUs with AVX2 lack: not at
// IMAGE_ENGINE_CPU=baseline.
bool cpu_uses_sha();

// The cores that this process may run on, at least 1.
unsigned available_cores();

// Whether the CPU multiplies bytes without saturation: VNNI (AVX-512 or AVX) sums products of unsigned and signed bytes
// in 32 bits. Without it ONNX Runtime's uint8 × int8 kernel adds pairs of products in 16 bits (vpmaddubsw), which
// saturate: 2 × 255 × 127 > 32767. IMAGE_ENGINE_CPU affects neither this nor ONNX Runtime's choice.
bool cpu_has_vnni();

}  // namespace image_engine
