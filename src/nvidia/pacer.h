// How often a server may be asked, by everybody on this machine together.
#pragma once

#include <memory>
#include <string>

#include "core/result.h"
#include "nvidia/clock.h"

namespace image_engine::nvidia {

// GCRA (ITU-T I.371, "virtual scheduling") with a burst of one, at 97 % of the rate, so that no 60 seconds see more
// than the rate however the network delays requests. Its state, the time of the next free slot, lies in a file that is
// locked for each change: all threads and processes share it. Thread-safe.
class Pacer {
 public:
  // `folder` is made (0700) where missing; `server` is an origin such as "https ai.api.nvidia.com 443".
  // `requests_per_minute` 0: slots are free at once, but for hold_until().
  // Errors: kNoSpace, kPermission, kIo of the file; kInvalidArgument for a rate that is none. A file that is damaged,
  // or of before the machine was started, counts as none.
  static Result<Pacer> open(const std::string& folder, const std::string& server, double requests_per_minute,
                            Clock& clock = steady_clock());
  Pacer(Pacer&&) noexcept;
  Pacer& operator=(Pacer&&) noexcept;
  ~Pacer();

  // Takes the next free slot and gives its time, now or later: who took it waits till then.
  Result<Time> take();
  // The server asks for quiet: no slot before `time` from now on.
  Status hold_until(Time time);
  // Until when quiet was asked for: a slot taken earlier that lies before it is not to be used.
  [[nodiscard]] Result<Time> held_until() const;
  // Requests that could start within the next minute if nobody else took one; infinite without a rate.
  [[nodiscard]] Result<double> left() const;

 private:
  struct State;
  explicit Pacer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::nvidia
