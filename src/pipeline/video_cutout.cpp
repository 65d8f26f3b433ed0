#include "pipeline/video_cutout.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "core/text.h"
#include "pipeline/video_masks.h"
#include "vision/cut_out.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {
namespace {

constexpr std::uint8_t kInsideMask = 128;

// Whole pixels.
struct PixelArea {
  std::uint32_t left = ~0U, top = ~0U, right = 0, bottom = 0;

  [[nodiscard]] bool is_empty() const { return left >= right; }
  void take_in(std::uint32_t x, std::uint32_t y) {
    left = std::min(left, x), right = std::max(right, x + 1);
    top = std::min(top, y), bottom = std::max(bottom, y + 1);
  }
  [[nodiscard]] Box box() const {
    return {static_cast<float>(left), static_cast<float>(top), static_cast<float>(right - left),
            static_cast<float>(bottom - top)};
  }
};

// With a margin, as far as it is in the frame, of even edges.
PixelArea widened(const PixelArea& area, double margin, std::uint32_t width, std::uint32_t height) {
  const auto beside =
      static_cast<std::uint32_t>(std::lround(margin * std::max(area.right - area.left, area.bottom - area.top)));
  PixelArea wide{area.left - std::min(area.left, beside), area.top - std::min(area.top, beside),
                 std::min(area.right + beside, width), std::min(area.bottom + beside, height)};
  const auto even = [](std::uint32_t& from, std::uint32_t& to, std::uint32_t most) {
    if ((to - from) % 2 == 0) return;
    if (to < most)
      ++to;
    else if (from > 0)
      --from;
  };
  even(wide.left, wide.right, width), even(wide.top, wide.bottom, height);
  return wide;
}

// Where the target is in any of the frames that are looked at.
Result<PixelArea> find_area(worker::Pool& pool, const Config& config, const std::string& path, const CutoutTask& task,
                            const VideoWatch& watch) {
  constexpr double kLooksASecond = 2;
  IE_TRY(PictureSegmenter segmenter, PictureSegmenter::open(config, task.options));
  IE_TRY(worker::LeasedFile file, worker::LeasedFile::open(pool, path));
  worker::Task all;
  all.operations = 0;
  all.video.fps = kLooksASecond;
  all.video.threads = static_cast<std::uint32_t>(config.worker_count());
  IE_CHECK(file.start_video(all));
  PixelArea area;
  for (;;) {
    if (watch.stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted: nothing was written");
    IE_TRY(const std::optional<worker::VideoChunk> chunk, file.next_chunk());
    if (!chunk) break;
    for (const worker::ChosenFrame& frame : chunk->chosen) {
      const Result<Segmented> found = segmenter.segment(file.pixels(frame.picture), task.target);
      if (!found && !segmenter.is_of_the_picture()) return fail(found.error());
      if (!found) continue;
      for (std::uint32_t y = 0; y < found->height; ++y)
        for (std::uint32_t x = 0; x < found->width; ++x)
          if (found->alpha[std::size_t{y} * found->width + x] >= kInsideMask) area.take_in(x, y);
    }
  }
  if (area.is_empty()) return fail(ErrorCode::kNotFound, "there is no " + printable(task.target) + " in this video");
  return area;
}

// A part of the pixels, rows without padding.
std::vector<std::uint8_t> part(const std::vector<std::uint8_t>& pixels, std::uint32_t width, std::uint32_t channels,
                               const PixelArea& area) {
  std::vector<std::uint8_t> out;
  const std::size_t row = std::size_t{area.right - area.left} * channels;
  out.reserve(row * (area.bottom - area.top));
  for (std::uint32_t y = area.top; y < area.bottom; ++y) {
    const auto from = pixels.begin() + static_cast<std::ptrdiff_t>((std::size_t{y} * width + area.left) * channels);
    out.insert(out.end(), from, from + static_cast<std::ptrdiff_t>(row));
  }
  return out;
}

std::vector<std::uint8_t> grey_as_rgb(const std::vector<std::uint8_t>& grey) {
  std::vector<std::uint8_t> rgb(grey.size() * 3);
  for (std::size_t i = 0; i < grey.size(); ++i) rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = grey[i];
  return rgb;
}

}  // namespace

Result<CutoutVideo> cut_out_of_video(worker::Pool& pool, const Config& config, const std::string& path,
                                     const CutoutTask& task, const std::string& target, const VideoWatch& watch) {
  CutoutVideo made;
  IE_TRY(const double seconds, video_seconds(pool, path));
  std::optional<PixelArea> area;
  if (task.is_cropped) {
    IE_TRY(area, find_area(pool, config, path, task, watch));
    made.box = area->box();
  }
  IE_TRY(VideoMasks masks, VideoMasks::open(config, task.target, task.options));
  worker::RewriteTask rewrite;
  rewrite.format = task.format;
  rewrite.coding = task.coding;
  rewrite.sends_pictures = 1;
  rewrite.with_sound = task.is_mask ? 0 : 1;
  rewrite.threads = static_cast<std::uint32_t>(config.worker_count());
  const auto answer = [&](const AskedFrame& frame, FrameAnswers& answers) -> Status {
    const ImageView& picture = frame.picture;
    IE_TRY(std::vector<std::uint8_t> alpha, masks.next(picture));
    const std::uint32_t channels = task.is_mask ? 3 : 4;
    std::vector<std::uint8_t> pixels = task.is_mask ? grey_as_rgb(alpha) : vision::cut_out(picture, alpha);
    made.width = picture.width, made.height = picture.height;
    if (area) {
      const PixelArea wide = widened(*area, task.margin, picture.width, picture.height);
      pixels = part(pixels, picture.width, channels, wide);
      made.cut = wide.box();
      made.width = wide.right - wide.left, made.height = wide.bottom - wide.top;
    }
    return answers.give(made.width, made.height, channels, pixels);
  };
  IE_TRY(made.file, rewrite_video(pool, path, rewrite, seconds, target, answer, watch));
  made.found = masks.found();
  if (made.found == 0) made.file.summary.notes.push_back(task.target + " was seen in none of the frames");
  made.model = masks.model(), made.precision = masks.precision();
  return made;
}

}  // namespace image_engine::pipeline
