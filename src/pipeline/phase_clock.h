// Divides the time of a run into phases: each moment counts for exactly one, so that they add up to the whole.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace image_engine::pipeline {

// One row of the report: what a phase did, on this machine, in this run.
struct PhaseReport {
  std::string name;
  std::uint64_t files = 0;
  double seconds = 0;      // of the run; phases do not overlap
  double cpu_seconds = 0;  // of all cores, in the engine and its workers

  // The files that a second takes; 0 without any.
  [[nodiscard]] double rate() const { return seconds > 0 ? static_cast<double>(files) / seconds : 0; }
};

// Estimates come from at least as many photos: with fewer, what is done once for all of them counts most.
inline constexpr std::uint64_t kLeastForEstimate = 20;

// The main thread's. Time counts for `first` until a Scope names another phase.
class PhaseClock {
 public:
  explicit PhaseClock(PhaseReport& first);
  // Also counts the CPU time of these processes, the run's workers; called until stop(). A number below 0 is none.
  void follow(std::function<std::vector<int>()> processes);

  // While it lives, time counts for `phase`, but for what a Scope inside it takes.
  class Scope {
   public:
    Scope(PhaseClock& clock, PhaseReport& phase) : clock_(clock), before_(clock.enter(phase)) {}
    ~Scope() { clock_.enter(before_); }
    Scope(const Scope&) = delete;

   private:
    PhaseClock& clock_;
    PhaseReport& before_;
  };

  // Counts what is left, and forgets the workers. Returns the seconds since the start: the sum of all phases.
  double stop();

 private:
  // Returns the phase that it ends.
  PhaseReport& enter(PhaseReport& phase);
  [[nodiscard]] double cpu_seconds() const;

  PhaseReport* phase_;
  std::function<std::vector<int>()> processes_;
  double wall_, cpu_;  // where the phase began
  const double start_;
};

}  // namespace image_engine::pipeline
