// Validates a worker's reply against its request. The worker is not trusted.
#pragma once

#include "worker/protocol.h"

namespace image_engine::worker {

// Thumbnails and video clips have at most this many bytes per pixel of the square that they fit in, plus headers.
inline constexpr std::uint64_t kMostBytesAPixel = 4, kMostHeaderBytes = std::uint64_t{1} << 20;

// False for a reply that has results that were not requested, is larger than requested, points outside the
// `memory_bytes` of shared memory, or has impossible numbers or hashes. Error codes that a worker may not return become
// kInternal: it must not end the run or report a file as missing.
bool is_answer_to(const Request& request, Reply& reply, std::uint64_t memory_bytes);

// False for a chunk that no video has or that points out of its slot: times that do not rise after `last`, more frames
// than a chunk takes, pictures larger than asked for.
bool is_chunk_of(const Request& request, const VideoChunk& chunk, SlotRange slot, double last);

// False for sound that no file has or that points out of its slot: a time before the request's or before `end`, the end
// of the chunk before; more samples than a chunk takes. The samples themselves may be any floats.
bool is_sound_of(const Request& request, const SoundChunk& chunk, SlotRange slot, double end);

// False for a part of a cut that points out of its slot, or for a position that no file has.
bool is_part_in(const WrittenPart& part, SlotRange slot);

// False for a part as above, and for a question with an impossible time or size, or with a picture that points out of
// its slot, was not asked for or is missing.
bool is_step_of(const Request& request, const RewriteStep& step, SlotRange slot);

}  // namespace image_engine::worker
