#include "media/subtitles.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <memory>
#include <tuple>

#include "core/text.h"
#include "media/charset.h"
#include "media/demuxer.h"
#include "media/text.h"
#include "types/language.h"

namespace image_engine::media {
namespace {

constexpr double kMostCueTime = 1e9;        // seconds
constexpr double kUnknownCueSeconds = 5;    // that a cue without an end is shown at most
constexpr std::size_t kMostCandidates = 4;  // streams that are read

constexpr std::array kTextCodecs{AV_CODEC_ID_SUBRIP, AV_CODEC_ID_TEXT, AV_CODEC_ID_MOV_TEXT,
                                 AV_CODEC_ID_WEBVTT, AV_CODEC_ID_ASS,  AV_CODEC_ID_SSA};

std::string stream_tag(const AVStream& stream, const char* name) {
  const AVDictionaryEntry* tag = av_dict_get(stream.metadata, name, nullptr, 0);
  return tag != nullptr ? clean_text(tag->value) : "";
}

bool has_text_codec(const AVStream& stream) {
  return std::ranges::find(kTextCodecs, stream.codecpar->codec_id) != kTextCodecs.end();
}

// Of all that is said, and nothing else.
bool is_of_all_speech(const AVStream& stream) {
  constexpr int kOthers = AV_DISPOSITION_FORCED | AV_DISPOSITION_COMMENT | AV_DISPOSITION_LYRICS;
  if ((stream.disposition & kOthers) != 0) return false;
  const std::string title = ascii_lower(stream_tag(stream, "title"));
  const auto has = [&](std::string_view word) { return title.find(word) != std::string::npos; };
  return !has("forced") && !has("commentary") && !(has("sign") && has("song") && !has("full") && !has("dialog"));
}

bool describes_sounds(const AVStream& stream) {
  const std::string title = ascii_lower(stream_tag(stream, "title"));
  return (stream.disposition & (AV_DISPOSITION_HEARING_IMPAIRED | AV_DISPOSITION_DESCRIPTIONS)) != 0 ||
         title.find("sdh") != std::string::npos || title.find("hearing") != std::string::npos;
}

struct FreeSubtitle {
  AVSubtitle subtitle{};
  ~FreeSubtitle() { avsubtitle_free(&subtitle); }
};

// Lines without spaces at their ends, and without empty ones.
std::string tidy_lines(std::string_view text) {
  std::string tidy;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t first = line.find_first_not_of(" \t\r\v\f");
    if (first == std::string_view::npos) continue;
    line = line.substr(first, line.find_last_not_of(" \t\r\v\f") + 1 - first);
    if (!tidy.empty()) tidy += '\n';
    tidy += line;
  }
  return tidy;
}

// The cues of one stream, as they come.
class CueReader {
 public:
  static Result<CueReader> open(const AVStream& stream) {
    const AVCodec* decoder = avcodec_find_decoder(stream.codecpar->codec_id);
    if (decoder == nullptr) return fail(ErrorCode::kUnsupported, "this FFmpeg cannot read such subtitles");
    CueReader reader(stream);
    reader.context_.reset(avcodec_alloc_context3(decoder));
    if (!reader.context_) return fail(ErrorCode::kOutOfMemory, "no memory to read subtitles");
    if (avcodec_parameters_to_context(reader.context_.get(), stream.codecpar) < 0)
      return fail(ErrorCode::kCorrupt, "the subtitles' header cannot be read");
    reader.context_->pkt_timebase = stream.time_base;
    if (avcodec_open2(reader.context_.get(), decoder, nullptr) < 0)
      return fail(ErrorCode::kCorrupt, "the subtitles' header cannot be read");
    return reader;
  }

  [[nodiscard]] const AVStream& stream() const { return *stream_; }
  [[nodiscard]] bool is_full() const { return is_full_; }

  void add(AVPacket& packet) {
    if (is_full_ || packet.pts == AV_NOPTS_VALUE || packet.size <= 0) return;
    const double tick = av_q2d(stream_->time_base);
    const double from = static_cast<double>(packet.pts) * tick;
    const double seconds = static_cast<double>(std::max<std::int64_t>(packet.duration, 0)) * tick;
    if (!(std::abs(from) <= kMostCueTime) || !(seconds <= kMostCueTime)) return;
    std::string text = text_of(packet);
    if (text.empty()) return;
    text.resize(utf8_beginning(text, kMostCueBytes).size());
    bytes_ += text.size();
    if (cues_.size() >= kMostCues || bytes_ > kMostCuesBytes) {
      is_full_ = true;
      return;
    }
    cues_.push_back({std::max(from, 0.0), std::min(std::max(from, 0.0) + seconds, kMostCueTime), std::move(text)});
  }

