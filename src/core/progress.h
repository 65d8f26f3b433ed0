// How far a long job is, on stderr: a bar on a terminal, a line every few seconds elsewhere.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

namespace image_engine {

// What a step is. kSecond: one of a recording.
enum class ProgressUnit : std::uint8_t { kItem, kByte, kSecond };

// One job of `total` steps. Thread-safe. With `enabled` false it only counts.
class Progress {
 public:
  Progress(std::string title, std::uint64_t total, bool enabled, ProgressUnit unit = ProgressUnit::kItem);
  // Erases the bar; elsewhere nothing remains to be done.
  ~Progress();
  Progress(const Progress&) = delete;

  // What else to say at the end of each line or bar; before the first add. Called from the threads that add.
  void say_beside(std::function<std::string()> text) { beside_ = std::move(text); }
  void add(std::uint64_t steps = 1);
  [[nodiscard]] std::uint64_t done() const { return done_; }
  [[nodiscard]] double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;
  void print(Clock::time_point now);

  std::string title_;
  std::atomic<std::uint64_t> total_;
  std::atomic<std::uint64_t> done_ = 0;
  bool enabled_;
  ProgressUnit unit_;
  bool terminal_;
  std::function<std::string()> beside_;
  Clock::time_point start_ = Clock::now();
  std::atomic<Clock::rep> next_print_;
  std::mutex print_mutex_;
};

// Whether a descriptor is a terminal that a person looks at.
bool is_terminal(int fd);

}  // namespace image_engine
