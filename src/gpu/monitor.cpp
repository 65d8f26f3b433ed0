#include "gpu/monitor.h"

#include <algorithm>
#include <utility>

namespace image_engine::gpu {
namespace {

std::optional<double> as_number(std::optional<std::uint64_t> value) {
  return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> Summary::memory_added() const {
  if (!memory || !memory_before) return std::nullopt;
  return static_cast<std::uint64_t>(memory->peak) - *memory_before;  // the peak includes the first reading
}

void Monitor::Series::add(std::optional<double> value) {
  if (!value) return;
  sum += *value;
  peak = std::max(peak, *value);
  ++count;
}

std::optional<Spread> Monitor::Series::spread() const {
  if (count == 0) return std::nullopt;
  return Spread{sum / static_cast<double>(count), peak};
}

Monitor::Monitor(Nvml nvml, std::chrono::milliseconds interval) : nvml_(std::move(nvml)), interval_(interval) {
  for (const Device& device : nvml_.devices()) watches_.emplace_back().summary.device = device;
  sample();
  thread_ = std::thread([this] { work(); });
}

Monitor::~Monitor() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

std::vector<Summary> Monitor::summaries() const {
  const std::scoped_lock lock(mutex_);
  std::vector<Summary> all;
  for (const Watch& watch : watches_) {
    Summary& summary = all.emplace_back(watch.summary);
    summary.utilisation = watch.utilisation.spread();
    summary.memory = watch.memory.spread();
    summary.power = watch.power.spread();
  }
  return all;
}

void Monitor::add(Watch& watch, const Result<Reading>& reading, Clock::time_point now) {
  Summary& summary = watch.summary;
  if (!reading) {
    summary.error = reading.error().message;
    summary.last.reset();
    return;
  }
  if (reading->power && summary.last && summary.last->power) {
    const double seconds = std::chrono::duration<double>(now - watch.when).count();
    summary.energy = summary.energy.value_or(0) + (*summary.last->power + *reading->power) / 2 * seconds;
  }
  watch.when = now;
  watch.utilisation.add(reading->utilisation);
  watch.memory.add(as_number(reading->memory_used));
  watch.power.add(reading->power);
  if (!summary.memory_before) summary.memory_before = reading->memory_used;
  if (reading->power_limit) summary.power_limit = reading->power_limit;
  if (reading->temperature)
    summary.temperature_peak =
        std::max(summary.temperature_peak.value_or(*reading->temperature), *reading->temperature);
  summary.held_back |= reading->held_back;
  summary.error.clear();
  summary.last = *reading;
  ++summary.samples;
}

// The driver may be slow: callers of summaries() do not wait for it.
void Monitor::sample() {
  for (std::size_t i = 0; i < watches_.size(); ++i) {
    const Result<Reading> reading = nvml_.read(i);
    const std::scoped_lock lock(mutex_);
    add(watches_[i], reading, Clock::now());
  }
}

void Monitor::work() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, interval_, [this] { return stopping_; })) {
    lock.unlock();
    sample();
    lock.lock();
  }
}

}  // namespace image_engine::gpu
