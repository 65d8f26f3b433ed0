// SHA-256 (FIPS 180-4) by the CPU's SHA extensions, for core/hash.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "core/hash.h"

namespace image_engine {

using Sha256State = std::array<std::uint32_t, 8>;  // H0…H7

// The SHA-256 of each sequence into states[i]; both have the same size. Two sequences at a time, a block of each in
// turns: a round waits for the one before, so that the second costs little. Only where cpu_uses_sha(). Thread-safe.
void sha256_in_pairs(std::span<const ByteSequence> sequences, std::span<Sha256State> states);

}  // namespace image_engine
