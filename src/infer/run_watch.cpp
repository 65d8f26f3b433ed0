#include "infer/run_watch.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/text.h"

namespace image_engine::infer {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBetweenChecks{100};

// One per process; never destroyed, as its thread ends with the process.
class Watch {
 public:
  static Watch& get() {
    static auto* const kWatch = new Watch;
    return *kWatch;
  }

  void set(RunLimits limits) {
    const std::lock_guard lock(mutex_);
    limits_ = std::move(limits);
  }

  RunLimits limits() {
    const std::lock_guard lock(mutex_);
    return limits_;
  }

  std::list<Watched::Entry>::iterator add(std::function<void()> end, std::stop_token stop) {
    const std::lock_guard lock(mutex_);
    if (!started_) std::thread([this] { watch(); }).detach();
    started_ = true;
    entries_.push_front({std::move(end), std::move(stop), SteadyClock::now(), {}});
    changed_.notify_one();
    return entries_.begin();
  }

  void remove(std::list<Watched::Entry>::iterator entry) {
    const std::lock_guard lock(mutex_);
    entries_.erase(entry);
  }

  std::optional<Error> why(std::list<Watched::Entry>::iterator entry) {
    const std::lock_guard lock(mutex_);
    return entry->why;
  }

 private:
  [[noreturn]] void watch() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return !entries_.empty(); });
      for (Watched::Entry& entry : entries_) judge(entry);
      changed_.wait_for(lock, kBetweenChecks, [] { return false; });
    }
  }

  void judge(Watched::Entry& entry) const {
    if (entry.why) return;
    const bool stopped = limits_.stop.stop_requested() || entry.stop.stop_requested();
    const bool late = limits_.longest.count() > 0 && SteadyClock::now() - entry.since > limits_.longest;
    if (stopped) entry.why = Error{ErrorCode::kInterrupted, "interrupted"};
    if (late && !stopped)
      entry.why =
          Error{ErrorCode::kTimeout, "the model did not finish within " +
                                         human_duration(std::chrono::duration<double>(limits_.longest).count()) +
                                         "; inference.run_timeout_seconds allows more"};
    if (entry.why) entry.end();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  RunLimits limits_;
  std::list<Watched::Entry> entries_;
  bool started_ = false;
};

}  // namespace

void set_run_limits(RunLimits limits) { Watch::get().set(std::move(limits)); }

RunLimits run_limits() { return Watch::get().limits(); }

Watched::Watched(std::function<void()> end, std::stop_token stop)
    : entry_(Watch::get().add(std::move(end), std::move(stop))) {}
Watched::~Watched() { Watch::get().remove(entry_); }
std::optional<Error> Watched::ended() const { return Watch::get().why(entry_); }

}  // namespace image_engine::infer
