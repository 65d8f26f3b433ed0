#include "media/video_cut.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "core/text.h"
#include "media/demuxer.h"
#include "media/part_output.h"
#include "media/text.h"

namespace image_engine::media {
namespace {

constexpr double kTimeSlack = 5e-4;  // seconds: times come rounded to milliseconds
constexpr double kPreRoll = 0.1;     // seconds of sound before `from`: decoders need some packets to start

tl::unexpected<Error> no_memory_to_cut() { return fail(ErrorCode::kOutOfMemory, "no memory to cut a video"); }

bool is_copied(const AVStream& stream) {
  const AVMediaType type = stream.codecpar->codec_type;
  const bool is_cover = (stream.disposition & AV_DISPOSITION_ATTACHED_PIC) != 0;
  return (type == AVMEDIA_TYPE_VIDEO && !is_cover) || type == AVMEDIA_TYPE_AUDIO;
}

const char* codec_name(const AVStream& stream) { return avcodec_get_name(stream.codecpar->codec_id); }

bool can_hold(const ClipFormatRow& row, const AVStream& stream) {
  const AVOutputFormat* muxer = av_guess_format(row.muxer, nullptr, nullptr);
  if (muxer == nullptr || (!row.has_display_matrix && orientation_of(stream) != 1)) return false;
  return avformat_query_codec(muxer, stream.codecpar->codec_id, FF_COMPLIANCE_NORMAL) == 1;
}

Status check_container(const ClipFormatRow& row, const std::vector<AVStream*>& streams) {
  const auto holds_all = [&](const ClipFormatRow& other) {
    return std::ranges::all_of(streams, [&](const AVStream* stream) { return can_hold(other, *stream); });
  };
  if (holds_all(row)) return {};
  const AVStream& first = **std::ranges::find_if(streams, [&](const AVStream* s) { return !can_hold(row, *s); });
  std::string others;
  for (const ClipFormatRow& other : kClipFormats)
    if (holds_all(other)) others += fmt::format("{}{}", others.empty() ? "" : " or ", other.extension);
  const bool is_turned = !row.has_display_matrix && orientation_of(first) != 1;
  return fail(ErrorCode::kUnsupported,
              fmt::format("{} files cannot hold {}: {}", row.extension,
                          is_turned ? std::string("a turned picture") : std::string(codec_name(first)),
                          others.empty() ? "cutting it needs another program, which encodes it anew"
                                         : "name a file that ends in " + others));
}

// A time of recording `seconds` later; texts that are no time stay.
std::string later_text(const char* text, double seconds) {
  const auto time = parse_time(text);
  return time ? time->later(seconds).iso() : std::string(text);
}

// The container's tags, but for those that describe the old file.
void copy_tags(const AVDictionary* from, AVDictionary** to, double seconds_later) {
  constexpr std::array kOfTheFile{"major_brand", "minor_version", "compatible_brands", "encoder",
                                  "rotate",      "duration",      "timecode"};
  constexpr std::array kRecorded{"creation_time", "com.apple.quicktime.creationdate", "date"};
  const AVDictionaryEntry* tag = nullptr;
  while ((tag = av_dict_get(from, "", tag, AV_DICT_IGNORE_SUFFIX)) != nullptr) {
    const std::string_view key = tag->key;
    if (std::ranges::find(kOfTheFile, ascii_lower(key)) != kOfTheFile.end() || key.starts_with("DURATION")) continue;
    const bool is_time = std::ranges::find(kRecorded, key) != kRecorded.end();
    av_dict_set(to, tag->key, is_time ? later_text(tag->value, seconds_later).c_str() : tag->value, 0);
  }
}

// The streams of the source that are copied, and where the part begins.
struct CutSource {
  Demuxer demuxer;
  std::vector<AVStream*> streams;
  AVStream* video = nullptr;
  ffmpeg::Packet packet;

  double tick = 0;             // seconds, of the video's times
  double seek_to = 0;          // seconds
  std::int64_t key_pts = 0;    // of the key frame, ticks
  std::int64_t first_pts = 0;  // of the frame that is shown at `from`
  std::vector<std::string> warnings;

