// The protocol between the engine and image-engine-worker.
//
// A SOCK_SEQPACKET socket carries first the worker's Hello, sent before it reads any outside byte: then it is ready.
// After that one Request packet (with the media's and the sidecar's descriptors attached) and one ReplyHeader packet
// back; the reply itself is in shared memory: the archived Reply at 0, pixels and thumbnail at its offsets. Both
// programs come from one build, so the structs are sent as they are and only the version is checked.
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
  kLuma = 16,        // with kDecode: statistics of the full-resolution luma, too
  kFormerHash = 64,  // with kHash: the asset's hash of catalogues up to format 4, too
  kVideoClip = 32,   // an MP4 that shows the picture, its longer edge as the thumbnail's
};

// The sandbox layers of a worker. A layer that the kernel lacks is no error: the others still hold.
struct Layers {
  std::uint8_t no_new_privileges = 0;
  std::uint8_t namespaces = 0;  // user, mount, network, IPC and host name of its own
  std::uint8_t processes = 0;   // a PID namespace of its own, in which it is alone
  std::uint8_t empty_root = 0;  // its root is an empty folder that cannot be written to
  std::uint8_t landlock = 0;    // ABI version in force; 0 none. 4 closes TCP, 6 also signals
  std::uint8_t seccomp = 0;     // system calls by allow-list
  std::uint8_t limits = 0;      // of memory, descriptors, core dumps and, with namespaces, threads
};

// The names of those that do not hold, as in `doctor --json`.
std::vector<std::string> missing_layers(const Layers& layers);

struct Hello {
  std::uint32_t version = kProtocolVersion;
  Layers layers;
  char problem[240] = {};  // why it cannot work, with the remedy; empty: it is ready
};

struct Request {
  std::uint32_t version = kProtocolVersion;
  std::uint32_t operations = 0;  // Operation bits
  std::uint32_t max_edge = 0;    // of the decoded picture, 0 for full size
  std::uint32_t thumbnail_edge = 256;
  std::uint32_t thumbnail_quality = 80;
  std::uint64_t max_pixels = 0;
  std::uint64_t number = 0;  // of the request; comes back in the answer
};

struct ReplyHeader {
  std::uint32_t version = kProtocolVersion;
  std::uint32_t reply_bytes = 0;  // of the archived Reply at the start of the shared memory
  std::uint64_t number = 0;       // the request's
};

struct Hashes {
  Hash128 file;    // of all bytes
  Hash128 asset;   // of the coded image data
  Hash128 former;  // of the same by XXH3; zero unless requested
};

// A decoded picture: upright sRGB, RGB interleaved, without row padding.
struct Picture {
  std::uint32_t width = 0, height = 0;
  std::uint32_t full_width = 0, full_height = 0;
  std::uint64_t offset = 0;  // in the shared memory
  bool partial = false;      // the file ended early
  bool animated = false;     // the first of several frames
  std::vector<std::string> warnings;
  LumaStatistics luma;  // zero unless requested
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

// One result per operation; those not requested hold not_asked().
struct Reply {
  Result<Metadata> metadata = not_asked();
  Result<Hashes> hashes = not_asked();
  Result<Picture> picture = not_asked();
  Result<Thumbnail> thumbnail = not_asked();
  Result<Thumbnail> clip = not_asked();
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
  archive(r.metadata), archive(r.hashes), archive(r.picture), archive(r.thumbnail), archive(r.clip);
  archive(r.timings);
}

}  // namespace image_engine::worker
