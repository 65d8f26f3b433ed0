// Sends the bytes of a file that is made to the engine, in slots.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "worker/process/slots.h"
#include "worker/protocol.h"

namespace image_engine::worker {

// Copies the bytes that stand at `position` into as many slots of `memory`, all of the shared memory, as they need, and
// sends archive_of(part) for each.
template <typename ArchiveOf>
void send_parts(std::span<std::byte> memory, Slots& slots, std::uint64_t position, std::span<const std::byte> bytes,
                const ArchiveOf& archive_of) {
  while (!bytes.empty()) {
    const std::uint32_t slot = slots.take();
    const SlotRange range = slots.range(slot);
    WrittenPart part{position, range.begin + kMostChunkBytes, 0};
    part.bytes = std::min<std::uint64_t>(bytes.size(), range.end - part.offset);
    std::memcpy(memory.data() + part.offset, bytes.data(), part.bytes);
    slots.send(slot, archive_of(part));
    bytes = bytes.subspan(part.bytes);
    position += part.bytes;
  }
}

}  // namespace image_engine::worker
