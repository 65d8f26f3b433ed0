#include "cli/video_progress.h"

#include <fmt/format.h>

#include "cli/app.h"
#include "core/elapsed.h"
#include "core/text.h"

namespace image_engine::cli {

pipeline::VideoWatch VideoProgress::begin() {
  start_ = std::chrono::steady_clock::now();
  done_ = 0;
  return {interruption(), [this](double done) {
            done_ = done;
            progress_.add(0);
          }};
}

std::string VideoProgress::text() const {
  constexpr double kKnown = 0.01;  // of the work: before, the time that is left is a guess
  if (done_ < kKnown) return "";
  return fmt::format("{:.0f} % of a video, {} left", done_ * 100,
                     human_duration(seconds_since(start_) * (1 - done_) / done_));
}

}  // namespace image_engine::cli
