// Ends runs of models that take too long, or once a stop is requested.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <optional>
#include <stop_token>

#include "core/result.h"

namespace image_engine::infer {

struct RunLimits {
  std::chrono::milliseconds longest{120'000};  // of one run, or of loading; 0: none
  std::stop_token stop;                        // checked a few times a second, by a separate thread
};
// For the whole process, from now on. Thread-safe.
void set_run_limits(RunLimits limits);
RunLimits run_limits();

// While it lives, another thread calls `end`, once, when a limit is reached.
class Watched {
 public:
  // `stop` is checked beside that of the limits.
  explicit Watched(std::function<void()> end, std::stop_token stop = {});
  ~Watched();
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
  // kTimeout or kInterrupted if `end` was called, whatever its effect; else nullopt.
  [[nodiscard]] std::optional<Error> ended() const;

  struct Entry {
    std::function<void()> end;
    std::stop_token stop;
    std::chrono::steady_clock::time_point since;
    std::optional<Error> why;
  };

 private:
  std::list<Entry>::iterator entry_;
};

}  // namespace image_engine::infer
