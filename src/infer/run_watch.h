// Ends what models do for too long, and what they do once the program is to stop.
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
  std::stop_token stop;                        // looked at a few times a second, by a thread of its own
};
// For the whole process, from now on. Thread-safe.
void set_run_limits(RunLimits limits);
RunLimits run_limits();

// While one lives, `end` is called once the limits say so: by another thread, once.
class Watched {
 public:
  explicit Watched(std::function<void()> end);
  ~Watched();
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
  // kTimeout or kInterrupted where it was ended, whatever came of that; else nothing.
  [[nodiscard]] std::optional<Error> ended() const;

  struct Entry {
    std::function<void()> end;
    std::chrono::steady_clock::time_point since;
    std::optional<Error> why;
  };

 private:
  std::list<Entry>::iterator entry_;
};

}  // namespace image_engine::infer
