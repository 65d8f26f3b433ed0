// A memory budget that threads share; a request for more than is free waits.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

namespace image_engine {

// Counts bytes; allocates nothing. Thread-safe. Must outlive its shares.
class MemoryBudget {
 public:
  // 0: no limit.
  explicit MemoryBudget(std::uint64_t bytes) : bytes_(bytes) {}

  // Returns its bytes when destroyed.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Share& operator=(Share&&) = delete;
    ~Share();
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

   private:
    friend class MemoryBudget;
    Share(MemoryBudget* budget, std::uint64_t bytes) : budget_(budget), bytes_(bytes) {}
    MemoryBudget* budget_ = nullptr;
    std::uint64_t bytes_ = 0;
  };

  // Waits, in the order of the calls, until `bytes` are free. A request for more than the whole budget gets all of it,
  // and so runs alone. Requests below 1/32 of the budget are not counted and never wait. A thread that holds a share
  // must not take another.
  [[nodiscard]] Share take(std::uint64_t bytes);

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // Whether a thread is waiting for its share.
  [[nodiscard]] bool is_waited_for() const;

 private:
  std::uint64_t bytes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t taken_ = 0;                      // guarded by mutex_
  std::uint64_t next_ticket_ = 0, serving_ = 0;  // guarded by mutex_
};

}  // namespace image_engine
