#include "pipeline/phase_clock.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>

namespace image_engine::pipeline {
namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Of a running process; 0 once it has ended.
double cpu_seconds_of(int process) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(process, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

PhaseClock::PhaseClock(PhaseReport& first) : phase_(&first), wall_(now_seconds()), cpu_(cpu_seconds()), start_(wall_) {}

void PhaseClock::follow(std::function<std::vector<int>()> processes) { processes_ = std::move(processes); }

PhaseReport& PhaseClock::enter(PhaseReport& phase) {
  const double wall = now_seconds(), cpu = cpu_seconds();
  phase_->seconds += wall - wall_;
  phase_->cpu_seconds += std::max(0.0, cpu - cpu_);
  wall_ = wall;
  cpu_ = cpu;
  return *std::exchange(phase_, &phase);
}

double PhaseClock::stop() {
  enter(*phase_);
  processes_ = nullptr;
  return wall_ - start_;
}

// A worker that ends moves from the running ones to the children that have ended.
double PhaseClock::cpu_seconds() const {
  double all = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    ::getrusage(who, &usage);
    all += seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  }
  if (processes_)
    for (const int process : processes_()) all += process > 0 ? cpu_seconds_of(process) : 0;
  return all;
}

}  // namespace image_engine::pipeline
