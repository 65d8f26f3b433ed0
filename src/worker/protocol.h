// What the engine and image-engine-worker say to each other.
//
// A SOCK_SEQPACKET socket carries one Request packet (with the media's and the sidecar's descriptors attached) and one
// ReplyHeader packet back; the reply itself lies in shared memory: the archived Reply at 0, pixels and thumbnail where
// it says. Both programs come from one build, so the structs are sent as they are and only the version is checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/hash.h"
#include "core/result.h"
#include "types/luma.h"
#include "types/metadata.h"

namespace image_engine::worker {

inline constexpr std::uint32_t kProtocolVersion = 6;
inline constexpr size_t kMaxReplyBytes = size_t{8} << 20;  // of the archived Reply; pixels begin behind it
inline constexpr int kSocketFd = 3;                        // in the worker
inline constexpr int kMemoryFd = 4;                        // in the worker

enum Operation : std::uint32_t {
  kReadMetadata = 1,
  kHash = 2,
  kDecode = 4,
  kThumbnail = 8,
  kLuma = 16,  // with kDecode: statistics of the full-resolution luma, too
  kFormerHash = 64,  // with kHash: the asset's hash of catalogues up to format 4, too
  kFilm = 32,  // an MP4 that shows the picture, its longer edge as the thumbnail's
};

struct Request {
  std::uint32_t version = kProtocolVersion;
  std::uint32_t operations = 0;  // Operation bits
  std::uint32_t max_edge = 0;    // of the decoded picture, 0 for full size
  std::uint32_t thumbnail_edge = 256;
  std::uint32_t thumbnail_quality = 80;
  std::uint64_t max_pixels = 0;
};

struct ReplyHeader {
  std::uint32_t version = kProtocolVersion;
  std::uint32_t reply_bytes = 0;  // of the archived Reply at the start of the shared memory
};

struct Hashes {
  Hash128 file;   // of all bytes
  Hash128 asset;  // of the coded image data
  Hash128 former;  // of the same by XXH3; none unless asked for
};

// A decoded picture: upright sRGB, RGB interleaved, without row padding.
struct Picture {
  std::uint32_t width = 0, height = 0;
  std::uint32_t full_width = 0, full_height = 0;
  std::uint64_t offset = 0;  // in the shared memory
  bool partial = false;      // the file ended early
  bool animated = false;     // the first of several frames
  std::vector<std::string> warnings;
  LumaStatistics luma;  // all zero unless asked for
};

// A JPEG or an MP4 in the shared memory.
struct Thumbnail {
  std::uint64_t offset = 0, bytes = 0;
};

// How long each part took in the worker, microseconds.
struct Timings {
  std::uint32_t metadata = 0, hash = 0, decode = 0, thumbnail = 0;
};

inline tl::unexpected<Error> not_asked() { return fail(ErrorCode::kInternal, "not asked for"); }

// One outcome for each operation; those not asked for hold not_asked().
struct Reply {
  Result<Metadata> metadata = not_asked();
  Result<Hashes> hashes = not_asked();
  Result<Picture> picture = not_asked();
  Result<Thumbnail> thumbnail = not_asked();
  Result<Thumbnail> film = not_asked();
  Timings timings;
};

template <typename Archive>
void visit_fields(Archive& archive, Same<Hashes> auto& h) {
  archive(h.file), archive(h.asset), archive(h.former);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Picture> auto& p) {
  archive(p.width), archive(p.height), archive(p.full_width), archive(p.full_height), archive(p.offset);
  archive(p.partial), archive(p.animated), archive(p.warnings), archive(p.luma);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Thumbnail> auto& t) {
  archive(t.offset), archive(t.bytes);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Timings> auto& t) {
  archive(t.metadata), archive(t.hash), archive(t.decode), archive(t.thumbnail);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Reply> auto& r) {
  archive(r.metadata), archive(r.hashes), archive(r.picture), archive(r.thumbnail), archive(r.film);
  archive(r.timings);
}

}  // namespace image_engine::worker
