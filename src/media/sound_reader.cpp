#include "media/sound_reader.h"

extern "C" {
#include <libavutil/opt.h>
}

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <climits>
#include <cmath>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

#include "core/text.h"
#include "media/container_end.h"
#include "media/demuxer.h"
#include "media/loudness.h"
#include "media/sound_container.h"
#include "media/sound_frame.h"
#include "media/text.h"
#include "types/language.h"

namespace image_engine::media {
namespace {

constexpr double kRate = kModelSoundRate;
constexpr double kTolerance = 0.05;        // seconds; smaller gaps and overlaps are rounding
constexpr double kMostOverlap = 10;        // seconds; a time that goes back further is damaged
constexpr double kMostUnstatedGap = 3600;  // seconds; where the container states no duration
constexpr std::int64_t kMostSilence = 24 * 3600LL * kModelSoundRate;  // samples, of all gaps together
constexpr double kPreroll = 0.5;  // seconds; until decoders and the resampler have settled after a seek
constexpr int kMostSampleRate = 1'000'000;
constexpr int kMostFrameSamples = 4'000'000;

tl::unexpected<Error> no_memory_for_sound() { return fail(ErrorCode::kOutOfMemory, "no memory to decode sound"); }

std::string tag(const AVStream& stream, const char* key) {
  const AVDictionaryEntry* entry = av_dict_get(stream.metadata, key, nullptr, 0);
  return entry != nullptr ? clean_text(entry->value) : std::string();
}

AudioTrack track_of(const AVStream& stream) {
  constexpr const char* kUnknown = "und";
  const AVCodecParameters& coded = *stream.codecpar;
  AudioTrack track;
  track.codec = avcodec_get_name(coded.codec_id);
  track.language = ascii_lower(tag(stream, "language"));
  if (track.language == kUnknown) track.language.clear();
  track.title = tag(stream, "title");
  track.channels = static_cast<std::uint32_t>(std::max(coded.ch_layout.nb_channels, 0));
  track.sample_rate = static_cast<std::uint32_t>(std::max(coded.sample_rate, 0));
  track.is_default = (stream.disposition & AV_DISPOSITION_DEFAULT) != 0;
  return track;
}

std::string describe(const std::vector<AudioTrack>& tracks) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < tracks.size(); ++i)
    lines.push_back(fmt::format("{} ({}{}{})", i + 1,
                                tracks[i].language.empty() ? "language unknown" : tracks[i].language,
                                tracks[i].title.empty() ? "" : ", ", tracks[i].title));
  return fmt::format("{}", fmt::join(lines, ", "));
}

bool is_of_language(const AudioTrack& track, const std::string& language) {
  const std::string code = language_code(language);
  return code.empty() ? track.language == language : language_code(track.language) == code;
}

Result<size_t> choose_track(const std::vector<AudioTrack>& tracks, const SoundReaderOptions& options) {
  if (tracks.empty()) return fail(ErrorCode::kUnsupported, "it has no audio stream");
  if (options.track >= 0) {
    if (static_cast<size_t>(options.track) < tracks.size()) return static_cast<size_t>(options.track);
    return fail(ErrorCode::kNotFound,
                fmt::format("it has no audio track {}; it has: {}", options.track + 1, describe(tracks)));
  }
  // The default one first, also among those of a language.
  const std::string language = ascii_lower(options.language);
  std::optional<size_t> found;
  for (size_t i = 0; i < tracks.size(); ++i) {
    if (!language.empty() && !is_of_language(tracks[i], language)) continue;
    if (!found || (tracks[i].is_default && !tracks[*found].is_default)) found = i;
  }
  if (found) return *found;
  return fail(ErrorCode::kNotFound,
              fmt::format("it has no audio track in the language {}; it has: {}", language, describe(tracks)));
}

Result<ffmpeg::CodecContext> open_sound_decoder(const AVStream& stream) {
  const AVCodec* codec = avcodec_find_decoder(stream.codecpar->codec_id);
  if (codec == nullptr)
    return fail(ErrorCode::kUnsupported, fmt::format("this FFmpeg has no decoder for the sound's codec ({})",
                                                     avcodec_get_name(stream.codecpar->codec_id)));
  ffmpeg::CodecContext decoder(avcodec_alloc_context3(codec));
  if (!decoder || avcodec_parameters_to_context(decoder.get(), stream.codecpar) < 0) return no_memory_for_sound();
  decoder->pkt_timebase = stream.time_base;
  decoder->thread_count = 1;
  decoder->max_samples = kMostFrameSamples;
  if (avcodec_open2(decoder.get(), codec, nullptr) < 0)
    return fail(ErrorCode::kCorrupt, "the sound's decoder does not accept its header");
  return decoder;
}

