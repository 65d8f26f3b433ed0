// The wall around the decoders. Each layer is optional: what the kernel refuses is reported, not fatal.
#pragma once

#include <cstdint>
#include <string>

namespace image_engine::worker {

struct SandboxReport {
  bool no_new_privileges = false;
  bool namespaces = false;  // user, network and IPC of their own: no network even if seccomp were bypassed
  int landlock = 0;         // ABI version in force; 0 none
  bool seccomp = false;     // system calls by allow-list
  bool limits = false;      // rlimits: memory, descriptors, core dumps

  // Whether at least the system calls or the file system are closed.
  [[nodiscard]] bool holds() const { return seccomp || (landlock > 0 && namespaces); }
};

// Before any thread starts and before libraries load: privileges and namespaces.
void enter_early(SandboxReport& report);

// Once libraries have loaded all that they need from disk: resource limits, Landlock without any rule, seccomp.
// `memory_limit` bounds private memory on top of what is used at the call.
void enter_late(SandboxReport& report, std::uint64_t memory_limit);

}  // namespace image_engine::worker
