// Limits the request rate of a server, shared by all processes on this machine.
#pragma once

#include <memory>
#include <string>

#include "core/result.h"
#include "nvidia/clock.h"

namespace image_engine::nvidia {

// GCRA (ITU-T I.371, "virtual scheduling") with a burst of one, at 97 % of the rate, so that no 60 seconds exceed the
// rate, whatever the network's delays. Its state, the time of the next free slot, is in a file that is locked for each
// change and shared by all threads and processes. Thread-safe.
class Pacer {
 public:
  // `folder` is created (0700) if missing; `server` is an origin such as "https ai.api.nvidia.com 443".
  // `requests_per_minute` 0: slots are free at once, except for hold_until(). Errors: kNoSpace, kPermission, kIo of the
  // file; kInvalidArgument for an invalid rate. A file that is damaged, or older than the machine's start, is ignored.
  static Result<Pacer> open(const std::string& folder, const std::string& server, double requests_per_minute,
                            Clock& clock = steady_clock());
  Pacer(Pacer&&) noexcept;
  Pacer& operator=(Pacer&&) noexcept;
  ~Pacer();

  // Takes the next free slot and returns its time, now or later; the caller waits until then.
  Result<Time> take();
  // The server asked for a pause: no new slot before `time`.
  Status hold_until(Time time);
  // The end of the requested pause: a slot before it must not be used.
  [[nodiscard]] Result<Time> held_until() const;
  // Requests that could start within the next minute if nobody else took one; infinite without a rate.
  [[nodiscard]] Result<double> left() const;

 private:
  struct State;
  explicit Pacer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::nvidia
