// Pixels of ours as a PNG, JPEG or WebP, which a worker writes: only it has the libraries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/result.h"
#include "worker/pool.h"

namespace image_engine::worker {

// `task` says what the pixels are and what they become; its offset is not used. Waits for a free worker: a thread that
// holds the only one gives it back before. Errors: kUnsupported (too large for the format, or alpha in a JPEG),
// kMachine, those of Lease::run(). Thread-safe.
Result<std::vector<std::byte>> encode_pixels(Pool& pool, std::span<const std::uint8_t> pixels, EncodeTask task);

}  // namespace image_engine::worker
