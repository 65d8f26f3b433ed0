#include "worker/answer.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"

namespace image_engine::worker {
namespace {

constexpr std::uint32_t kMostEdge = 0x7FFFFFFF;

struct Asked {
  const Request& request;
  std::uint64_t memory_bytes;

  [[nodiscard]] bool any(std::uint32_t operations) const { return (request.operations & operations) != 0; }
  [[nodiscard]] bool inside(std::uint64_t offset, std::uint64_t size) const {
    return offset <= memory_bytes && size <= memory_bytes - offset;
  }
};

bool is_hash(const Hash128& hash) { return hash != Hash128{}; }

bool is_within(double value, double most) { return std::abs(value) <= most; }  // false for NaN

bool is_sound(const Metadata& found) {
  if (!is_media_format(found.format)) return false;
  if (found.video && !(found.video->duration >= 0 && found.video->duration <= kMostVideoSeconds)) return false;
  if (found.taken && (found.taken->precision > TimePrecision::kSecond || found.taken->source >= TimeSource::kName))
    return false;
  if (found.audio && !is_within(found.audio->duration, kMostVideoSeconds)) return false;
  return !found.gps || (is_within(found.gps->latitude, 90) && is_within(found.gps->longitude, 180));
}

bool is_sound(const LumaStatistics& luma) {
  return std::ranges::all_of(
      std::initializer_list<double>{luma.laplacian_variance, luma.laplacian_variance_top, luma.noise_sigma},
      [](double value) { return std::isfinite(value); });
}

bool is_asked_for(const Asked& asked, const Picture& picture) {
  if (!asked.any(kDecode | kThumbnail | kVideoClip) || !is_sound(picture.luma)) return false;
  if (picture.full_width == 0 || picture.full_height == 0) return false;
  if (std::max(picture.full_width, picture.full_height) > kMostEdge) return false;
  if (!asked.any(kDecode)) return picture.width == 0 && picture.height == 0;
  const std::uint32_t longer = std::max(picture.width, picture.height);
  if (picture.width == 0 || picture.height == 0) return false;
  if (asked.request.max_edge > 0 && longer > asked.request.max_edge) return false;
  const std::uint64_t pixels = std::uint64_t{picture.width} * picture.height;
  return pixels <= asked.request.max_pixels && asked.inside(picture.offset, pixels * 3);
}

bool is_asked_for(const Asked& asked, const Thumbnail& thumbnail, Operation operation) {
  const std::uint64_t edge = asked.request.thumbnail_edge;
  return asked.any(operation) && thumbnail.bytes > 0 &&
         thumbnail.bytes <= edge * edge * kMostBytesAPixel + kMostHeaderBytes &&
         asked.inside(thumbnail.offset, thumbnail.bytes);
}

template <typename T>
void check_error(Result<T>& result) {
  constexpr ErrorCode kWorkers[] = {ErrorCode::kPermission,  ErrorCode::kIo,       ErrorCode::kCorrupt,
                                    ErrorCode::kUnsupported, ErrorCode::kTooLarge, ErrorCode::kOutOfMemory};
  if (result || std::ranges::find(kWorkers, result.error().code) != std::end(kWorkers)) return;
  result.error().code = ErrorCode::kInternal;
}

bool is_time(double seconds) { return seconds >= 0 && is_within(seconds, kMostVideoSeconds); }

bool is_sound(const VideoSummary& video) {
  const bool rate =
      video.frame_rate == 0 || (video.frame_rate >= kLeastFrameRate && video.frame_rate <= kMostFrameRate);
  return rate && is_within(video.first, kMostVideoSeconds) && is_within(video.last, kMostVideoSeconds) &&
         is_time(video.duration) && is_time(video.waited) && is_time(video.decode.seconds) &&
         is_time(video.reduce.seconds) && is_time(video.convert.seconds) && is_time(video.thumbnail.seconds);
}

// `most_edge` 0: full size, up to the request's number of pixels.
bool is_sound_frame(const Request& request, const Picture& picture, std::uint32_t most_edge) {
  const std::uint32_t longer = std::max(picture.width, picture.height);
  if (picture.width == 0 || picture.height == 0 || picture.full_width == 0 || picture.full_height == 0) return false;
  if (longer > kMostEdge || std::max(picture.full_width, picture.full_height) > kMostEdge) return false;
  const bool is_small =
      most_edge == 0 ? std::uint64_t{picture.width} * picture.height <= request.max_pixels : longer <= most_edge;
  return is_small && is_sound(picture.luma);
}

bool is_preview_of(const Asked& asked, const Thumbnail& preview) {
  const PreviewTask& task = asked.request.preview;
  const std::uint64_t most = std::uint64_t{task.edge} * task.edge * kMostBytesAPixel * task.frames + kMostHeaderBytes;
  return asked.any(kPreview) && preview.bytes > 0 && preview.bytes <= most &&
         asked.inside(preview.offset, preview.bytes);
}

bool is_file_of(const Asked& asked, const Thumbnail& encoded) {
  const EncodeTask& task = asked.request.encode;
  const std::uint64_t most = std::uint64_t{task.width} * task.height * (task.channels + 1) + kMostHeaderBytes;
  return asked.any(kEncode) && encoded.bytes > 0 && encoded.bytes <= most &&
         asked.inside(encoded.offset, encoded.bytes);
}

bool is_sound(const CutSummary& cut) {
  const auto times = {cut.from, cut.to, cut.key_frame};
  return std::ranges::all_of(times, [](double time) { return is_within(time, kMostVideoSeconds); }) &&
         cut.from <= cut.to && !cut.video_codecs.empty();
}

bool is_sound(const Loudness& loudness) {
  constexpr double kMostLevel = 1000;  // decibels
  return is_within(loudness.integrated.value_or(0), kMostLevel) && is_within(loudness.range, kMostLevel) &&
         is_within(loudness.true_peak.value_or(0), kMostLevel) && is_time(loudness.clipped_seconds);
}

bool is_sound(const SoundSummary& sound) {
  return is_within(sound.first, kMostVideoSeconds) && is_within(sound.last, kMostVideoSeconds) &&
         sound.first <= sound.last && is_time(sound.duration) && sound.track < sound.tracks.size() &&
         is_sound(sound.loudness);
}

// A track that was asked for may be missing.
void check_sound_error(const Request& request, Result<SoundSummary>& sound) {
  const bool is_chosen = request.sound.track >= 0 || request.sound.language[0] != 0;
  if (sound || sound.error().code != ErrorCode::kNotFound || !is_chosen) check_error(sound);
}

bool is_sound(const Subtitles& subtitles) {
  if (subtitles.cues.size() > kMostSubtitleCues || (subtitles.codec.empty() && !subtitles.cues.empty())) return false;
  size_t bytes = 0;
  double last = 0;
  for (const SubtitleCue& cue : subtitles.cues) {
    bytes += cue.text.size();
    if (!is_time(cue.from) || !is_time(cue.to) || cue.from < last || cue.to < cue.from) return false;
    if (cue.text.empty() || bytes > kMostSubtitleBytes || !is_utf8(cue.text)) return false;
    last = cue.from;
  }
  return true;
}

}  // namespace

bool is_sound_of(const Request& request, const SoundChunk& chunk, SlotRange slot, double end) {
  constexpr double kRounding = 1e-3;  // seconds; less than a word, more than the rounding of times
  if (!is_within(chunk.seconds, kMostVideoSeconds) || !(chunk.seconds >= end - kRounding)) return false;
  if (request.sound.from > 0 && !(chunk.seconds >= request.sound.from - kRounding)) return false;
  if (chunk.samples > kMostChunkSamples || chunk.offset % alignof(float) != 0) return false;
  return chunk.offset >= slot.begin && chunk.offset <= slot.end &&
         chunk.samples * sizeof(float) <= slot.end - chunk.offset;
}

bool is_part_in(const WrittenPart& part, SlotRange slot) {
  constexpr std::uint64_t kMostPosition = std::uint64_t{1} << 62;
  return part.bytes > 0 && part.position <= kMostPosition && part.offset >= slot.begin && part.offset <= slot.end &&
         part.bytes <= slot.end - part.offset;
}

bool is_step_of(const Request& request, const RewriteStep& step, SlotRange slot) {
  if (step.part.bytes > 0) return is_part_in(step.part, slot);
  const Picture& picture = step.picture;
  if (!is_within(step.seconds, kMostVideoSeconds) || picture.full_width == 0 || picture.full_height == 0 ||
      std::max(picture.full_width, picture.full_height) > kMostEdge)
    return false;
  if (request.rewrite.sends_pictures == 0) return picture.width == 0 && picture.height == 0;
  if (!is_sound_frame(request, picture, 0)) return false;
  const std::uint64_t bytes = std::uint64_t{3} * picture.width * picture.height;
  return picture.offset >= slot.begin && picture.offset <= slot.end && bytes <= slot.end - picture.offset;
}

bool is_chunk_of(const Request& request, const VideoChunk& chunk, SlotRange slot, double last) {
  const auto inside = [&](std::uint64_t offset, std::uint64_t size) {
    return offset >= slot.begin && offset <= slot.end && size <= slot.end - offset;
  };
  if (chunk.seconds.empty() || chunk.seconds.size() > kMostChunkFrames || chunk.chosen.size() > chunk.seconds.size())
    return false;
  for (const double seconds : chunk.seconds) {
    if (!is_within(seconds, kMostVideoSeconds) || !(seconds > last)) return false;
    last = seconds;
  }
  const std::uint64_t small = std::uint64_t{request.video.small_width} * request.video.small_height * 3;
  if (small > 0 && !inside(chunk.small_offset, small * chunk.seconds.size())) return false;
  // A chosen frame ends its chunk.
  if (std::ranges::count(chunk.chosen, false, &ChosenFrame::is_between) > 1) return false;
  const bool steps = request.video.step_seconds > 0 || request.video.step_frames > 0;
  if (chunk.steps.size() > (steps ? kMostSteps : 0)) return false;
  const auto are_sound = [&](const std::vector<ChosenFrame>& frames, std::uint32_t most_edge, bool jpegs) {
    auto at = chunk.seconds.begin();
    for (const ChosenFrame& frame : frames) {
      at = std::find(at, chunk.seconds.end(), frame.seconds);
      if (at++ == chunk.seconds.end()) return false;
      if (frame.is_between && !(request.video.track_fps > request.video.fps)) return false;
      if (!is_sound_frame(request, frame.picture, frame.is_between ? request.video.between_edge : most_edge))
        return false;
      const Picture& picture = frame.picture;
      if (!inside(picture.offset, std::uint64_t{3} * picture.width * picture.height)) return false;
      const bool jpeg = jpegs && !frame.is_between;
      if ((frame.thumbnail.bytes > 0) != jpeg) return false;
      if (!jpeg) continue;
      const std::uint64_t edge = request.thumbnail_edge;
      if (frame.thumbnail.bytes > edge * edge * kMostBytesAPixel + kMostHeaderBytes) return false;
      if (!inside(frame.thumbnail.offset, frame.thumbnail.bytes)) return false;
    }
    return true;
  };
  return are_sound(chunk.chosen, request.max_edge, (request.operations & kThumbnail) != 0) &&
         are_sound(chunk.steps, request.video.step_edge, false);
}

bool is_answer_to(const Request& request, Reply& reply, std::uint64_t memory_bytes) {
  const Asked asked{request, memory_bytes};
  check_error(reply.metadata);
  check_error(reply.hashes);
  check_error(reply.picture);
  check_error(reply.thumbnail);
  check_error(reply.clip);
  check_error(reply.video);
  check_error(reply.cut);
  check_sound_error(request, reply.sound);
  check_error(reply.subtitles);
  check_error(reply.preview);
  check_error(reply.encoded);
  check_error(reply.rewritten);
  if (reply.metadata && !(asked.any(kReadMetadata) && is_sound(*reply.metadata))) return false;
  if (reply.hashes && !(asked.any(kHash) && is_hash(reply.hashes->file) && is_hash(reply.hashes->asset) &&
                        is_hash(reply.hashes->coded)))
    return false;
  if (reply.picture && !is_asked_for(asked, *reply.picture)) return false;
  if (reply.thumbnail && !is_asked_for(asked, *reply.thumbnail, kThumbnail)) return false;
  if (reply.video && !(asked.any(kVideoFrames) && is_sound(*reply.video))) return false;
  if (reply.preview && !is_preview_of(asked, *reply.preview)) return false;
  if (reply.encoded && !is_file_of(asked, *reply.encoded)) return false;
  if (reply.sound && !(asked.any(kSound) && is_sound(*reply.sound))) return false;
  if (reply.subtitles && !(asked.any(kSubtitles) && is_sound(*reply.subtitles))) return false;
  if (reply.rewritten && !(asked.any(kRewrite) && reply.rewritten->frames > 0)) return false;
  if (reply.cut && !(asked.any(kCut) && is_sound(*reply.cut))) return false;
  return !reply.clip || is_asked_for(asked, *reply.clip, kVideoClip);
}

}  // namespace image_engine::worker
