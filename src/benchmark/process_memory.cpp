#include "benchmark/process_memory.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace image_engine::benchmark {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kMemoryInterval{100};  // at least
// And so many times as long as a sample takes: while the kernel counts, the process can map no memory.
constexpr int kMemoryIntervalTimes = 50;

// "Pss:   123 kB" of a file of /proc, in bytes; nullopt without such a line.
std::optional<std::uint64_t> bytes_in(const std::string& file, std::string_view name) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name)) return std::strtoull(line.c_str() + name.size(), nullptr, 10) * 1024;
  return std::nullopt;
}

void add_with_children(int process, std::vector<int>& all) {
  all.push_back(process);
  std::error_code error;
  for (std::filesystem::directory_iterator task(fmt::format("/proc/{}/task", process), error), end;
       !error && task != end; task.increment(error)) {
    std::ifstream children(task->path() / "children");
    for (int child = 0; children >> child;) add_with_children(child, all);
  }
}

}  // namespace

MemoryWatch::MemoryWatch() {
  sample();
  thread_ = std::thread([this] { work(); });
}

MemoryWatch::~MemoryWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

MemoryPeak MemoryWatch::peak() const {
  const std::lock_guard lock(mutex_);
  return peak_;
}

void MemoryWatch::work() {
  Clock::duration interval = kMemoryInterval;
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, interval, [this] { return stopping_; })) {
    lock.unlock();
    const Clock::time_point begin = Clock::now();
    sample();
    interval = std::max<Clock::duration>(kMemoryInterval, kMemoryIntervalTimes * (Clock::now() - begin));
    lock.lock();
  }
}

// The kernel does not tell the proportional size of a process that is closed off, except to root.
void MemoryWatch::sample() {
  std::vector<int> processes;
  add_with_children(::getpid(), processes);
  std::uint64_t bytes = 0;
  bool exact = true;
  for (const int process : processes) {
    const std::string folder = fmt::format("/proc/{}/", process);
    if (const auto pss = bytes_in(folder + "smaps_rollup", "Pss:")) {
      bytes += *pss;
      continue;
    }
    const auto anonymous = bytes_in(folder + "status", "RssAnon:"), shared = bytes_in(folder + "status", "RssShmem:");
    if (!anonymous) continue;  // it has ended
    exact = false;
    bytes += *anonymous + shared.value_or(0) / 2;
  }
  const std::lock_guard lock(mutex_);
  peak_.bytes = std::max(peak_.bytes, bytes);
  peak_.exact = peak_.exact && exact;
  ++peak_.samples;
}

}  // namespace image_engine::benchmark