  static Result<CutSource> open(Bytes file, const CutOptions& options) {
    const MediaFormat format = as_video(detect_format(file));
    if (format == MediaFormat::kNone) return fail(ErrorCode::kUnsupported, "this is not a video");
    IE_TRY(Demuxer demuxer, Demuxer::open(format, file, options.is_mapped));
    CutSource source{std::move(demuxer), {}, nullptr, ffmpeg::Packet(av_packet_alloc()), 0, 0, 0, 0, {}};
    if (!source.packet) return no_memory_to_cut();
    source.demuxer.read_stream_facts();
    source.video = source.demuxer.stream(AVMEDIA_TYPE_VIDEO);
    if (source.video == nullptr) return fail(ErrorCode::kUnsupported, "the file has no video stream");
    AVFormatContext& input = source.demuxer.input();
    for (unsigned i = 0; i < input.nb_streams; ++i) {
      AVStream* stream = input.streams[i];
      stream->discard = is_copied(*stream) ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
      if (is_copied(*stream)) source.streams.push_back(stream);
    }
    source.tick = av_q2d(source.video->time_base);
    return source;
  }

  // The next packet of a copied stream; false at the end.
  bool read() {
    for (;;) {
      av_packet_unref(packet.get());
      const int code = av_read_frame(&demuxer.input(), packet.get());
      if (code < 0) {
        if (code != AVERROR_EOF && warnings.empty())
          warnings.emplace_back("the file is damaged or ends early: the clip ends there");
        return false;
      }
      if (packet->size > 0 && is_copied(*demuxer.input().streams[packet->stream_index])) return true;
    }
  }
  [[nodiscard]] bool is_video() const { return packet->stream_index == video->index; }

  Status seek(double seconds) {
    const auto time = static_cast<std::int64_t>(std::floor(seconds / tick));
    if (av_seek_frame(&demuxer.input(), video->index, time, AVSEEK_FLAG_BACKWARD) < 0 &&
        av_seek_frame(&demuxer.input(), video->index, 0, AVSEEK_FLAG_BYTE) < 0)
      return fail(ErrorCode::kUnsupported, "the video cannot be read from a given time on");
    return {};
  }

  bool read_key_frame() {
    while (read())
      if (is_video() && (packet->flags & AV_PKT_FLAG_KEY) != 0) return true;
    return false;
  }

  // Indexes go by decoding time, and are coarse in some containers: back until the key frame is early enough.
  Status find_key_frame(double from) {
    seek_to = from;
    for (double back = 1;; back *= 2) {
      IE_CHECK(seek(seek_to));
      const bool found = read_key_frame();
      if (found && packet->pts == AV_NOPTS_VALUE)
        return fail(ErrorCode::kUnsupported,
                    "the file does not state when its frames are shown: cutting it needs another program, which "
                    "encodes it anew");
      key_pts = packet->pts;
      if (found && static_cast<double>(key_pts) * tick <= from + kTimeSlack) return {};
      const double start = video->start_time == AV_NOPTS_VALUE ? 0 : static_cast<double>(video->start_time) * tick;
      if (seek_to <= std::min(start, 0.0)) {
        if (!found) return fail(ErrorCode::kCorrupt, "the video has no key frame");
        return {};
      }
      seek_to = std::max(from - back, std::min(start, 0.0));
    }
  }

  // Finds the frame that is shown at `from`; kUnsupported after the last one.
  Status find_start(double from) {
    IE_CHECK(find_key_frame(from));
    std::optional<std::int64_t> shown;
    std::int64_t end = key_pts, earliest = std::numeric_limits<std::int64_t>::max();
    for (bool more = true; more; more = read()) {
      if (!is_video() || packet->pts == AV_NOPTS_VALUE || packet->pts < key_pts) continue;
      if ((packet->flags & AV_PKT_FLAG_DISCARD) != 0) continue;
      const double begins = static_cast<double>(packet->pts) * tick;
      earliest = std::min(earliest, packet->pts);
      end = std::max(end, packet->pts + packet->duration);
      if (begins <= from + kTimeSlack) shown = std::max(shown.value_or(packet->pts), packet->pts);
      const std::int64_t decoded = packet->dts == AV_NOPTS_VALUE ? packet->pts : packet->dts;
      if (static_cast<double>(decoded) * tick > from + kTimeSlack) {
        first_pts = shown.value_or(earliest);
        return {};
      }
    }
    if (!shown || static_cast<double>(end) * tick <= from + kTimeSlack)
      return fail(ErrorCode::kUnsupported, fmt::format("nothing is shown at {}: the video ends at {}", clock_text(from),
                                                       clock_text(std::max(static_cast<double>(end) * tick, 0.0))));
    first_pts = *shown;
    return {};
  }
};

class Cutter {
 public:
  Cutter(CutSource& source, const CutOptions& options, const WritePart& write)
      : source_(source), options_(options), row_(row_of(options.format)), write_(write) {}

