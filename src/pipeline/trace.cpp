#include "pipeline/trace.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "core/file.h"

namespace image_engine::pipeline {
namespace {

constexpr std::array<std::string_view, static_cast<size_t>(Step::kCount)> kNames = {
    "scan", "headers", "hash", "decode", "thumbnail", "transfer", "look", "models", "write"};

double seconds(Trace::Clock::duration length) { return std::chrono::duration<double>(length).count(); }

}  // namespace

std::string_view step_name(Step step) { return kNames[static_cast<size_t>(step)]; }

double Trace::busy(Step step) const {
  const std::lock_guard lock(mutex_);
  return seconds(totals_[static_cast<size_t>(step)].busy);
}

std::uint64_t Trace::count(Step step) const {
  const std::lock_guard lock(mutex_);
  return totals_[static_cast<size_t>(step)].count;
}

void Trace::add(Step step, Clock::time_point start, std::uint64_t count) {
  add(step, start, Clock::now() - start, count);
}

void Trace::add_reply(Clock::time_point start, const worker::Timings& timings) {
  Clock::duration rest = Clock::now() - start;
  Clock::time_point at = start;
  const std::pair<Step, std::uint32_t> steps[] = {{Step::kHeaders, timings.metadata},
                                                  {Step::kHash, timings.hash},
                                                  {Step::kDecode, timings.decode},
                                                  {Step::kThumbnail, timings.thumbnail}};
  for (const auto& [step, microseconds] : steps) {
    if (microseconds == 0) continue;
    const auto length = std::min<Clock::duration>(rest, std::chrono::microseconds(microseconds));
    add(step, at, length);
    at += length;
    rest -= length;
  }
  add(Step::kTransfer, at, rest);
}

void Trace::add(Step step, Clock::time_point start, Clock::duration length, std::uint64_t count) {
  const std::lock_guard lock(mutex_);
  Total& total = totals_[static_cast<size_t>(step)];
  total.count += count;
  total.busy += length;
  if (keep_events_) events_.push_back({step, static_cast<std::uint32_t>(::syscall(SYS_gettid)), start, length});
}

std::vector<StepReport> Trace::table(int workers, double wall) const {
  const std::lock_guard lock(mutex_);
  std::vector<StepReport> rows;
  for (size_t i = 0; i < totals_.size(); ++i) {
    const Total& total = totals_[i];
    if (total.count == 0) continue;
    const auto step = static_cast<Step>(i);
    StepReport row;
    row.name = step_name(step);
    row.count = total.count;
    row.threads = step == Step::kScan || step == Step::kWrite ? 1 : workers;
    row.busy = seconds(total.busy);
    const double possible = wall * row.threads;
    row.waiting = std::max(0.0, possible - row.busy);
    row.share = possible > 0 ? std::min(1.0, row.busy / possible) : 0;
    rows.push_back(std::move(row));
  }
  return rows;
}

Status Trace::write(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  std::string text = "{\"traceEvents\": [";
  const char* separator = "\n";
  for (const Event& event : events_) {
    text +=
        fmt::format("{}{{\"name\": \"{}\", \"ph\": \"X\", \"pid\": {}, \"tid\": {}, \"ts\": {:.1f}, \"dur\": {:.1f}}}",
                    separator, step_name(event.step), ::getpid(), event.thread, seconds(event.start - begin_) * 1e6,
                    seconds(event.length) * 1e6);
    separator = ",\n";
  }
  text += "\n]}\n";
  return write_file_atomically(path, text);
}

}  // namespace image_engine::pipeline
