// What a video's picture does over time: small enough to be kept of every video, and to be compared with those of
// others.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "video/scene_changes.h"

namespace image_engine::video {

// Raise it when the same video would get another fingerprint.
inline constexpr char kFingerprintVersion[] = "1";
inline constexpr int kPrintColumns = 16, kPrintRows = 9, kPrintCells = kPrintColumns * kPrintRows;
inline constexpr double kPrintStep = 0.5;            // seconds
inline constexpr double kLongestPrint = 6 * 3600.0;  // seconds: 6 MB. What is longer has no fingerprint

// Makes a video's fingerprint from its small frames. Of each step of presentation time after the first frame it holds
// one byte a cell, row by row from the top of the upright picture: the cell's mean luma, 0…255, each frame counting for
// as long as it is shown. So it hardly depends on the frame rate, nor on the size of the picture. One thread at a time.
class Fingerprinter {
 public:
  // `orientation`: by which the small frames are to be turned, as in EXIF, 1…8.
  explicit Fingerprinter(std::uint32_t orientation);

  // Goes on behind the first `steps` of a video whose first frame was shown at `first` seconds. The next frame to be
  // added must be shown before that place.
  void resume(double first, std::size_t steps);
  // Frames in order of presentation. One that is not later than the one before is ignored, as those are that come
  // again.
  void add(double seconds, std::span<const std::uint8_t> rgb);
  // The last frame is shown until `end`, seconds. What is left of a step is dropped.
  void finish(double end) { show_until(end); }
  // The steps that were completed since the last call, kPrintCells bytes each.
  std::string take();
  // False where the video is too long.
  [[nodiscard]] bool is_whole() const { return !is_too_long_; }

 private:
  using Cells = std::array<float, kPrintCells>;
  struct Taps {  // of one column or row of pixels
    int cell = 0;
    float first = 1, second = 0;  // its shares in that cell and in the next one
  };

  [[nodiscard]] Cells cells_of(std::span<const std::uint8_t> rgb) const;
  void show_until(double seconds);

  std::uint32_t orientation_;
  std::array<Taps, kSmallWidth> columns_;
  std::array<Taps, kSmallHeight> rows_;
  std::optional<double> first_;  // the first frame's time, seconds
  std::size_t steps_ = 0;        // completed
  double shown_from_ = 0;        // of the frame at hand, as far as it is not counted yet; seconds after the first one
  double last_ = 0;              // the time of the frame at hand, seconds
  bool has_frame_ = false;
  bool is_too_long_ = false;
  Cells frame_{};
  std::array<double, kPrintCells> sums_{};  // of the step at hand: luma × seconds
  std::string done_;
};

}  // namespace image_engine::video
