// The CPU's vector instructions: what our own loops use.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/result.h"

namespace image_engine {

enum class CpuLevel : std::uint8_t {
  kBaseline,  // what every CPU of the architecture has
  kAvx2,      // AVX2, FMA, F16C
  kAvx512,    // AVX-512 F, BW, VNNI
};
// From the lowest to the highest.
inline constexpr CpuLevel kCpuLevels[] = {CpuLevel::kBaseline, CpuLevel::kAvx2, CpuLevel::kAvx512};

// "baseline", "avx2", "avx512": the values of IMAGE_ENGINE_CPU.
std::string_view cpu_level_name(CpuLevel level);

// The variable that lowers the level: never above what the CPU has, no limit where it is unset or empty.
inline constexpr const char* kCpuVariable = "IMAGE_ENGINE_CPU";

// The value of IMAGE_ENGINE_CPU; the highest level for an empty one. kInvalidArgument, with the list of valid values,
// for anything else.
Result<CpuLevel> parse_cpu_limit(std::string_view value);
// The same of the environment: programs check it once, at their start.
Status check_cpu_limit();

// The highest level that the CPU and the operating system offer, whatever IMAGE_ENGINE_CPU is.
CpuLevel cpu_offers();

// Whether loops for `level` are to be used: it is offered and within IMAGE_ENGINE_CPU, as it was when first asked (an
// invalid value limits nothing). All functions here are thread-safe, and may be called before main().
bool cpu_uses(CpuLevel level);
// The same for the POPCNT instruction, which older CPUs have without AVX2: not at IMAGE_ENGINE_CPU=baseline.
bool cpu_uses_popcnt();

// Whether the CPU multiplies bytes without saturation: VNNI, of AVX-512 or of AVX, whose dot products of unsigned by
// signed bytes are summed in 32 bits. Without it ONNX Runtime's kernel for uint8 × int8 adds pairs of products in 16
// bits (vpmaddubsw), which saturate: 2 × 255 × 127 > 32767. IMAGE_ENGINE_CPU does not change it, as it does not change
// what ONNX Runtime chooses.
bool cpu_has_vnni();

}  // namespace image_engine
