// The memory of this program and all processes that it started, sampled while it works.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace image_engine::benchmark {

struct MemoryPeak {
  std::uint64_t bytes = 0;  // at most: proportional set size, in which a shared page counts once over all processes
  std::uint64_t samples = 0;
  bool exact = true;  // false: of some processes only the resident size is readable; shared memory counts half for them
};

// Watches from its creation on, in a thread of its own.
class MemoryWatch {
 public:
  MemoryWatch();
  ~MemoryWatch();
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;
  // So far. Thread-safe.
  [[nodiscard]] MemoryPeak peak() const;

 private:
  void work();
  void sample();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // this and the peak are guarded by mutex_
  MemoryPeak peak_;
  std::thread thread_;
};

}  // namespace image_engine::benchmark
