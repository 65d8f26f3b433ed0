// Where an answer's bytes lie in the shared memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "core/result.h"
#include "media/media.h"
#include "types/image.h"
#include "worker/protocol.h"

namespace image_engine::worker {

// The pixels and thumbnails of one reply, one after the other in the shared memory.
class Arena {
 public:
  // Of `memory` it uses what lies between the offsets `begin` and `end`.
  Arena(std::span<std::byte> memory, std::uint64_t begin, std::uint64_t end)
      : memory_(memory.first(end)), next_(begin) {}
  // The offset of the bytes; kTooLarge when they do not fit.
  Result<std::uint64_t> put(std::span<const std::byte> bytes) {
    if (next_ > memory_.size() || bytes.size() > memory_.size() - next_)
      return fail(ErrorCode::kTooLarge, "the picture does not fit into a worker's memory");
    std::memcpy(memory_.data() + next_, bytes.data(), bytes.size());
    return std::exchange(next_, (next_ + bytes.size() + 63) / 64 * 64);
  }

 private:
  std::span<std::byte> memory_;
  std::uint64_t next_;
};

// The picture within the thumbnail's edge, encoded.
template <typename Encode>
Result<Thumbnail> encode_small(const Request& request, const Image& image, Arena& arena, const Encode& encode) {
  const Image* source = &image;
  Image smaller;
  if (std::max(image.width, image.height) > request.thumbnail_edge) {
    smaller = media::resize_to_fit(image, request.thumbnail_edge);
    source = &smaller;
  }
  const ImageView view{source->width, source->height, source->pixels};
  IE_TRY(const std::vector<std::byte> bytes, encode(view));
  IE_TRY(const std::uint64_t offset, arena.put(bytes));
  return Thumbnail{offset, bytes.size()};
}

}  // namespace image_engine::worker