  Result<VideoCut> run() {
    const std::int64_t begin = row_.has_edit_list ? source_.first_pts : source_.key_pts;
    begin_ = static_cast<double>(begin) * source_.tick;
    end_pts_ = std::llround(options_.to / source_.tick);
    last_end_ = begin;
    IE_CHECK(open());
    IE_CHECK(source_.seek(source_.seek_to));
    IE_CHECK(copy());
    if (!output_->finish()) return cannot_hold();
    VideoCut cut;
    cut.from = begin_;
    cut.to = static_cast<double>(std::max(last_end_, begin)) * source_.tick;
    cut.key_frame = static_cast<double>(source_.key_pts) * source_.tick;
    for (const AVStream* stream : source_.streams)
      (stream->codecpar->codec_type == AVMEDIA_TYPE_VIDEO ? cut.video_codecs : cut.audio_codecs)
          .emplace_back(codec_name(*stream));
    cut.warnings = source_.warnings;
    return cut;
  }

 private:
  struct Track {
    AVStream* out = nullptr;
    std::int64_t shift = 0;  // ticks of the source before the clip's zero
    std::int64_t last_dts = AV_NOPTS_VALUE;
    bool has_ended = false;
  };

  [[nodiscard]] tl::unexpected<Error> cannot_hold() const {
    return fail(ErrorCode::kUnsupported,
                fmt::format("its packets cannot be put into a {} file as they are: name a file that ends in {}",
                            row_.extension, row_.format == ClipFormat::kMatroska ? ".mp4" : ".mkv"));
  }

  Status open() {
    IE_TRY(PartOutput output, PartOutput::open(row_, write_));
    output_.emplace(std::move(output));
    AVFormatContext& context = output_->context();
    for (AVStream* stream : source_.streams) IE_CHECK(add(*stream));
    AVDictionary* options = nullptr;
    if (row_.has_edit_list) add_movie_options(&options);
    copy_tags(source_.demuxer.input().metadata, &context.metadata, begin_);
    const int code = avformat_write_header(&context, &options);
    av_dict_free(&options);
    if (code < 0) return cannot_hold();
    // By it FFmpeg would give the hidden frames a duration, which makes the edit list longer.
    if (row_.has_edit_list)
      for (const Track& track : tracks_)
        if (track.out != nullptr) track.out->avg_frame_rate = {0, 1};
    return {};
  }

  // An edit list as exact as the frames' times; the phone's own tags, of which MP4 has no others for place and zone.
  void add_movie_options(AVDictionary** options) const {
    constexpr int kLeastScale = 10'000;
    int scale = source_.video->time_base.den;
    while (scale > 0 && scale < kLeastScale) scale *= 2;
    av_dict_set_int(options, "movie_timescale", scale, 0);
    const AVDictionary* tags = source_.demuxer.input().metadata;
    if (av_dict_get(tags, "com.", nullptr, AV_DICT_IGNORE_SUFFIX) || av_dict_get(tags, "location", nullptr, 0))
      av_dict_set(options, "movflags", "use_metadata_tags", 0);
  }

  Status add(AVStream& in) {
    IE_TRY(AVStream* const out, output_->add_copy(in));
    copy_tags(in.metadata, &out->metadata, begin_);
    Track track;
    track.out = out;
    track.shift = std::llround(begin_ / av_q2d(in.time_base));
    tracks_.resize(std::max<size_t>(tracks_.size(), static_cast<size_t>(in.index) + 1));
    tracks_[static_cast<size_t>(in.index)] = track;
    return {};
  }

  Status copy() {
    while (!has_all() && source_.read()) {
      AVPacket& packet = *source_.packet;
      if (packet.stream_index >= static_cast<int>(tracks_.size()) || tracks_[packet.stream_index].out == nullptr)
        continue;  // a stream that was found later
      Track& track = tracks_[static_cast<size_t>(packet.stream_index)];
      note_time(packet);
      if (track.has_ended || !(source_.is_video() ? take_frame(packet, track) : take_other(packet, track))) continue;
      IE_CHECK(put(packet, track));
    }
    return {};
  }

  // Streams that are not interleaved well are waited for, but not to the end of the file.
  [[nodiscard]] bool has_all() const {
    constexpr double kLongestWait = 10;  // seconds of the video
    if (tracks_[static_cast<size_t>(source_.video->index)].has_ended && latest_ > options_.to + kLongestWait)
      return true;
    return std::ranges::all_of(
        source_.streams, [&](const AVStream* stream) { return tracks_[static_cast<size_t>(stream->index)].has_ended; });
  }
  void note_time(const AVPacket& packet) {
    const std::int64_t time = packet.dts != AV_NOPTS_VALUE ? packet.dts : packet.pts;
    if (time == AV_NOPTS_VALUE) return;
    const AVStream& in = *source_.demuxer.input().streams[packet.stream_index];
    latest_ = std::max(latest_, static_cast<double>(time) * av_q2d(in.time_base));
  }

