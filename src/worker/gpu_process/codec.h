// nvImageCodec, opened at run time: JPEGs in memory become RGB in a GPU's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "worker/gpu_protocol.h"

namespace image_engine::worker {

struct CodedPicture {
  std::span<const std::byte> jpeg;
  std::uint32_t width = 0, height = 0;  // as its header states
  std::uint8_t* rgb = nullptr;          // in device memory: interleaved rows without padding, as stored (not upright)
};

// The library and its JPEG extension. Thread-safe.
class Codec {
 public:
  // Opens libnvimgcodec.so.0 in one of the folders or, failing that, by its name; extensions lie in `extensions` beside
  // it. Errors: kNotFound (names the remedy), kUnsupported (another version than this program was built for).
  static Result<std::unique_ptr<Codec>> create(std::span<const std::string> folders);
  ~Codec();
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;

 private:
  friend class PictureDecoder;
  struct State;
  explicit Codec(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Decodes batches by one route. One thread at a time; must not outlive its codec.
class PictureDecoder {
 public:
  // `threads` of the CPU, for kHybrid. kNotFound: the GPU has no such engine.
  static Result<std::unique_ptr<PictureDecoder>> create(Codec& codec, GpuRoute route, int threads);
  ~PictureDecoder();
  PictureDecoder(const PictureDecoder&) = delete;
  PictureDecoder& operator=(const PictureDecoder&) = delete;

  // Decodes all and waits. For each whether it is there: not for pictures that are damaged or of a kind that this route
  // does not take; they leave the others alone. kInternal: the library failed, and none is there.
  Result<std::vector<bool>> decode(std::span<const CodedPicture> pictures);

 private:
  struct State;
  explicit PictureDecoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::worker