// As missing_bytes(). Some writers of WAV count the eight bytes of the header, too.
std::uint64_t missing_of(std::string_view demuxer, Bytes file) {
  struct Row {
    std::string_view demuxer;
    MediaFormat like;
    std::uint64_t slack = 0;
  };
  constexpr Row kRows[] = {{"mov", MediaFormat::kMp4},
                           {"matroska", MediaFormat::kMatroska},
                           {"avi", MediaFormat::kAvi},
                           {"wav", MediaFormat::kAvi, 8}};
  const auto* row = std::ranges::find(kRows, demuxer, &Row::demuxer);
  if (row == std::end(kRows)) return 0;
  const std::uint64_t missing = missing_bytes(file, row->like);
  return missing > row->slack ? missing : 0;
}

// What the resampler depends on.
struct InputFormat {
  int rate = 0, channels = 0;
  std::uint64_t mask = 0;  // of a layout that is known; 0: all channels weigh the same

  bool operator==(const InputFormat&) const = default;
};

InputFormat format_of(const AVFrame& frame) {
  const AVChannelLayout& layout = frame.ch_layout;
  return {frame.sample_rate, layout.nb_channels, layout.order == AV_CHANNEL_ORDER_NATIVE ? layout.u.mask : 0};
}

// To one channel of the models' rate, from the channels of the mask (0: one). Null where FFmpeg has no rule for them.
ffmpeg::Resampler make_resampler(int rate, std::uint64_t mask) {
  AVChannelLayout mono{}, layout{};
  av_channel_layout_default(&mono, 1);
  if (mask == 0 || av_channel_layout_from_mask(&layout, mask) < 0) layout = mono;
  SwrContext* made = nullptr;
  if (swr_alloc_set_opts2(&made, &mono, AV_SAMPLE_FMT_FLT, static_cast<int>(kModelSoundRate), &layout,
                          AV_SAMPLE_FMT_FLT, rate, 0, nullptr) < 0)
    return nullptr;
  ffmpeg::Resampler resampler(made);
  // The weights of the channels add up to 1: nothing is louder than it was.
  av_opt_set_double(made, "rematrix_maxval", 1, 0);
  if (swr_init(made) < 0) return nullptr;
  return resampler;
}

}  // namespace

struct SoundReader::State {
  State(Demuxer opened, SoundReaderOptions wanted) : demuxer(std::move(opened)), options(std::move(wanted)) {}

  Demuxer demuxer;
  SoundReaderOptions options;
  std::vector<AudioTrack> tracks;
  size_t track = 0;
  AVStream* stream = nullptr;
  ffmpeg::CodecContext decoder;
  ffmpeg::Packet packet;
  ffmpeg::Frame frame;
  bool has_frame = false;  // `frame` is to be used next
  bool is_at_end = false;  // of the container
  bool is_drained = false;
  std::uint64_t broken_packets = 0, damaged_times = 0;
  int read_error = 0;
  std::uint64_t missing_bytes = 0;

  // Samples are counted from the first one of a whole run, at `origin` seconds.
  double origin = 0;
  bool has_origin = false;
  std::int64_t made = 0;          // behind what the resampler gave so far, and the silence
  std::int64_t given = 0;         // that read() gives next
  std::int64_t first_wanted = 0;  // what is before it is left out
  std::optional<std::int64_t> end;
  std::int64_t silence = 0;  // behind `ready`
  std::int64_t silence_left = kMostSilence;
  std::vector<float> ready;  // resampled, from `ready_at` on
  size_t ready_at = 0;

  // A stretch without a gap, through one resampler.
  ffmpeg::Resampler resampler;
  InputFormat input;
  bool is_average = false;           // of all channels, before the resampler
  std::int64_t stretch_begin = 0;    // in output samples
  std::int64_t stretch_samples = 0;  // of the input
  std::vector<float> samples, mono;
  LoudnessMeter meter;
  InputFormat metered;
  bool is_metered = false, is_unmetered = false;

  // False at the end.
  bool decode() {
    for (;;) {
      const int got = avcodec_receive_frame(decoder.get(), frame.get());
      if (got >= 0 && is_usable()) return true;
      if (got >= 0) continue;
      if (got == AVERROR_EOF || is_at_end) return false;
      if (got != AVERROR(EAGAIN)) ++broken_packets;
      const int read = av_read_frame(&demuxer.input(), packet.get());
      if (read < 0) {
        if (read != AVERROR_EOF) read_error = read;
        avcodec_send_packet(decoder.get(), nullptr);
        is_at_end = true;
        continue;
      }
      if (packet->stream_index == stream->index && avcodec_send_packet(decoder.get(), packet.get()) < 0)
        ++broken_packets;
      av_packet_unref(packet.get());
    }
  }

