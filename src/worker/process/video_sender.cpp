#include "worker/process/video_sender.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>

#include "worker/archive.h"

namespace image_engine::worker {
namespace {

constexpr std::chrono::milliseconds kLongestChunk{500};  // of decoding, so that the engine sees progress
constexpr double kRounding = 1e-6;                       // seconds: times are fractions that binary numbers do not hold

}  // namespace

Result<VideoSummary> VideoSender::send_all() {
  IE_TRY(media::VideoReader reader,
         media::VideoReader::open(file_, {.key_frames_only = request_.video.key_frames_only != 0,
                                          .is_mapped = true,
                                          .threads = static_cast<int>(std::clamp(request_.video.threads, 1U, 16U)),
                                          .max_pixels = request_.max_pixels}));
  if (request_.video.from > 0) IE_CHECK(reader.seek(request_.video.from));
  for (;;) {
    Result<std::optional<media::VideoFrame>> frame = reader.next();
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
  return summary_;
}

Status VideoSender::add(media::VideoReader& reader, const media::VideoFrame& frame) {
  if (summary_.frames == 0) {
    summary_.first = frame.seconds;
    anchor_ = request_.video.from > 0 ? request_.video.anchor : frame.seconds;
  }
  if (!arena_) begin_chunk();
  if (request_.video.small_width > 0) {
    const size_t bytes = size_t{request_.video.small_width} * request_.video.small_height * 3;
    std::byte* at = memory_.data() + chunk_.small_offset + chunk_.seconds.size() * bytes;
    IE_CHECK(reader.reduce({request_.video.small_width, request_.video.small_height},
                           {reinterpret_cast<std::uint8_t*>(at), bytes}));
  }
  ++summary_.frames;
  summary_.last = frame.seconds;
  chunk_.seconds.push_back(frame.seconds);
  if (is_chosen(frame.seconds)) {
    IE_CHECK(add_chosen(reader, frame.seconds));
  }
  if (is_full()) send_chunk();
  return {};
}

// The first frame at or after each multiple of the wanted rate's step. Frames from before a resumed start are not.
bool VideoSender::is_chosen(double seconds) {
  if (request_.video.fps <= 0) return false;
  if (request_.video.from > 0 && seconds < request_.video.from - kRounding) return false;
  const double step = std::floor((seconds - anchor_) * request_.video.fps + kRounding);
  if (step < static_cast<double>(next_choice_)) return false;
  next_choice_ = static_cast<std::int64_t>(step) + 1;
  return true;
}

Status VideoSender::add_chosen(media::VideoReader& reader, double seconds) {
  LumaAccumulator luma;
  LumaAccumulator* const wanted = (request_.operations & kLuma) != 0 ? &luma : nullptr;
  IE_TRY(const Image image, reader.picture(request_.max_edge, wanted));
  ChosenFrame chosen{seconds, {}, {}};
  const media::Size full = reader.full_size();
  chosen.picture.width = image.width;
  chosen.picture.height = image.height;
  chosen.picture.full_width = full.width;
  chosen.picture.full_height = full.height;
  if (wanted != nullptr) chosen.picture.luma = luma.finish();
  IE_TRY(chosen.picture.offset, arena_->put(std::as_bytes(std::span(image.pixels))));
  if (request_.operations & kThumbnail) {
    IE_TRY(chosen.thumbnail, encode_small(request_, image, *arena_, [&](const ImageView& view) {
             return media::encode_jpeg(view, static_cast<int>(request_.thumbnail_quality));
           }));
  }
  chunk_.chosen.push_back(std::move(chosen));
  return {};
}

// A chosen frame is sent at once: the engine has models to run on it.
bool VideoSender::is_full() const {
  return chunk_.seconds.size() >= kMostChunkFrames || !chunk_.chosen.empty() ||
         std::chrono::steady_clock::now() - begun_ >= kLongestChunk;
}

void VideoSender::begin_chunk() {
  constexpr std::uint32_t kAll = (1U << kVideoSlots) - 1;
  while (in_use_ != 0) {
    const std::uint32_t before = in_use_;
    take_release(in_use_ == kAll);
    if (in_use_ == before) break;
  }
  slot_ = static_cast<std::uint32_t>(std::countr_one(in_use_));
  const SlotRange range = slot_range(slot_, memory_.size());
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
  std::memcpy(memory_.data() + slot_range(slot_, memory_.size()).begin, writer.bytes().data(), writer.bytes().size());
  ReplyHeader header;
  header.reply_bytes = static_cast<std::uint32_t>(writer.bytes().size());
  header.number = request_.number;
  header.slot = slot_;
  in_use_ |= 1U << slot_;
  arena_.reset();
  ::send(kSocketFd, &header, sizeof header, MSG_NOSIGNAL);
}

void VideoSender::take_release(bool wait) {
  Release release;
  ssize_t count = 0;
  do count = ::recv(kSocketFd, &release, sizeof release, wait ? 0 : MSG_DONTWAIT);
  while (count < 0 && errno == EINTR);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
  if (count != sizeof release || release.number != request_.number || release.slot >= kVideoSlots) ::_exit(2);
  in_use_ &= ~(1U << release.slot);
}

}  // namespace image_engine::worker
