#include "worker/process/video_sender.h"

#include <algorithm>
#include <cmath>

#include "types/same_picture.h"
#include "worker/archive.h"

namespace image_engine::worker {
namespace {

constexpr std::chrono::milliseconds kLongestChunk{500};  // of decoding, so that the engine sees progress
constexpr double kUsualFrameRate = 25;                   // where the container states none
constexpr double kRounding = 1e-6;                       // seconds: times are fractions that binary numbers do not hold

// What `work` gives; its time is added to `step`.
template <typename Work>
auto timed(VideoStep& step, const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  auto result = work();
  step.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  ++step.frames;
  return result;
}

// Steps a second; 0: none.
double step_rate(const VideoTask& task, double frame_rate) {
  if (task.step_seconds > 0) return 1 / task.step_seconds;
  if (task.step_frames == 0) return 0;
  return (frame_rate >= kLeastFrameRate ? std::min(frame_rate, kMostFrameRate) : kUsualFrameRate) / task.step_frames;
}

}  // namespace

Result<VideoSummary> VideoSender::send_all() {
  IE_TRY(media::VideoReader reader,
         media::VideoReader::open(file_, {.key_frames_only = request_.video.key_frames_only != 0,
                                          .is_mapped = true,
                                          .threads = static_cast<int>(std::clamp(request_.video.threads, 1U, 16U)),
                                          .max_pixels = request_.max_pixels}));
  step_rate_ = step_rate(request_.video, reader.frame_rate());
  if (request_.video.from > 0) IE_CHECK(reader.seek(request_.video.from));
  for (;;) {
    Result<std::optional<media::VideoFrame>> frame = timed(summary_.decode, [&] { return reader.next(); });
    if (!frame) return fail(frame.error());
    if (!*frame) break;
    if (!(std::abs((*frame)->seconds) <= kMostVideoSeconds)) continue;  // a damaged time
    if (Status added = add(reader, **frame); !added) {
      send_chunk();
      return fail(added.error());
    }
  }
  send_chunk();
  if (reader.is_cut_off()) return fail(ErrorCode::kCorrupt, "the file is damaged or ends early");
  if (reader.duration() <= kMostVideoSeconds) summary_.duration = reader.duration();
  if (reader.frame_rate() >= kLeastFrameRate && reader.frame_rate() <= kMostFrameRate)
    summary_.frame_rate = reader.frame_rate();
  summary_.audio_streams = reader.streams(media::StreamKind::kAudio);
  summary_.subtitle_streams = reader.streams(media::StreamKind::kSubtitles);
  summary_.is_hdr = reader.is_hdr();
  summary_.warnings = reader.warnings();
  summary_.decode.frames = summary_.frames;
  return summary_;
}

Status VideoSender::add(media::VideoReader& reader, const media::VideoFrame& frame) {
  if (summary_.frames == 0) {
    summary_.first = frame.seconds;
    anchor_ = request_.video.from > 0 ? request_.video.anchor : frame.seconds;
  }
  if (!arena_) begin_chunk();
  std::span<std::uint8_t> small;
  if (request_.video.small_width > 0) {
    const size_t bytes = size_t{request_.video.small_width} * request_.video.small_height * 3;
    std::byte* at = memory_.data() + chunk_.small_offset + chunk_.seconds.size() * bytes;
    small = {reinterpret_cast<std::uint8_t*>(at), bytes};
    IE_CHECK(timed(summary_.reduce, [&] {
      return reader.reduce({request_.video.small_width, request_.video.small_height}, small);
    }));
  }
  ++summary_.frames;
  summary_.last = frame.seconds;
  chunk_.seconds.push_back(frame.seconds);
  // Frames from before a resumed start are not chosen; to get what a whole run gets, resume at such a frame.
  const VideoTask& video = request_.video;
  const bool is_new = !(video.from > 0 && frame.seconds < video.from - kRounding);
  const bool chosen = is_new && is_due(frame.seconds, video.fps, next_choice_);
  const bool between = is_between(frame.seconds, small);
  if (chosen) IE_CHECK(add_chosen(reader, frame.seconds));
  if (between && !chosen) IE_CHECK(add_between(reader, frame.seconds));
  if (chosen || between) sent_small_.assign(small.begin(), small.end());
  if (is_new && is_due(frame.seconds, step_rate_, next_step_)) IE_CHECK(add_step(reader, frame.seconds));
  if (is_full()) send_chunk();
  return {};
}

bool VideoSender::is_due(double seconds, double fps, std::int64_t& next) const {
  if (fps <= 0) return false;
  const double step = std::floor((seconds - anchor_) * fps + kRounding);
  if (step < static_cast<double>(next)) return false;
  next = static_cast<std::int64_t>(step) + 1;
  return true;
}

// What moves is followed more often; what stands still is where it was.
bool VideoSender::is_between(double seconds, std::span<const std::uint8_t> small) {
  const VideoTask& video = request_.video;
  if (!(video.track_fps > video.fps) || !is_due(seconds, video.track_fps, next_between_)) return false;
  return !sent_small_.empty() && !is_same_picture(small, sent_small_, video.small_width, video.small_height);
}

Result<ChosenFrame> VideoSender::placed(const media::VideoReader& reader, double seconds, const Image& image) {
  ChosenFrame frame{.seconds = seconds};
  const media::Size full = reader.full_size();
  frame.picture.width = image.width;
  frame.picture.height = image.height;
  frame.picture.full_width = full.width;
  frame.picture.full_height = full.height;
  IE_TRY(frame.picture.offset, arena_->put(std::as_bytes(std::span(image.pixels))));
  return frame;
}

Status VideoSender::add_step(media::VideoReader& reader, double seconds) {
  IE_TRY(const Image image, timed(summary_.convert, [&] { return reader.picture(request_.video.step_edge); }));
  IE_TRY(ChosenFrame frame, placed(reader, seconds, image));
  chunk_.steps.push_back(std::move(frame));
  return {};
}

Status VideoSender::add_chosen(media::VideoReader& reader, double seconds) {
  LumaAccumulator luma;
  LumaAccumulator* const wanted = (request_.operations & kLuma) != 0 ? &luma : nullptr;
  IE_TRY(const Image image, timed(summary_.convert, [&] { return reader.picture(request_.max_edge, wanted); }));
  IE_TRY(ChosenFrame chosen, placed(reader, seconds, image));
  if (wanted != nullptr) chosen.picture.luma = luma.finish();
  if (request_.operations & kThumbnail) {
    const auto encode = [&](const ImageView& view) {
      return media::encode_jpeg(view, static_cast<int>(request_.thumbnail_quality));
    };
    IE_TRY(chosen.thumbnail, timed(summary_.thumbnail, [&] { return encode_small(request_, image, *arena_, encode); }));
  }
  chunk_.chosen.push_back(std::move(chosen));
  return {};
}

Status VideoSender::add_between(media::VideoReader& reader, double seconds) {
  IE_TRY(const Image image, timed(summary_.convert, [&] { return reader.rough_picture(request_.video.between_edge); }));
  IE_TRY(ChosenFrame frame, placed(reader, seconds, image));
  frame.is_between = true;
  chunk_.chosen.push_back(std::move(frame));
  return {};
}

// A chosen frame is sent at once: the engine has models to run on it. Those between wait for it.
bool VideoSender::is_full() const {
  const bool chosen = !chunk_.chosen.empty() && !chunk_.chosen.back().is_between;
  return chosen || chunk_.seconds.size() >= kMostChunkFrames || chunk_.chosen.size() >= kMostSteps ||
         chunk_.steps.size() >= kMostSteps || std::chrono::steady_clock::now() - begun_ >= kLongestChunk;
}

void VideoSender::begin_chunk() {
  const auto start = std::chrono::steady_clock::now();
  slot_ = slots_.take();
  summary_.waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const SlotRange range = slots_.range(slot_);
  const std::uint64_t small =
      std::uint64_t{request_.video.small_width} * request_.video.small_height * 3 * kMostChunkFrames;
  chunk_ = {};
  chunk_.small_offset = range.begin + kMostChunkBytes;
  arena_.emplace(memory_, chunk_.small_offset + (small + 63) / 64 * 64, range.end);
  begun_ = std::chrono::steady_clock::now();
}

void VideoSender::send_chunk() {
  if (!arena_ || chunk_.seconds.empty()) return;
  ArchiveWriter writer;
  writer(chunk_);
  slots_.send(slot_, writer.bytes());
  arena_.reset();
}

}  // namespace image_engine::worker
