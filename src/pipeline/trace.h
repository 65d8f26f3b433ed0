// The time that each step of a run took: a table for the report, and events for chrome://tracing.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "gpu/lanes.h"
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
  kGpuDecode,  // waiting for a photo that a GPU decodes
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

// What limits the rate of a run: the step that leaves its threads the least time, or the disk that they wait for.
struct Bottleneck {
  std::string name;  // of a step, or "disk"
  double share = 0;  // of the capacity of its threads; of the disk: of the time in which programs waited for it
  int threads = 1;   // 0: the disk
  std::string text;  // one sentence for a person: what it is, and what helps
};

// The bottleneck of these steps; nullopt without any. `disk`: the share of the time in which some program waited for a
// disk (DiskWaits); negative: unknown.
std::optional<Bottleneck> bottleneck(std::span<const StepReport> steps, double disk);

// How long programs of this machine wait for disks, as the kernel counts it (/proc/pressure/io).
class DiskWaits {
 public:
  DiskWaits();
  // 0…1, since this was created; negative where the kernel does not count.
  [[nodiscard]] double share() const;

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::optional<double> before_;  // seconds
};

// Thread-safe. Events are kept only with `keep_events`.
class Trace {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Trace(bool keep_events) : keep_events_(keep_events) {}

  // Seconds spent at a step so far, over all threads.
  [[nodiscard]] double busy(Step step) const;
  [[nodiscard]] double busy() const;  // at all steps

  // Adds work that began at `start` and ended now, for `count` pictures at once.
  void add(Step step, Clock::time_point start, std::uint64_t count = 1);
  // Adds a worker's reply to a request sent at `start`: its steps one after the other, the rest as transfer.
  void add_reply(Clock::time_point start, const worker::Timings& timings);

  // Steps that did something, for `workers` workers over `wall` seconds.
  [[nodiscard]] std::vector<StepReport> table(int workers, double wall) const;

  // Trace event format ("X" events, microseconds), as chrome://tracing and Perfetto read it. Each lane of a GPU gets a
  // row of its own, with the events busy and idle (between two runs), and one beside it with what waits for it, named
  // by "M" events.
  Status write(const std::string& path, std::span<const gpu::LaneEvent> lanes = {}) const;

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
  void add_lanes(std::span<const gpu::LaneEvent> lanes, std::vector<std::string>& rows) const;

  const bool keep_events_;
  const Clock::time_point begin_ = Clock::now();
  mutable std::mutex mutex_;
  std::array<Total, static_cast<size_t>(Step::kCount)> totals_;
  std::vector<Event> events_;
};

}  // namespace image_engine::pipeline