  [[nodiscard]] bool is_usable() const {
    return frame->nb_samples > 0 && frame->sample_rate > 0 && frame->sample_rate <= kMostSampleRate &&
           frame->ch_layout.nb_channels > 0;
  }

  // NaN: unknown.
  [[nodiscard]] double frame_time() const {
    constexpr double kMostTime = 1e9;
    const std::int64_t time = frame->pts != AV_NOPTS_VALUE ? frame->pts : frame->best_effort_timestamp;
    const double seconds =
        time == AV_NOPTS_VALUE ? std::nan("") : static_cast<double>(time) * av_q2d(stream->time_base);
    return std::abs(seconds) <= kMostTime ? seconds : std::nan("");
  }

  [[nodiscard]] double stated_duration() const {
    if (stream->duration > 0) return static_cast<double>(stream->duration) * av_q2d(stream->time_base);
    return std::max(static_cast<double>(demuxer.input().duration) / AV_TIME_BASE, 0.0);
  }

  // Where what comes next belongs if nothing is missing, in output samples.
  [[nodiscard]] double expected() const {
    if (!resampler) return static_cast<double>(made);
    return static_cast<double>(stretch_begin) + static_cast<double>(stretch_samples) * kRate / input.rate;
  }

  // What the resampler still holds.
  Status finish_stretch() {
    if (!resampler) return {};
    IE_CHECK(resample(nullptr, 0));
    resampler.reset();
    return {};
  }

  Status resample(const float* from, int count) {
    for (;;) {
      const int room = std::max(swr_get_out_samples(resampler.get(), count), 64);
      const size_t before = ready.size();
      ready.resize(before + static_cast<size_t>(room));
      auto* to = reinterpret_cast<std::uint8_t*>(ready.data() + before);
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(from);
      const int got = swr_convert(resampler.get(), &to, room, from != nullptr ? &bytes : nullptr, count);
      ready.resize(before + static_cast<size_t>(std::max(got, 0)));
      if (got < 0) return no_memory_for_sound();
      made += got;
      if (from != nullptr || got == 0) return {};
    }
  }

  Status begin_stretch(const InputFormat& format) {
    IE_CHECK(finish_stretch());
    if (format.channels > 1 && format.mask != 0) resampler = make_resampler(format.rate, format.mask);
    is_average = !resampler;
    if (is_average) resampler = make_resampler(format.rate, 0);
    if (!resampler) return no_memory_for_sound();
    input = format;
    stretch_begin = made;
    stretch_samples = 0;
    return {};
  }

  // Uses `frame`, or leaves it for later where silence comes before it.
  Status add_frame() {
    const InputFormat format = format_of(*frame);
    double place = (frame_time() - origin) * kRate;  // of the frame, in output samples
    const double gap = (place - expected()) / kRate;
    if (!(gap >= -kMostOverlap) || !is_plausible(gap)) {
      if (!std::isnan(gap)) ++damaged_times;
      place = expected();
    } else if (gap > kTolerance) {
      IE_CHECK(finish_stretch());
      silence = std::max<std::int64_t>(std::llround(place) - made, 0);
      silence_left -= silence;
      made += silence;
      if (silence > 0) return {};
    }
    has_frame = false;
    std::int64_t twice = 0;  // samples of the frame that have been there
    if ((place - expected()) / kRate < -kTolerance) twice = std::llround((expected() - place) / kRate * format.rate);
    if (twice >= frame->nb_samples) return {};
    if (!resampler || !(format == input)) IE_CHECK(begin_stretch(format));
    return add_samples(static_cast<int>(twice));
  }

  [[nodiscard]] bool is_plausible(double gap) const {
    if (gap <= kTolerance) return true;
    if (gap * kRate > static_cast<double>(silence_left)) return false;
    const double stated = stated_duration();
    return stated > 0 ? frame_time() <= std::max(origin, 0.0) + stated + 1 : gap <= kMostUnstatedGap;
  }

  // Of `frame`, without the first `left_out`.
  Status add_samples(int left_out) {
    if (!to_floats(*frame, samples)) return fail(ErrorCode::kUnsupported, "the sound has samples of an unknown format");
    const auto channels = static_cast<size_t>(input.channels);
    const std::span<const float> used = std::span(samples).subspan(static_cast<size_t>(left_out) * channels);
    measure(used);
    const float* from = used.data();
    const auto count = used.size() / channels;
    if (is_average && channels > 1) {
      mono.resize(count);
      for (size_t i = 0; i < count; ++i)
        mono[i] =
            std::accumulate(&used[i * channels], &used[i * channels] + channels, 0.0F) / static_cast<float>(channels);
      from = mono.data();
    }
    stretch_samples += static_cast<std::int64_t>(count);
    return resample(from, static_cast<int>(count));
  }

