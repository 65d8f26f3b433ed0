// Memory of the GPU and page-locked memory of the host, from which pictures of all sizes get their part.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "core/file.h"
#include "core/result.h"

namespace image_engine::worker {

enum class MemoryKind : unsigned char { kDevice, kPinned };

// In memory_cuda.cpp. kOutOfMemory.
Result<std::byte*> allocate(MemoryKind kind, std::size_t bytes);
void deallocate(MemoryKind kind, std::byte* memory);

// Memory that the engine maps, too; kept until the process ends.
struct ExportedMemory {
  std::byte* data = nullptr;
  UniqueFd handle;
  std::size_t bytes = 0;  // as asked for, rounded up
};
// Device memory, in memory_cuda.cpp. kOutOfMemory, kInternal.
Result<ExportedMemory> allocate_exported(int device, std::size_t bytes);

// Parts of one allocation, made at the start: in the sandbox nothing else need be allocated. Thread-safe.
class MemoryArena {
 public:
  // kOutOfMemory.
  static Result<std::unique_ptr<MemoryArena>> create(MemoryKind kind, std::size_t bytes);
  ~MemoryArena();
  MemoryArena(const MemoryArena&) = delete;
  MemoryArena& operator=(const MemoryArena&) = delete;

  // A part of an arena, at a multiple of 256; given back when destroyed, from any thread.
  class Part {
   public:
    Part() = default;
    Part(MemoryArena& arena, std::size_t begin, std::size_t bytes) : arena_(&arena), begin_(begin), bytes_(bytes) {}
    Part(Part&& other) noexcept
        : arena_(std::exchange(other.arena_, nullptr)), begin_(other.begin_), bytes_(other.bytes_) {}
    Part& operator=(Part&& other) noexcept {
      std::swap(arena_, other.arena_);
      std::swap(begin_, other.begin_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Part() {
      if (arena_ != nullptr) arena_->release(begin_);
    }
    [[nodiscard]] std::byte* data() const { return arena_ == nullptr ? nullptr : arena_->memory_ + begin_; }
    [[nodiscard]] std::size_t size() const { return bytes_; }

   private:
    MemoryArena* arena_ = nullptr;
    std::size_t begin_ = 0, bytes_ = 0;
  };

  // None while no gap is large enough.
  std::optional<Part> try_take(std::size_t bytes);
  // Waits for a gap. None: more than the whole arena was asked for.
  std::optional<Part> take(std::size_t bytes);
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  MemoryArena() = default;
  std::optional<std::size_t> find_gap(std::size_t bytes) const;
  void release(std::size_t begin);

  MemoryKind kind_ = MemoryKind::kDevice;
  std::byte* memory_ = nullptr;
  std::size_t size_ = 0;
  std::mutex mutex_;
  std::condition_variable released_;
  std::map<std::size_t, std::size_t> used_;  // begin → end
};

}  // namespace image_engine::worker
