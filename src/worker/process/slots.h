// The slots of shared memory in which a worker sends what does not fit into one reply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "worker/protocol.h"

namespace image_engine::worker {

// Not thread-safe. Ends the program when the engine has closed the socket, or breaks the protocol.
class Slots {
 public:
  // `memory` is all of the shared memory. `number`: the request's.
  Slots(std::span<std::byte> memory, std::uint64_t number) : memory_(memory), number_(number) {}

  // A free slot; waits while the engine has released none.
  std::uint32_t take();
  [[nodiscard]] SlotRange range(std::uint32_t slot) const { return slot_range(slot, memory_.size()); }
  // Announces a slot that was filled. `archive` is copied to its start.
  void send(std::uint32_t slot, std::span<const std::byte> archive);
  // Waits until the engine has released it.
  void await(std::uint32_t slot);

 private:
  void take_release(bool wait);

  std::span<std::byte> memory_;
  std::uint64_t number_;
  std::uint32_t in_use_ = 0;  // by bit
};

}  // namespace image_engine::worker
