#include "worker/protocol.h"

namespace image_engine::worker {

std::vector<std::string> missing_layers(const Layers& layers) {
  constexpr std::pair<std::uint8_t Layers::*, const char*> kLayers[] = {
      {&Layers::no_new_privileges, "no_new_privileges"},
      {&Layers::namespaces, "namespaces"},
      {&Layers::processes, "processes"},
      {&Layers::empty_root, "empty_root"},
      {&Layers::landlock, "landlock"},
      {&Layers::seccomp, "seccomp"},
      {&Layers::limits, "limits"},
  };
  std::vector<std::string> missing;
  for (const auto& [member, name] : kLayers)
    if (layers.*member == 0) missing.emplace_back(name);
  return missing;
}

SlotRange slot_range(std::uint32_t slot, std::uint64_t memory_bytes) {
  constexpr std::uint64_t kPage = 4096;
  const std::uint64_t bytes = (memory_bytes - kMaxReplyBytes) / kVideoSlots / kPage * kPage;
  return {kMaxReplyBytes + slot * bytes, kMaxReplyBytes + (slot + 1) * bytes};
}

}  // namespace image_engine::worker
