// nvJPEG, opened at run time: JPEGs in memory become RGB in a GPU's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"

namespace image_engine::worker {

struct CodedPicture {
  std::span<const std::byte> jpeg;
  std::size_t header_bytes = 0;         // of it, before the first scan's coded data
  std::uint32_t width = 0, height = 0;  // as its header states
  std::uint8_t* rgb = nullptr;          // in device memory: interleaved rows without padding, as stored (not upright)
};

// The library, opened for the calling thread's device. Thread-safe.
class Codec {
 public:
  // Opens libnvjpeg.so.13 in one of the folders or, failing that, by its name. Errors: kNotFound (names the remedy),
  // kUnsupported (the library is too old), kOutOfMemory, kInternal.
  static Result<std::unique_ptr<Codec>> create(std::span<const std::string> folders);
  ~Codec();
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;

  // How many pictures the GPU's JPEG engine decodes at once; 0: it has none.
  [[nodiscard]] std::size_t engine_width() const;

 private:
  friend class EngineDecoder;
  friend class CudaDecoder;
  struct State;
  explicit Codec(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Decodes batches with the GPU's JPEG engine. One thread at a time; must not outlive its codec.
class EngineDecoder {
 public:
  // For batches of at most `most` pictures. kNotFound: there is no engine. kOutOfMemory, kInternal.
  static Result<std::unique_ptr<EngineDecoder>> create(Codec& codec, std::size_t most);
  ~EngineDecoder();
  EngineDecoder(const EngineDecoder&) = delete;
  EngineDecoder& operator=(const EngineDecoder&) = delete;

  [[nodiscard]] std::size_t most() const;
  // Decodes all and waits. For each whether it is there: not for pictures that are damaged or of a kind that the engine
  // does not take; they leave the others alone. kInternal: CUDA failed, and none is there.
  Result<std::vector<bool>> decode(std::span<const CodedPicture> pictures);

 private:
  struct State;
  explicit EngineDecoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Decodes one picture after the other with CUDA; Huffman codes of small and of progressive ones on the calling thread.
// One thread at a time; must not outlive its codec.
class CudaDecoder {
 public:
  // kOutOfMemory, kInternal.
  static Result<std::unique_ptr<CudaDecoder>> create(Codec& codec);
  ~CudaDecoder();
  CudaDecoder(const CudaDecoder&) = delete;
  CudaDecoder& operator=(const CudaDecoder&) = delete;

  // Decodes it and waits. False: it is damaged or of a kind that the library does not take. kInternal: CUDA failed.
  Result<bool> decode(const CodedPicture& picture);

 private:
  struct State;
  explicit CudaDecoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::worker
