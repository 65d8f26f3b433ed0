// Progress of a long job on stderr: a bar on a terminal, else a line every few seconds.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

namespace image_engine {

// The unit of a step. kSecond: a second of a recording; with a total of 0, of a job whose length is not known.
enum class ProgressUnit : std::uint8_t { kItem, kByte, kSecond };

// One job of `total` steps. Thread-safe. With `enabled` false it only counts.
class Progress {
 public:
  Progress(std::string title, std::uint64_t total, bool enabled, ProgressUnit unit = ProgressUnit::kItem);
  // Erases the bar of a terminal.
  ~Progress();
  Progress(const Progress&) = delete;

  // Appends `text()` to each line or bar; call before the first add(). `text` is called from the threads that add.
  void append_text(std::function<std::string()> text) { beside_ = std::move(text); }
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

// Whether a descriptor is a terminal.
bool is_terminal(int fd);

}  // namespace image_engine
