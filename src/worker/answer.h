// Whether an answer is one to what was asked. Its writer is not trusted.
#pragma once

#include "worker/protocol.h"

namespace image_engine::worker {

// Thumbnails and video clips have at most this many bytes for each pixel of the square that they fit in, and some for
// headers.
inline constexpr std::uint64_t kMostBytesAPixel = 4, kMostHeaderBytes = std::uint64_t{1} << 20;

// False for a reply that holds what was not asked for, is larger than asked for, points out of the `memory_bytes` of
// shared memory, or holds numbers and hashes that no file has. Error codes that are not a worker's to give become
// kInternal: it must not end the run or pass a file off as gone.
bool is_answer_to(const Request& request, Reply& reply, std::uint64_t memory_bytes);

// False for a chunk that no video has or that points out of its slot: times that do not rise after `last`, more frames
// than a chunk takes, pictures larger than asked for.
bool is_chunk_of(const Request& request, const VideoChunk& chunk, SlotRange slot, double last);

}  // namespace image_engine::worker
