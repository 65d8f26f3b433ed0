// The protocol between the engine and image-engine-plugin-host, which runs one plugin behind the wall.
//
// A SOCK_SEQPACKET socket carries first the host's worker::Hello, sent before the plugin is loaded: the wall stands.
// Then the host loads the plugin and sends a Loaded packet. After that each Call packet, with the descriptor of the
// photo's memory attached, is answered by any number of Progress and Ask packets and one Done packet; an Ask is
// answered by an Answer. After kEnd the plugin is stopped, and the host ends. A packet is a Packet struct; what else it
// holds is archived in shared memory: at kFromEngine or at kFromHost, then from kPictures on pixels and tensors. The
// engine writes what it gives there before the offset in Call::free, the host behind it. Both programs come from one
// build. The host is not trusted once the plugin is loaded: result.h checks what it sends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plugins/description.h"
#include "types/metadata.h"
#include "worker/archive.h"
#include "worker/protocol.h"

namespace image_engine::plugins {

inline constexpr std::uint32_t kPluginProtocolVersion = 1002;  // no worker's
inline constexpr int kPluginFd = 5;                            // in the host: the plugin's bytes, sealed
inline constexpr std::uint64_t kMostMessageBytes = std::uint64_t{4} << 20;
inline constexpr std::uint64_t kFromEngine = 0, kFromHost = kMostMessageBytes, kPictures = 2 * kMostMessageBytes;
inline constexpr std::size_t kMostRecordBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMostMessages = 100, kMostMessageText = 1000;
inline constexpr std::uint32_t kMostEdge = 65'535;  // pixels of a picture

enum class PacketKind : std::uint8_t { kLoaded, kCall, kProgress, kAsk, kAnswer, kDone, kEnd };

struct Packet {
  PacketKind kind = PacketKind::kLoaded;
  std::uint32_t bytes = 0;   // of the archived message
  std::uint64_t number = 0;  // the call's
  double done = 0;           // of kProgress: 0 to 1
};

// Pixels without row padding; channels: 1, 3 or 4.
struct Pixels {
  std::uint32_t channels = 0, width = 0, height = 0;  // no channels: none
  std::uint64_t offset = 0;                           // in the shared memory, or in the memory of the descriptor
  [[nodiscard]] std::uint64_t bytes() const { return std::uint64_t{width} * height * channels; }
};

struct FloatTensor {
  std::vector<std::int64_t> shape;
  std::uint64_t offset = 0;  // of the values, in the shared memory
};

// Of a picture; in its pixels.
struct Region {
  float confidence = 0;  // 0 to 1
  float x = 0, y = 0, width = 0, height = 0;
};

// One input or output.
struct Item {
  Pixels pixels;
  std::string record;  // JSON; empty: none
};

struct Call {
  std::vector<Item> inputs;         // of each of the plugin's
  bool is_attached = false;         // the first input's pixels are in the memory of the descriptor
  std::vector<Value> values;        // of each parameter
  std::vector<std::string> offers;  // names of the extensions that ask() answers
  std::uint64_t free = 0;           // where the host's part of the shared memory begins
};

// `status` is an ie_status.
struct Ask {
  std::string extension, name;
  std::vector<Pixels> pictures;
  std::vector<FloatTensor> tensors;
  std::uint64_t free = 0;  // where the engine may write; the host writes nothing there until it has the answer
};
struct Answer {
  std::int32_t status = 0;
  std::string message;
  std::vector<Pixels> pictures;
  std::vector<FloatTensor> tensors;
  std::vector<Region> regions;
  std::uint64_t end = 0;  // of what was written
};

// Why a run failed, or its outputs.
enum class Outcome : std::uint8_t { kDone, kFailed, kBadOutput, kThrew };
struct Done {
  Outcome outcome = Outcome::kDone;
  std::int32_t status = 0;  // what run() returned
  std::string problem;      // of kBadOutput and kThrew
  std::vector<Item> outputs;
  std::vector<std::string> messages;
};

template <typename Archive>
void visit_fields(Archive& archive, Same<Port> auto& p) {
  archive(p.kind), archive(p.name), archive(p.help), archive(p.optional), archive(p.same_size);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Parameter> auto& p) {
  archive(p.type), archive(p.name), archive(p.help), archive(p.least), archive(p.most), archive(p.number);
  archive(p.text), archive(p.choices);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Description> auto& d) {
  archive(d.abi_minor), archive(d.name), archive(d.version), archive(d.licence), archive(d.summary);
  archive(d.inputs), archive(d.outputs), archive(d.parameters), archive(d.needs);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Value> auto& v) {
  archive(v.number), archive(v.text);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Pixels> auto& p) {
  archive(p.channels), archive(p.width), archive(p.height), archive(p.offset);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<FloatTensor> auto& t) {
  archive(t.shape), archive(t.offset);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Region> auto& r) {
  archive(r.confidence), archive(r.x), archive(r.y), archive(r.width), archive(r.height);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Item> auto& i) {
  archive(i.pixels), archive(i.record);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Call> auto& c) {
  archive(c.inputs), archive(c.is_attached), archive(c.values), archive(c.offers), archive(c.free);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Ask> auto& a) {
  archive(a.extension), archive(a.name), archive(a.pictures), archive(a.tensors), archive(a.free);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Answer> auto& a) {
  archive(a.status), archive(a.message), archive(a.pictures), archive(a.tensors), archive(a.regions);
  archive(a.end);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Done> auto& d) {
  archive(d.outcome), archive(d.status), archive(d.problem), archive(d.outputs), archive(d.messages);
}

}  // namespace image_engine::plugins