  // In order of time, each with an end.
  std::vector<SubtitleCue> take_cues() {
    std::ranges::stable_sort(cues_, {}, &SubtitleCue::from);
    for (size_t i = 0; i < cues_.size(); ++i) {
      SubtitleCue& cue = cues_[i];
      if (cue.to > cue.from) continue;
      const double next = i + 1 < cues_.size() ? cues_[i + 1].from : kMostCueTime;
      cue.to = std::min({next, cue.from + kUnknownCueSeconds, kMostCueTime});
    }
    // Layers of one text above the other, as its shadow.
    const auto is_same = [](const SubtitleCue& a, const SubtitleCue& b) {
      return a.from == b.from && a.text == b.text;
    };
    cues_.erase(std::unique(cues_.begin(), cues_.end(), is_same), cues_.end());
    return std::move(cues_);
  }

 private:
  explicit CueReader(const AVStream& stream) : stream_(&stream) {}

  // FFmpeg refuses subtitles that are not UTF-8.
  [[nodiscard]] bool is_in_another_set(const AVPacket& packet) const {
    return stream_->codecpar->codec_id != AV_CODEC_ID_MOV_TEXT &&
           !is_utf8({reinterpret_cast<const char*>(packet.data), static_cast<size_t>(packet.size)});
  }

  std::string text_of(AVPacket& packet) {
    if (!is_in_another_set(packet)) return decoded(packet);
    const std::string text =
        utf8_of_text_file({reinterpret_cast<const std::byte*>(packet.data), static_cast<size_t>(packet.size)});
    const ffmpeg::Packet copy(av_packet_alloc());
    if (!copy || av_new_packet(copy.get(), static_cast<int>(text.size())) < 0) return "";
    std::ranges::copy(text, copy->data);
    av_packet_copy_props(copy.get(), &packet);
    return decoded(*copy);
  }

  std::string decoded(AVPacket& packet) {
    FreeSubtitle found;
    int got = 0;
    if (avcodec_decode_subtitle2(context_.get(), &found.subtitle, &got, &packet) < 0 || got == 0) return "";
    std::string text;
    for (unsigned i = 0; i < found.subtitle.num_rects; ++i) {
      const AVSubtitleRect* rect = found.subtitle.rects[i];
      if (rect->ass == nullptr) continue;
      if (!text.empty()) text += '\n';
      text += text_of_event(rect->ass);
    }
    return tidy_lines(to_utf8(text));
  }

  const AVStream* stream_;
  ffmpeg::CodecContext context_;
  std::vector<SubtitleCue> cues_;
  std::size_t bytes_ = 0;
  bool is_full_ = false;
};

// The streams that may be what is wanted, the best first.
std::vector<AVStream*> candidates(const Demuxer& demuxer, const std::string& language, SubtitleTrack& track) {
  const AVStream* sound = demuxer.stream(AVMEDIA_TYPE_AUDIO);
  const std::string spoken = sound != nullptr ? language_code(stream_tag(*sound, "language")) : "";
  std::vector<AVStream*> streams;
  for (unsigned i = 0; i < demuxer.input().nb_streams; ++i) {
    AVStream* stream = demuxer.input().streams[i];
    stream->discard = AVDISCARD_ALL;
    if (stream->codecpar->codec_type != AVMEDIA_TYPE_SUBTITLE) continue;
    ++(has_text_codec(*stream) ? track.text_streams : track.other_streams);
    if (has_text_codec(*stream) && is_of_all_speech(*stream)) streams.push_back(stream);
  }
  const auto is_in = [](const AVStream& stream, const std::string& code) {
    return !code.empty() && language_code(stream_tag(stream, "language")) == code;
  };
  std::ranges::stable_sort(streams, {}, [&](const AVStream* stream) {
    return std::tuple(!is_in(*stream, language), !is_in(*stream, spoken),
                      (stream->disposition & AV_DISPOSITION_DEFAULT) == 0, describes_sounds(*stream));
  });
  if (streams.size() > kMostCandidates) streams.resize(kMostCandidates);
  return streams;
}

// The first candidate that has a cue.
Status read_cues(const Demuxer& demuxer, const std::vector<AVStream*>& streams, SubtitleTrack& track) {
  std::vector<CueReader> readers;
  Status opened;
  for (AVStream* stream : streams) {
    Result<CueReader> reader = CueReader::open(*stream);
    if (!reader) {
      opened = fail(reader.error());
      continue;
    }
    stream->discard = AVDISCARD_DEFAULT;
    readers.push_back(std::move(*reader));
  }
  if (readers.empty()) return opened;
  const ffmpeg::Packet packet(av_packet_alloc());
  if (!packet) return fail(ErrorCode::kOutOfMemory, "no memory to read subtitles");
  int code = 0;
  while (!std::ranges::all_of(readers, &CueReader::is_full) &&
         (code = av_read_frame(&demuxer.input(), packet.get())) >= 0) {
    const auto reader =
        std::ranges::find(readers, packet->stream_index, [](const CueReader& r) { return r.stream().index; });
    if (reader != readers.end()) reader->add(*packet);
    av_packet_unref(packet.get());
  }
  if (code < 0 && code != AVERROR_EOF) track.warnings.emplace_back("the file is damaged or ends early");
  for (CueReader& reader : readers) {
    std::vector<SubtitleCue> cues = reader.take_cues();
    if (cues.empty()) continue;
    if (reader.is_full())
      track.warnings.push_back(fmt::format("only the first {} subtitles were read, up to {}", cues.size(),
                                           clock_text(std::floor(cues.back().to))));
    track.stream = reader.stream().index;
    track.codec = avcodec_get_name(reader.stream().codecpar->codec_id);
    track.language = language_code(stream_tag(reader.stream(), "language"));
    track.title = stream_tag(reader.stream(), "title");
    track.cues = std::move(cues);
    break;
  }
  return {};
}

bool begins_with_time(const std::string& text) {
  unsigned h = 0, m = 0, s = 0, ms = 0;
  return std::sscanf(text.c_str(), " %9u:%9u:%9u.%9u", &h, &m, &s, &ms) == 4 ||
         std::sscanf(text.c_str(), " %9u:%9u.%9u", &m, &s, &ms) == 3;
}

bool is_webvtt_cue(const std::string& block) {
  const size_t arrow = block.find("-->");
  if (arrow == std::string::npos) return false;
  const size_t line = block.rfind('\n', arrow);
  const size_t begin = line == std::string::npos ? 0 : line + 1;
  return begins_with_time(block.substr(begin, 64)) && begins_with_time(block.substr(arrow + 3, 64));
}

// WebVTT's cues without its notes, styles and regions, and without blocks that are damaged: FFmpeg's reader ends at
// some of them.
std::string webvtt_cues(std::string_view text) {
  std::string cues = "WEBVTT\n\n", block;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) (block += line) += '\n';
    if (!line.empty() && !text.empty()) continue;
    if (is_webvtt_cue(block)) (cues += block) += '\n';
    block.clear();
  }
  return cues;
}

