#include "pipeline/trace.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/json.h"

namespace image_engine::pipeline {
namespace {

constexpr std::array<std::string_view, static_cast<size_t>(Step::kCount)> kNames = {
    "scan", "headers", "hash", "decode", "thumbnail", "transfer", "gpu decode", "look", "models", "write"};

double seconds(Trace::Clock::duration length) { return std::chrono::duration<double>(length).count(); }

// From this share on, waiting for a disk explains that the threads which read files are busy.
constexpr double kDiskShare = 0.5;

// What makes a step faster where it is the bottleneck.
struct Remedy {
  Step step;
  bool reads;  // from the disk
  const char* what;
  const char* helps;
};
constexpr Remedy kRemedies[] = {
    {Step::kScan, true, "walking the folders", "a disk that finds files faster helps"},
    {Step::kHeaders, true, "reading headers", "more cores help"},
    {Step::kHash, true, "reading and hashing files", "a faster disk and more cores help"},
    {Step::kDecode, false, "decoding pictures", "more cores help, or a GPU that decodes"},
    {Step::kThumbnail, false, "making thumbnails", "more cores help, or smaller ones (thumbnails.size)"},
    {Step::kTransfer, false, "passing pictures from worker to engine", "more cores help"},
    {Step::kGpuDecode, false, "waiting for photos that the GPU decodes",
     "a GPU with more JPEG engines helps, another GPU, or more cores"},
    {Step::kAnalyze, false, "the analysis without models", "more cores help"},
    {Step::kModels, false, "running models", "a faster GPU helps, or smaller models"},
    {Step::kWrite, false, "writing to the catalogue", "a faster disk helps for the catalogue (--catalog)"},
};

// Seconds in which some program waited for a disk, since the machine was started.
std::optional<double> disk_wait_seconds() {
  const Result<std::string> text = read_file("/proc/pressure/io", 4096);
  if (!text) return std::nullopt;
  const std::size_t total = text->find("total=");  // of the first line, "some"
  if (total == std::string::npos) return std::nullopt;
  return static_cast<double>(std::strtoull(text->c_str() + total + 6, nullptr, 10)) / 1e6;
}

std::string event_text(std::string_view name, std::uint32_t row, double start, double length) {
  return fmt::format(R"({{"name": "{}", "ph": "X", "pid": {}, "tid": {}, "ts": {:.1f}, "dur": {:.1f}}})", name,
                     ::getpid(), row, start * 1e6, length * 1e6);
}

std::string row_name(std::uint32_t row, const std::string& name) {
  return fmt::format(R"({{"name": "thread_name", "ph": "M", "pid": {}, "tid": {}, "args": {{"name": {}}}}})",
                     ::getpid(), row, json_text(nlohmann::json(name)));
}

// Numbers of rows above those of threads, which the kernel limits to 2^22.
constexpr std::uint32_t kFirstLaneRow = 1U << 23;

}  // namespace

std::string_view step_name(Step step) { return kNames[static_cast<size_t>(step)]; }

double Trace::busy(Step step) const {
  const std::lock_guard lock(mutex_);
  return seconds(totals_[static_cast<size_t>(step)].busy);
}

double Trace::busy() const {
  const std::lock_guard lock(mutex_);
  Clock::duration all{};
  for (const Total& total : totals_) all += total.busy;
  return seconds(all);
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

std::optional<Bottleneck> bottleneck(std::span<const StepReport> steps, double disk) {
  const auto busiest = std::ranges::max_element(steps, {}, &StepReport::share);
  if (busiest == steps.end()) return std::nullopt;
  const auto remedy =
      std::ranges::find(kRemedies, busiest->name, [](const Remedy& row) { return step_name(row.step); });
  if (remedy->reads && disk >= kDiskShare)
    return Bottleneck{"disk", disk, 0,
                      fmt::format("the disk: programs waited for it {:.0f} % of the time; a faster disk helps, or a "
                                  "folder on this machine instead of the network",
                                  disk * 100)};
  const std::string who =
      busiest->threads == 1 ? "its thread was" : fmt::format("its {} threads were", busiest->threads);
  return Bottleneck{busiest->name, busiest->share, busiest->threads,
                    fmt::format("{}, {}: {} busy with it {:.0f} % of the time; {}", busiest->name, remedy->what, who,
                                busiest->share * 100, remedy->helps)};
}

DiskWaits::DiskWaits() : before_(disk_wait_seconds()) {}

double DiskWaits::share() const {
  const std::optional<double> now = disk_wait_seconds();
  const double wall = seconds(std::chrono::steady_clock::now() - start_);
  if (!before_ || !now || wall <= 0) return -1;
  return std::clamp((*now - *before_) / wall, 0.0, 1.0);
}

Status Trace::write(const std::string& path, std::span<const gpu::LaneEvent> lanes) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> rows;
  for (const Event& event : events_)
    rows.push_back(
        event_text(step_name(event.step), event.thread, seconds(event.start - begin_), seconds(event.length)));
  add_lanes(lanes, rows);
  return write_file_atomically(path, fmt::format("{{\"traceEvents\": [\n{}\n]}}\n", fmt::join(rows, ",\n")));
}

// A lane does one thing at a time; several threads may wait for it, so that each waiting gets a row that is free.
void Trace::add_lanes(std::span<const gpu::LaneEvent> lanes, std::vector<std::string>& rows) const {
  std::map<std::string, std::vector<gpu::LaneEvent>> by_lane;
  for (const gpu::LaneEvent& event : lanes) by_lane[event.lane].push_back(event);
  std::uint32_t next_row = kFirstLaneRow;
  for (auto& [lane, events] : by_lane) {
    std::ranges::stable_sort(events, {}, &gpu::LaneEvent::start);
    const std::uint32_t busy_row = next_row++;
    rows.push_back(row_name(busy_row, lane));
    std::optional<Clock::time_point> free_since;
    std::vector<Clock::time_point> waits_until;  // of each row of waiting
    const std::uint32_t first_wait_row = next_row;
    for (const gpu::LaneEvent& event : events) {
      const double start = seconds(event.start - begin_), length = seconds(event.length);
      if (event.work == gpu::LaneWork::kBusy) {
        if (free_since && event.start > *free_since)
          rows.push_back(
              event_text("idle", busy_row, seconds(*free_since - begin_), seconds(event.start - *free_since)));
        rows.push_back(event_text("busy", busy_row, start, length));
        free_since = event.start + event.length;
        continue;
      }
      auto row = std::ranges::find_if(waits_until, [&](Clock::time_point end) { return end <= event.start; });
      if (row == waits_until.end()) {
        rows.push_back(row_name(next_row++, lane + ": waiting"));
        row = waits_until.insert(row, event.start);
      }
      *row = event.start + event.length;
      rows.push_back(
          event_text("wait", first_wait_row + static_cast<std::uint32_t>(row - waits_until.begin()), start, length));
    }
  }
}

}  // namespace image_engine::pipeline
