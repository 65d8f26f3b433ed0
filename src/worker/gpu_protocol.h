// The protocol between the engine and image-engine-gpu-worker, which decodes JPEGs on a GPU, many at a time.
//
// A SOCK_SEQPACKET socket carries first the worker's GpuHello, sent before it reads any outside byte. After that the
// engine sends a GpuRequest for each picture, with its file's descriptor attached, while others are still in work, and
// a GpuAnswer comes back for each, in any order. The engine chooses the slot of the shared memory in which the answer
// is written: the archived Reply at the slot's start, whose offsets count from there. A picture that the worker does
// not take (GpuAnswer::route is kNone) is left to the CPU, and whether it is damaged is for the CPU to say.
//
// Models' inputs stay on the GPU. The engine sends GpuInputs once, before requests that name an area; the worker
// allocates that many areas in one piece of the GPU's memory and answers with GpuInputAreas, to which its exported
// handle, a descriptor, is attached. The engine gives each request an area, in which the picture's inputs are made.
//
// Both programs come from one build, so the structs are sent as they are, told apart by their sizes, and only the
// version is checked.
#pragma once

#include <cstdint>

#include "preprocess/plan.h"
#include "worker/protocol.h"

namespace image_engine::worker {

inline constexpr std::uint32_t kGpuProtocolVersion = 4;
inline constexpr std::uint32_t kMostSlots = 4096;
inline constexpr std::uint64_t kReplyRoom = std::uint64_t{64} << 10;  // of the archived Reply, at a slot's start

// How a picture was decoded.
enum class GpuRoute : std::uint8_t {
  kNone,      // not on the GPU
  kHardware,  // by the GPU's JPEG engine
  kHybrid,    // Huffman codes on the CPU, the rest by CUDA
};

struct GpuHello {
  std::uint32_t version = kGpuProtocolVersion;
  Layers layers;
  std::uint8_t has_engine = 0;  // the GPU has a JPEG engine
  std::uint8_t is_refused = 0;  // the problem: the driver does not start in this sandbox
  char problem[240] = {};       // why it cannot work, with the remedy; empty: it is ready
};

inline constexpr std::uint32_t kMostInputs = 4;
inline constexpr std::uint32_t kMostAreas = 8192;
inline constexpr std::uint32_t kNoArea = ~0U;

// A model's input, of the reduced picture.
struct GpuInput {
  preprocess::Plan plan;           // with a fixed size
  std::uint32_t by_full_size = 0;  // positions are computed from the whole picture's size
};

struct GpuInputs {
  std::uint32_t version = kGpuProtocolVersion;
  std::uint32_t count = 0;
  GpuInput inputs[kMostInputs];
};

struct GpuInputAreas {
  std::uint32_t version = kGpuProtocolVersion;
  std::uint32_t areas = 0;  // 0: there is no memory for them, and no descriptor
  std::uint64_t bytes = 0;  // of all
  std::uint64_t step = 0;   // from one area to the next
  std::uint64_t offsets[kMostInputs] = {};
};

struct GpuRequest {
  std::uint32_t slot = 0;
  std::uint32_t area = kNoArea;  // for models' inputs
  Request request;               // with kHash, kDecode, kThumbnail, kLuma of its operations
};

// When the GPU's JPEG engine decoded the batch with a picture; nanoseconds of CLOCK_MONOTONIC. 0: another decoded it.
struct EngineTime {
  std::int64_t from = 0, until = 0;
};

struct GpuAnswer {
  std::uint32_t version = kGpuProtocolVersion;
  std::uint32_t slot = 0;
  std::uint64_t number = 0;       // the request's
  std::uint32_t reply_bytes = 0;  // of the archived Reply
  GpuRoute route = GpuRoute::kNone;
  std::uint8_t has_inputs = 0;  // all of them are in the request's area
  EngineTime engine;
};
static_assert(sizeof(GpuRequest) != sizeof(GpuInputs) && sizeof(GpuAnswer) != sizeof(GpuInputAreas));

}  // namespace image_engine::worker