Result<SubtitleTrack> read_file_of_subtitles(Bytes file) {
  const tl::unexpected<Error> none =
      fail(ErrorCode::kUnsupported, "these are no subtitles: SubRip and WebVTT are read");
  if (file.size() > kMostSubtitleFileBytes)
    return fail(ErrorCode::kTooLarge,
                fmt::format("files of subtitles are read up to {}", human_bytes(kMostSubtitleFileBytes)));
  std::string text = utf8_of_text_file(file);
  if (text.find("-->") == std::string::npos) return none;
  const bool is_webvtt = text.starts_with("WEBVTT");
  if (is_webvtt) text = webvtt_cues(text);
  const Bytes bytes = std::as_bytes(std::span(text));
  Result<Demuxer> demuxer = Demuxer::open(is_webvtt ? "webvtt" : "srt", bytes);
  if (!demuxer) return none;
  SubtitleTrack track;
  AVStream* stream = demuxer->stream(AVMEDIA_TYPE_SUBTITLE);
  if (stream == nullptr) return none;
  IE_CHECK(read_cues(*demuxer, {stream}, track));
  if (track.cues.empty()) return none;
  track.stream = -1;
  return track;
}

}  // namespace

std::string text_of_event(std::string_view event) {
  constexpr int kFieldsBefore = 8;  // ReadOrder, Layer, Style, Name, MarginL, MarginR, MarginV, Effect
  for (int i = 0; i < kFieldsBefore; ++i) event.remove_prefix(std::min(event.find(','), event.size() - 1) + 1);
  std::string text;
  bool is_drawing = false, has_ends = true;  // further on: `}`
  while (!event.empty()) {
    const char c = event[0], next = event.size() > 1 ? event[1] : '\0';
    const size_t end = c == '{' && has_ends ? event.find('}') : std::string_view::npos;
    has_ends = has_ends && (c != '{' || end != std::string_view::npos);
    if (end != std::string_view::npos) {
      const std::string_view tags = event.substr(0, end);
      for (size_t at = tags.find("\\p"); at != std::string_view::npos; at = tags.find("\\p", at + 1))
        if (at + 2 < tags.size() && tags[at + 2] >= '0' && tags[at + 2] <= '9') is_drawing = tags[at + 2] != '0';
      event.remove_prefix(end + 1);
      continue;
    }
    const bool is_escape = c == '\\' && std::string_view("Nnh{}\\").find(next) != std::string_view::npos && next != 0;
    if (!is_drawing) text += !is_escape ? c : next == 'N' || next == 'n' ? '\n' : next == 'h' ? ' ' : next;
    event.remove_prefix(is_escape ? 2 : 1);
  }
  return text;
}

Result<SubtitleTrack> read_subtitles(Bytes file, const SubtitleOptions& options) {
  const MediaFormat format = detect_format(file);
  if (media_kind(format) == MediaKind::kPhoto)
    return fail(ErrorCode::kUnsupported, "this is a picture: it has no subtitles");
  if (format == MediaFormat::kNone) return read_file_of_subtitles(file);
  IE_TRY(Demuxer demuxer, Demuxer::open(format, file, options.is_mapped));
  demuxer.read_stream_facts();
  SubtitleTrack track;
  const std::vector<AVStream*> streams = candidates(demuxer, options.language, track);
  if (!streams.empty()) IE_CHECK(read_cues(demuxer, streams, track));
  return track;
}

}  // namespace image_engine::media
