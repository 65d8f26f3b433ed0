#include "pipeline/private_video.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "pipeline/plugin_detectors.h"
#include "pipeline/video_masks.h"
#include "video/covering.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {
namespace {

constexpr char kBackgroundOfPeople[] = "background";
constexpr double kLeastBeside = 2;  // pixels

// Between two of these times anything may move by its own length (video::CoveringOptions::reach). Reading a frame's
// text takes seconds, and text moves little.
double sightings_a_second(const std::string& what) { return what == "text" ? 2 : 5; }

bool is_kept_box(const std::vector<Box>& keep, const Box& box) {
  const float x = box.x + box.width / 2, y = box.y + box.height / 2;
  return std::ranges::any_of(keep, [&](const Box& each) {
    return x >= each.x && y >= each.y && x < each.x + each.width && y < each.y + each.height;
  });
}

Box with_margin(const Box& box, double margin) {
  const auto beside = static_cast<float>(std::max(kLeastBeside, margin * std::min(box.width, box.height)));
  return {box.x - beside, box.y - beside, box.width + 2 * beside, box.height + 2 * beside};
}

// Frames are of one size, so what a run of a model needed is kept for the next: at 1080p mapping it anew takes a fifth
// of the time of a run. Lines of text are of many sizes.
Config for_frames(Config config, const std::string& what) {
  if (what != "text") config.processing.clear_cache_frequency = 0;
  return config;
}

// The first pass.
class Search {
 public:
  Search(const Config& config, const HideTask& task, double seconds, VideoWatch watch)
      : detectors_(std::in_place, for_frames(config, task.what), watch.stop),
        task_(task),
        seconds_(seconds),
        watch_(std::move(watch)) {}

  // Once: frees the models when it is done.
  Status run(worker::Pool& pool, const Config& config, const std::string& path) {
    const Status done = look_at_all(pool, config, path);
    detectors_.reset();
    return done;
  }

  [[nodiscard]] const video::Covering& covering() const { return covering_; }
  // What is to be hidden then: all of a frame that this pass did not get to.
  [[nodiscard]] std::vector<HiddenArea> hidden(const AskedFrame& frame) const {
    constexpr double kNotMet = 0.5;  // seconds after the last frame
    if (frame.seconds > last_ + kNotMet)
      return {{0, 0, static_cast<float>(frame.full_width), static_cast<float>(frame.full_height)}};
    std::vector<HiddenArea> areas;
    for (const Box& box : covering_.at(frame.seconds)) areas.push_back({box.x, box.y, box.width, box.height});
    return areas;
  }
  [[nodiscard]] std::uint64_t kept() const { return kept_; }

 private:
  Status look_at_all(worker::Pool& pool, const Config& config, const std::string& path) {
    IE_TRY(worker::LeasedFile file, worker::LeasedFile::open(pool, path));
    worker::Task all;
    all.operations = 0;
    all.video.fps = sightings_a_second(task_.what);
    all.video.threads = static_cast<std::uint32_t>(config.worker_count());
    IE_CHECK(file.start_video(all));
    for (;;) {
      if (watch_.stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted: nothing was written");
      const Result<std::optional<worker::VideoChunk>> chunk = file.next_chunk();
      // What is damaged ends the second pass as it ends this one.
      if (!chunk && chunk.error().code == ErrorCode::kCorrupt && has_frames_) return {};
      if (!chunk) return fail(chunk.error());
      if (!*chunk) return {};
      last_ = (*chunk)->seconds.back();
      for (const worker::ChosenFrame& frame : (*chunk)->chosen)
        IE_CHECK(look(file.pixels(frame.picture), frame.seconds));
    }
  }

  Status look(const ImageView& picture, double seconds) {
    if (!std::exchange(has_frames_, true)) first_ = seconds;
    IE_TRY(const auto found, detectors_->find_in_frame(picture, task_.what));
    std::vector<Box> boxes;
    for (const plugins::FoundRegion& region : found)
      if (is_kept_box(task_.keep, region.box))
        ++kept_;
      else
        boxes.push_back(with_margin(region.box, task_.margin));
    covering_.add(seconds, boxes);
    if (watch_.progress && seconds_ > 0) watch_.progress(std::clamp((seconds - first_) / seconds_, 0.0, 1.0));
    return {};
  }

  std::optional<PluginDetectors> detectors_;
  const HideTask& task_;
  double seconds_, first_ = 0, last_ = 0;  // of the video; times of its first and last frame
  VideoWatch watch_;
  video::Covering covering_;
  std::uint64_t kept_ = 0;
  bool has_frames_ = false;
};

worker::RewriteTask rewrite_task(const Config& config, const HideTask& task) {
  worker::RewriteTask rewrite;
  rewrite.format = task.format;
  rewrite.style = task.style;
  rewrite.squares = task.squares;
  rewrite.threads = static_cast<std::uint32_t>(config.worker_count());
  return rewrite;
}

// A watch whose work is one of several parts of another's.
VideoWatch part_of(const VideoWatch& watch, double from, double to) {
  return {watch.stop, [progress = watch.progress, from, to](double done) {
            if (progress) progress(from + (to - from) * done);
          }};
}

Result<PrivateVideo> hide_background_of_people(worker::Pool& pool, const Config& config, const std::string& path,
                                               const HideTask& task, double seconds, const std::string& target,
                                               const VideoWatch& watch) {
  IE_TRY(VideoMasks masks, VideoMasks::open(config, "person", {}));
  worker::RewriteTask rewrite = rewrite_task(config, task);
  rewrite.sends_pictures = 1;
  const auto answer = [&](const AskedFrame& frame, FrameAnswers& answers) -> Status {
    IE_TRY(std::vector<std::uint8_t> alpha, masks.next(frame.picture));
    for (const Box& box : task.keep)
      for (std::uint32_t y = 0; y < frame.picture.height; ++y)
        for (std::uint32_t x = 0; x < frame.picture.width; ++x)
          if (const float at_x = static_cast<float>(x) + 0.5F, at_y = static_cast<float>(y) + 0.5F;
              at_x >= box.x && at_y >= box.y && at_x < box.x + box.width && at_y < box.y + box.height)
            alpha[std::size_t{y} * frame.picture.width + x] = 255;
    return answers.give(frame.picture.width, frame.picture.height, 1, alpha);
  };
  IE_TRY(RewrittenFile file, rewrite_video(pool, path, rewrite, seconds, target, answer, watch));
  return PrivateVideo{std::move(file), masks.found(), 0};
}

}  // namespace

Result<PrivateVideo> hide_in_video(worker::Pool& pool, const Config& config, const std::string& path,
                                   const HideTask& task, const std::string& target, const VideoWatch& watch) {
  IE_TRY(const double seconds, video_seconds(pool, path));
  if (task.what == kBackgroundOfPeople)
    return hide_background_of_people(pool, config, path, task, seconds, target, watch);
  constexpr double kFirstPass = 0.7;  // of the time, about
  Search search(config, task, seconds, part_of(watch, 0, kFirstPass));
  IE_CHECK(search.run(pool, config, path));
  const auto answer = [&](const AskedFrame& frame, FrameAnswers& answers) {
    return answers.hide(search.hidden(frame));
  };
  IE_TRY(RewrittenFile file,
         rewrite_video(pool, path, rewrite_task(config, task), seconds, target, answer, part_of(watch, kFirstPass, 1)));
  return PrivateVideo{std::move(file), search.covering().tracks(), search.kept()};
}

}  // namespace image_engine::pipeline
