// Memory that threads share: who wants more than is free waits.
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

  // Gives its bytes back when it ends.
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

  // Waits, in the order of the calls, until `bytes` are free. A request of more than the whole budget gets all of it,
  // so it runs alone. Less than a 32nd of the budget is not counted and never waits. A thread that holds a share must
  // not take another one.
  [[nodiscard]] Share take(std::uint64_t bytes);

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // Whether a thread waits for its share now.
  [[nodiscard]] bool is_waited_for() const;

 private:
  std::uint64_t bytes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t taken_ = 0;                      // by mutex_
  std::uint64_t next_ticket_ = 0, serving_ = 0;  // by mutex_
};

}  // namespace image_engine
