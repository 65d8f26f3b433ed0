// The sandbox of the decoders. Each layer is optional: one that the kernel refuses is reported, not fatal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/protocol.h"

namespace image_engine::worker {

// Before any thread starts and before libraries load: privileges and namespaces.
void enter_early(Layers& layers);

struct Wall {
  std::uint64_t memory_limit = 0;  // bytes of private memory, on top of what is used at the call; 0: no limit
  std::uint64_t descriptors = 32;  // open at once
  // A file that may be mapped as code, once: for a loader that runs behind the wall. openat() then raises SIGSYS, so
  // that its handler can hand out this descriptor; nothing is ever opened.
  int code = -1;
  std::vector<int> devices = {};  // descriptors of open devices that may be controlled: ioctl() of no other is allowed
};

// Once libraries have loaded all that they need from disk: an empty root, resource limits, Landlock without any rule,
// seccomp. Landlock and the loss of privileges hold for the calling thread and those that it starts; all else for all.
void enter_late(Layers& layers, const Wall& wall);

// What memory is lacking, with the remedy; empty: none. Call before the limits are set.
std::string lacking_memory(std::uint64_t memory_limit);

// For tests: enters only one layer. "seccomp" or "landlock"; false for another name.
bool enter_only(std::string_view layer, Layers& layers);

}  // namespace image_engine::worker
