// Stop tokens of tests.
#pragma once

#include <chrono>
#include <stop_token>
#include <thread>

namespace image_engine {

// One whose stop was requested before.
inline std::stop_token stopped() {
  std::stop_source source;
  source.request_stop();
  return source.get_token();
}

// Requests a stop a while after its construction, from another thread.
class StopsAfter {
 public:
  explicit StopsAfter(std::chrono::milliseconds delay)
      : thread_([source = source_, delay]() mutable {
          std::this_thread::sleep_for(delay);
          source.request_stop();
        }) {}
  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::jthread thread_;
};

}  // namespace image_engine