  // Frames are stored in the order of decoding: those that are shown after the end are kept where others before the end
  // need them, and stay hidden behind the end of the edit list.
  bool take_frame(AVPacket& packet, Track& track) {
    if (packet.pts == AV_NOPTS_VALUE || packet.pts < source_.key_pts) return false;  // open GOPs' first ones
    const bool is_later = packet.pts > latest_pts_;
    const bool is_complete = static_cast<double>(latest_end_) * source_.tick > options_.to - kTimeSlack;
    const bool is_past = row_.has_edit_list && packet.dts != AV_NOPTS_VALUE && packet.dts >= end_pts_;
    if (latest_pts_ >= source_.key_pts && (is_past || (is_later && is_complete))) {
      track.has_ended = true;
      return false;
    }
    latest_pts_ = std::max(latest_pts_, packet.pts);
    latest_end_ = std::max(latest_end_, packet.pts + packet.duration);
    if (!row_.has_edit_list) {
      last_end_ = latest_end_;
      return true;
    }
    if (static_cast<double>(packet.pts) * source_.tick > options_.to - kTimeSlack) {
      packet.pts = std::max(end_pts_, packet.dts == AV_NOPTS_VALUE ? end_pts_ : packet.dts);
      packet.duration = 0;
      last_end_ = end_pts_;
      return true;
    }
    packet.duration = std::min(packet.duration, end_pts_ - packet.pts);
    last_end_ = std::max(last_end_, packet.pts + packet.duration);
    return true;
  }

  bool take_other(AVPacket& packet, Track& track) const {
    const AVStream& in = *source_.demuxer.input().streams[packet.stream_index];
    const double tick = av_q2d(in.time_base);
    const std::int64_t time = packet.pts != AV_NOPTS_VALUE ? packet.pts : packet.dts;
    if (time == AV_NOPTS_VALUE) return false;
    const double begins = static_cast<double>(time) * tick;
    const double ends = static_cast<double>(time + packet.duration) * tick;
    track.has_ended = begins > options_.to - kTimeSlack;
    const double first = row_.has_edit_list ? begin_ - kPreRoll : begin_;
    return !track.has_ended && ends > first + kTimeSlack;
  }

  Status put(AVPacket& packet, Track& track) {
    const AVStream& in = *source_.demuxer.input().streams[packet.stream_index];
    if (packet.pts != AV_NOPTS_VALUE) packet.pts -= track.shift;
    if (packet.dts != AV_NOPTS_VALUE) packet.dts -= track.shift;
    av_packet_rescale_ts(&packet, in.time_base, track.out->time_base);
    // A damaged file's times.
    if (packet.dts != AV_NOPTS_VALUE && track.last_dts != AV_NOPTS_VALUE && packet.dts <= track.last_dts)
      packet.dts = track.last_dts + 1;
    if (packet.dts != AV_NOPTS_VALUE) track.last_dts = packet.dts;
    if (packet.dts != AV_NOPTS_VALUE && packet.pts != AV_NOPTS_VALUE) packet.pts = std::max(packet.pts, packet.dts);
    packet.stream_index = track.out->index;
    packet.pos = -1;
    if (av_interleaved_write_frame(&output_->context(), &packet) < 0) return cannot_hold();
    return {};
  }

  CutSource& source_;
  const CutOptions& options_;
  const ClipFormatRow& row_;
  const WritePart& write_;
  std::optional<PartOutput> output_;
  std::vector<Track> tracks_;                // by the source's streams
  double begin_ = 0;                         // seconds of the source; the clip's zero
  double latest_ = 0;                        // seconds that were read
  std::int64_t end_pts_ = 0, last_end_ = 0;  // ticks: that was asked for; that is shown
  std::int64_t latest_pts_ = std::numeric_limits<std::int64_t>::min(), latest_end_ = latest_pts_;
};

}  // namespace

Result<VideoCut> cut_video(Bytes file, const CutOptions& options, const WritePart& write) {
  IE_TRY(CutSource source, CutSource::open(file, options));
  IE_CHECK(check_container(row_of(options.format), source.streams));
  IE_CHECK(source.find_start(options.from));
  return Cutter(source, options, write).run();
}

}  // namespace image_engine::media