  void measure(std::span<const float> used) {
    if (!options.loudness || (end && expected() >= static_cast<double>(*end))) return;
    const double early =
        options.all_loudness ? 0 : (static_cast<double>(first_wanted) - expected()) / kRate * input.rate;
    const auto skipped = static_cast<size_t>(std::max(std::llround(early), 0LL)) * static_cast<size_t>(input.channels);
    if (skipped >= used.size()) return;
    if (!is_metered || !(metered == input)) {
      const FullScale full = full_scale_of(static_cast<AVSampleFormat>(frame->format), decoder->bits_per_raw_sample);
      if (!meter.begin(frame->ch_layout, input.rate, full)) is_unmetered = true;
      metered = input;
      is_metered = true;
    }
    meter.add(used.subspan(skipped));
  }

  // `frame` is one at or shortly before `seconds`. False: there is none, or its place is not known.
  bool restart_at(double seconds) {
    const auto time = static_cast<std::int64_t>(std::floor(seconds / av_q2d(stream->time_base)));
    if (av_seek_frame(&demuxer.input(), stream->index, time, AVSEEK_FLAG_BACKWARD) < 0) return false;
    avcodec_flush_buffers(decoder.get());
    is_at_end = false;
    return decode() && !std::isnan(frame_time());
  }

  void want_from(double seconds) {
    first_wanted = std::max<std::int64_t>(std::llround(std::ceil((seconds - origin) * kRate - 1e-6)), 0);
  }

  // So that read() begins there; `frame` is the first of all. False: the container cannot be read from there on, and is
  // no longer at its start.
  Result<bool> seek(double seconds) {
    want_from(seconds);
    bool is_at_start = true;
    for (double back = kPreroll; seconds - back > origin; back *= 4) {
      is_at_start = false;
      if (!restart_at(seconds - back)) return false;
      if (frame_time() > seconds - kPreroll / 2) continue;
      IE_CHECK(begin_inside());
      return true;
    }
    return is_at_start;
  }

  // The stretch begins with a sample of the input that lies on one of the output, counted from the origin.
  Status begin_inside() {
    const InputFormat format = format_of(*frame);
    const int period =
        std::min(format.rate / std::gcd(format.rate, static_cast<int>(kModelSoundRate)), frame->nb_samples);
    const double place = (frame_time() - origin) * kRate;
    constexpr double kSame = 1e-6;  // output samples
    int best = 0;
    double least = 1;
    for (int i = 0; i < period && least > kSame; ++i) {
      const double at = place + i * kRate / format.rate, off = std::abs(at - std::round(at));
      if (off < least) best = i, least = off;
    }
    made = given = std::llround(place + best * kRate / format.rate);
    has_frame = false;
    IE_CHECK(begin_stretch(format));
    return add_samples(best);
  }

  // Moves what is ready to `into`; the number of samples moved.
  size_t take(std::span<float> into) {
    const std::int64_t available =
        silence > 0 && ready_at == ready.size() ? silence : static_cast<std::int64_t>(ready.size() - ready_at);
    const std::int64_t unwanted = std::clamp<std::int64_t>(first_wanted - given, 0, available);
    std::int64_t count = std::min<std::int64_t>(available - unwanted, static_cast<std::int64_t>(into.size()));
    if (end) count = std::clamp<std::int64_t>(*end - given - unwanted, 0, count);
    const bool is_silence = ready_at == ready.size();
    if (is_silence) {
      std::fill_n(into.begin(), count, 0.0F);
      silence -= unwanted + count;
    } else {
      const auto* from = ready.data() + ready_at + unwanted;
      std::transform(from, from + count, into.begin(),
                     [](float sample) { return std::isfinite(sample) ? std::clamp(sample, -1.0F, 1.0F) : 0.0F; });
      ready_at += static_cast<size_t>(unwanted + count);
      if (ready_at == ready.size()) {
        ready.clear();
        ready_at = 0;
      }
    }
    given += unwanted + count;
    return static_cast<size_t>(count);
  }

  [[nodiscard]] bool has_samples() const { return ready_at < ready.size() || silence > 0; }

  // Makes more samples ready; false at the end.
  Result<bool> advance() {
    if (is_drained) return false;
    if (!has_frame) has_frame = decode();
    if (!has_frame) {
      is_drained = true;
      IE_CHECK(finish_stretch());
      return has_samples();
    }
    IE_CHECK(add_frame());
    return true;
  }
};

