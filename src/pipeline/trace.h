// The time that each step of a run took: a table for the report, and events for chrome://tracing.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "worker/protocol.h"

namespace image_engine::pipeline {

// One kind of work. Workers' steps share the workers; `write` has one thread.
enum class Step : std::uint8_t {
  kScan,
  kHeaders,
  kHash,
  kDecode,
  kThumbnail,
  kTransfer,
  kAnalyze,  // stages without a model; "look" in reports and traces
  kModels,
  kWrite,
  kCount
};
std::string_view step_name(Step step);

struct StepReport {
  std::string name;
  std::uint64_t count = 0;
  int threads = 1;
  double busy = 0;     // seconds, over all threads
  double waiting = 0;  // seconds that its threads were not busy with it while the phase ran
  double share = 0;    // busy time / its threads' total time, 0…1
};

// Thread-safe. Events are kept only with `keep_events`.
class Trace {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Trace(bool keep_events) : keep_events_(keep_events) {}

  // Seconds spent at a step so far, over all threads, and how often it was done.
  [[nodiscard]] double busy(Step step) const;
  [[nodiscard]] std::uint64_t count(Step step) const;

  // Adds work that began at `start` and ended now, for `count` pictures at once.
  void add(Step step, Clock::time_point start, std::uint64_t count = 1);
  // Adds a worker's reply to a request sent at `start`: its steps one after the other, the rest as transfer.
  void add_reply(Clock::time_point start, const worker::Timings& timings);

  // Steps that did something, for `workers` workers over `wall` seconds.
  [[nodiscard]] std::vector<StepReport> table(int workers, double wall) const;

  // Trace event format ("X" events, microseconds), as chrome://tracing and Perfetto read it.
  Status write(const std::string& path) const;

 private:
  struct Event {
    Step step;
    std::uint32_t thread;
    Clock::time_point start;
    Clock::duration length;
  };
  struct Total {
    std::uint64_t count = 0;
    Clock::duration busy{};
  };
  void add(Step step, Clock::time_point start, Clock::duration length, std::uint64_t count = 1);

  const bool keep_events_;
  const Clock::time_point begin_ = Clock::now();
  mutable std::mutex mutex_;
  std::array<Total, static_cast<size_t>(Step::kCount)> totals_;
  std::vector<Event> events_;
};

}  // namespace image_engine::pipeline
