#include "worker/gpu_process/memory.h"

#include <algorithm>

namespace image_engine::worker {
namespace {

constexpr std::size_t kAlignment = 256;  // of the kernels' scratch memory, and of what cudaMalloc() gives

std::size_t rounded_up(std::size_t bytes) {
  return (std::max<std::size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

Result<std::unique_ptr<MemoryArena>> MemoryArena::create(MemoryKind kind, std::size_t bytes) {
  IE_TRY(std::byte * memory, allocate(kind, bytes));
  std::unique_ptr<MemoryArena> arena(new MemoryArena);
  arena->kind_ = kind;
  arena->memory_ = memory;
  arena->size_ = bytes;
  return arena;
}

MemoryArena::~MemoryArena() { deallocate(kind_, memory_); }

// The first one.
std::optional<std::size_t> MemoryArena::find_gap(std::size_t bytes) const {
  std::size_t begin = 0;
  for (const auto& [used_begin, used_end] : used_) {
    if (used_begin - begin >= bytes) return begin;
    begin = used_end;
  }
  if (size_ - begin >= bytes) return begin;
  return std::nullopt;
}

std::optional<MemoryArena::Part> MemoryArena::try_take(std::size_t bytes) {
  const std::size_t rounded = rounded_up(bytes);
  const std::lock_guard lock(mutex_);
  const std::optional<std::size_t> begin = find_gap(rounded);
  if (!begin) return std::nullopt;
  used_.emplace(*begin, *begin + rounded);
  return Part(*this, *begin, bytes);
}

std::optional<MemoryArena::Part> MemoryArena::take(std::size_t bytes) {
  const std::size_t rounded = rounded_up(bytes);
  if (rounded > size_) return std::nullopt;
  std::unique_lock lock(mutex_);
  std::optional<std::size_t> begin;
  released_.wait(lock, [&] { return (begin = find_gap(rounded)).has_value(); });
  used_.emplace(*begin, *begin + rounded);
  return Part(*this, *begin, bytes);
}

void MemoryArena::release(std::size_t begin) {
  {
    const std::lock_guard lock(mutex_);
    used_.erase(begin);
  }
  released_.notify_all();
}

}  // namespace image_engine::worker