SoundReader::SoundReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
SoundReader::SoundReader(SoundReader&&) noexcept = default;
SoundReader::~SoundReader() = default;

Result<std::unique_ptr<SoundReader::State>> SoundReader::begin(Bytes file, const SoundReaderOptions& options) {
  const char* name = sound_demuxer(file);
  if (name == nullptr) return fail(ErrorCode::kUnsupported, "this is neither a video nor a recording");
  IE_TRY(Demuxer demuxer, Demuxer::open(name, file, options.is_mapped));
  auto state = std::make_unique<State>(std::move(demuxer), options);
  State& s = *state;
  s.demuxer.read_stream_facts();
  std::vector<AVStream*> streams;
  for (unsigned i = 0; i < s.demuxer.input().nb_streams; ++i) {
    AVStream* stream = s.demuxer.input().streams[i];
    stream->discard = AVDISCARD_ALL;
    if (stream->codecpar->codec_type == AVMEDIA_TYPE_AUDIO) streams.push_back(stream);
  }
  for (const AVStream* stream : streams) s.tracks.push_back(track_of(*stream));
  IE_TRY(s.track, choose_track(s.tracks, options));
  s.stream = streams[s.track];
  s.stream->discard = AVDISCARD_DEFAULT;
  s.missing_bytes = missing_of(name, file);
  IE_TRY(s.decoder, open_sound_decoder(*s.stream));
  s.packet.reset(av_packet_alloc());
  s.frame.reset(av_frame_alloc());
  if (!s.packet || !s.frame) return no_memory_for_sound();
  s.has_frame = s.has_origin = s.decode();
  if (s.has_frame && !std::isnan(s.frame_time())) s.origin = s.frame_time();
  return state;
}

Result<SoundReader> SoundReader::open(Bytes file, const SoundReaderOptions& options) {
  constexpr double kMostSeconds = 1e9;
  IE_TRY(auto state, begin(file, options));
  if (const double from = std::min(options.from, kMostSeconds); from > 0 && state->has_origin) {
    bool is_found = false;
    if (!options.all_loudness) {
      IE_TRY(is_found, state->seek(from));
      if (!is_found) {
        IE_TRY(state, begin(file, options));
      }
    }
    if (!is_found) state->want_from(from);
  }
  if (options.duration > 0)
    state->end =
        state->first_wanted + static_cast<std::int64_t>(std::ceil(std::min(options.duration, kMostSeconds) * kRate));
  return SoundReader(std::move(state));
}

Result<SoundReader::Piece> SoundReader::read(std::span<float> into, std::chrono::milliseconds longest) {
  State& s = *state_;
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  Piece piece;
  while (piece.samples < into.size() && !piece.is_end) {
    if (!s.has_samples()) {
      if (Clock::now() - begin >= longest) break;
      IE_TRY(const bool more, s.advance());
      piece.is_end = !more;
      continue;
    }
    piece.samples += s.take(into.subspan(piece.samples));
    piece.is_end = s.end && s.given >= *s.end;
  }
  if (piece.is_end && s.given == 0 && s.broken_packets > 0 && !s.has_origin)
    return fail(ErrorCode::kCorrupt, "none of the sound can be decoded");
  const std::int64_t first = std::max(s.given, s.first_wanted) - static_cast<std::int64_t>(piece.samples);
  piece.seconds = s.origin + static_cast<double>(first) / kRate;
  return piece;
}

const std::vector<AudioTrack>& SoundReader::tracks() const { return state_->tracks; }
std::uint32_t SoundReader::track() const { return static_cast<std::uint32_t>(state_->track); }
double SoundReader::duration() const { return state_->stated_duration(); }
bool SoundReader::is_cut_off() const { return state_->read_error != 0 || state_->missing_bytes > 0; }
Loudness SoundReader::loudness() const { return state_->options.loudness ? state_->meter.result() : Loudness{}; }

std::vector<std::string> SoundReader::warnings() const {
  std::vector<std::string> warnings;
  if (state_->broken_packets > 0)
    warnings.push_back(
        human_count(state_->broken_packets, "damaged packet of sound was", "damaged packets of sound were") +
        " left out");
  if (state_->damaged_times > 0)
    warnings.push_back(human_count(state_->damaged_times, "time of the sound was", "times of the sound were") +
                       " damaged and not used");
  if (state_->is_unmetered) warnings.emplace_back("its loudness cannot be measured: too many channels, or an odd rate");
  return warnings;
}

}  // namespace image_engine::media
