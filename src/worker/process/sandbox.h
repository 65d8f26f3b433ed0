// The sandbox of the decoders. Each layer is optional: one that the kernel refuses is reported, not fatal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/protocol.h"

namespace image_engine::worker {

// Before any thread starts and before libraries load: privileges and namespaces.
void enter_early(Layers& layers);

// Once libraries have loaded all that they need from disk, with one thread: an empty root, resource limits, Landlock
// without any rule, seccomp. `memory_limit` bounds private memory, in bytes, on top of what is used at the call.
void enter_late(Layers& layers, std::uint64_t memory_limit);

// What memory is lacking, with the remedy; empty: none. Call before the limits are set.
std::string lacking_memory(std::uint64_t memory_limit);

// For tests: enters only one layer. "seccomp" or "landlock"; false for another name.
bool enter_only(std::string_view layer, Layers& layers);

}  // namespace image_engine::worker
