#include "audio/transcriber.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace image_engine::audio {
namespace {

constexpr auto kMostWindow = static_cast<std::uint64_t>(kMostWindowSeconds * kSampleRate);
constexpr std::uint64_t kLongestPause = kSampleRate;       // within a window
constexpr std::uint64_t kLeastCut = kMostWindow * 6 / 10;  // speech without a pause is cut behind this

constexpr double kSureLanguage = 0.8;  // probability in one window
constexpr double kVotingSeconds = 30;  // of speech after which the votes are counted
constexpr double kShortVote = 3;       // seconds: a language is not sure from less

// OpenAI's whisper/transcribe.py drops what is below -1 and probably silence; see docs/sound.md for the other limits.
constexpr double kLeastLogProbability = -1.0;
constexpr double kLeastInGuess = -0.8;  // where the language is a guess
constexpr double kSilence = 0.6;        // of no_speech
constexpr double kMostWordsPerSecond = 9;

constexpr double kLongPause = 1.0;  // seconds: it ends a segment
constexpr double kSentencePause = 0.3;
constexpr double kLongSegment = 12;  // seconds: the next comma or pause ends it

double seconds_of(std::uint64_t samples) { return static_cast<double>(samples) / static_cast<double>(kSampleRate); }

bool ends_with_one_of(const std::string& text, std::initializer_list<std::string_view> signs) {
  return std::ranges::any_of(signs, [&](std::string_view sign) { return text.ends_with(sign); });
}

bool ends_sentence(const std::string& text) {
  return ends_with_one_of(text, {".", "!", "?", "。", "！", "？", "…", ".\"", "?\"", "!\"", ".”", "?”", "!”"});
}

bool ends_part(const std::string& text) { return ends_with_one_of(text, {",", ";", ":", "，", "、", "；", "："}); }

}  // namespace

void SpeechWindows::add(SampleRange range) {
  range.begin = std::max(range.begin, cut_);
  if (range.end <= range.begin) return;
  const bool fits = !window_.ranges.empty() && range.begin - std::min(range.begin, window_.end) <= kLongestPause &&
                    range.end - window_.begin <= kMostWindow;
  if (!fits) close();
  if (window_.ranges.empty()) {
    window_.begin = range.begin;
    if (range.begin == joint_) window_.before = 0;
  }
  window_.end = range.end;
  window_.ranges.push_back(range);
}

void SpeechWindows::advance(std::uint64_t position, std::optional<std::uint64_t> open,
                            std::span<const float> probabilities) {
  if (!open) {
    if (!window_.ranges.empty() && position > window_.end + kLongestPause) close();
    return;
  }
  const std::uint64_t begin = std::max(*open, cut_);
  if (position <= begin) return;
  const bool joins = !window_.ranges.empty() && begin - std::min(begin, window_.end) <= kLongestPause &&
                     position - window_.begin <= kMostWindow;
  if (!window_.ranges.empty() && !joins) close();
  if (!window_.ranges.empty() || position - begin <= kMostWindow) return;
  // Cut where it is least like speech.
  const auto frame = [&](std::uint64_t sample) {
    return std::min<std::size_t>((sample - *open) / SpeechRanges::kFrame, probabilities.size());
  };
  const std::size_t first = frame(begin + kLeastCut), last = frame(begin + kMostWindow - SpeechRanges::kFrame);
  std::uint64_t cut = begin + kMostWindow;
  if (first < last) {
    const auto least = std::min_element(probabilities.begin() + static_cast<std::ptrdiff_t>(first),
                                        probabilities.begin() + static_cast<std::ptrdiff_t>(last));
    cut = *open + static_cast<std::uint64_t>(least - probabilities.begin()) * SpeechRanges::kFrame;
  }
  window_ = {begin, cut, {{begin, cut}}};
  window_.after = 0;
  if (begin == joint_) window_.before = 0;
  cut_ = cut;
  joint_ = cut;
  close();
}

void SpeechWindows::close() {
  if (!window_.ranges.empty()) done_.push_back(std::move(window_));
  window_ = {};
}

void SpeechWindows::finish() { close(); }

std::vector<SpeechWindow> SpeechWindows::take() { return std::exchange(done_, {}); }

std::optional<std::uint64_t> SpeechWindows::pending() const {
  if (!done_.empty()) return done_.front().begin;
  if (!window_.ranges.empty()) return window_.begin;
  return std::nullopt;
}

Doubt doubt_of(const Heard& heard, double speech) {
  if (heard.words.empty()) return Doubt::kNone;
  if (heard.no_speech > kSilence && heard.mean_log_probability < kLeastLogProbability) return Doubt::kSilent;
  const double least = heard.language_probability < 1 ? kLeastInGuess : kLeastLogProbability;
  if (heard.mean_log_probability < least) return Doubt::kUnsure;
  if (heard.repeats) return Doubt::kLoop;
  const bool is_hurried = static_cast<double>(heard.words.size()) > kMostWordsPerSecond * std::max(speech, 0.5);
  return is_hurried && has_spaces(heard.language) ? Doubt::kLoop : Doubt::kNone;
}

void begin_in_voice(std::span<SpokenWord> words, std::span<const SoundSpan> voice) {
  for (SpokenWord& word : words) {
    const auto next = std::ranges::find_if(voice, [&](const SoundSpan& span) { return word.from < span.to; });
    if (next != voice.end() && word.from < next->from && next->from < word.to) word.from = next->from;
  }
}

std::vector<SpeechSegment> segments_of(std::vector<SpokenWord> words, const std::string& language) {
  std::vector<SpeechSegment> segments;
  const auto begins_segment = [&](const SpokenWord& word) {
    if (segments.empty()) return true;
    const SpeechSegment& last = segments.back();
    const double pause = word.from - last.to;
    if (pause >= kLongPause) return true;
    const std::string& before = last.words.back().text;
    if (ends_sentence(before) && (pause >= kSentencePause || last.words.size() >= 3)) return true;
    return word.to - last.from > kLongSegment && (ends_part(before) || pause >= kSentencePause);
  };
  for (SpokenWord& word : words) {
    if (begins_segment(word)) segments.push_back({word.from, word.to, language, 0, {}});
    segments.back().to = std::max(segments.back().to, word.to);
    segments.back().words.push_back(std::move(word));
  }
  for (SpeechSegment& segment : segments) {
    for (const SpokenWord& word : segment.words) segment.confidence += word.confidence;
    segment.confidence /= static_cast<double>(segment.words.size());
  }
  return segments;
}

Transcriber::Transcriber(VoiceActivity voice, const Whisper* whisper, WhisperOptions options, double start, double from,
                         std::string known)
    : voice_(std::move(voice)), whisper_(whisper), options_(std::move(options)), start_(start) {
  if (from > start) from_ = static_cast<std::uint64_t>(std::llround((from - start) * static_cast<double>(kSampleRate)));
  windows_ = SpeechWindows(from_);
  language_ = options_.language.empty() ? std::move(known) : options_.language;
}

// Some codecs begin a few milliseconds before 0.
double Transcriber::seconds(std::uint64_t sample) const { return std::max(start_ + seconds_of(sample), 0.0); }

Status Transcriber::add(std::span<const float> samples) {
  samples_.insert(samples_.end(), samples.begin(), samples.end());
  heard_ += samples.size();
  IE_TRY(const std::vector<float> probabilities, voice_.add(samples));
  IE_CHECK(take_probabilities(probabilities));
  IE_CHECK(hear_waiting());
  forget();
  return {};
}

Status Transcriber::finish() {
  IE_TRY(const std::vector<float> probabilities, voice_.finish());
  IE_CHECK(take_probabilities(probabilities));
  ranges_.finish(heard_);
  collect();
  windows_.finish();
  for (SpeechWindow& window : windows_.take()) waiting_.push_back(std::move(window));
  IE_CHECK(hear_waiting());
  if (language_.empty() && !votes_.empty()) language_ = most_voted();
  forget();
  return {};
}

Status Transcriber::take_probabilities(std::span<const float> probabilities) {
  for (const float probability : probabilities) {
    ranges_.add(probability);
    probabilities_.push_back(probability);
    collect();
    const std::optional<std::uint64_t> open = ranges_.open();
    std::span<const float> since_open;
    if (open) {
      const std::uint64_t frame = *open / SpeechRanges::kFrame;
      since_open = std::span<const float>(probabilities_).subspan(std::max(frame, first_frame_) - first_frame_);
    }
    windows_.advance(ranges_.position(), open, since_open);
    for (SpeechWindow& window : windows_.take()) waiting_.push_back(std::move(window));
  }
  return {};
}

void Transcriber::collect() {
  for (const SampleRange& range : ranges_.take()) {
    if (range.end <= from_) continue;
    const std::uint64_t begin = std::max(range.begin, from_);
    voice_spans_.push_back({"speech", seconds(begin), seconds(range.end), 1});
    if (whisper_ != nullptr) windows_.add({begin, range.end});
  }
}

Status Transcriber::hear_waiting() {
  for (; !waiting_.empty(); waiting_.erase(waiting_.begin()))
    if (waiting_.front().end > from_) IE_CHECK(hear(waiting_.front()));
  return {};
}

// A window that cannot be believed is heard again part by part: noise beside speech spoils the whole.
Status Transcriber::hear(const SpeechWindow& window) {
  WhisperOptions options = options_;
  options.language = language_;
  IE_TRY(const Heard heard, whisper_->run(samples_of(window), options));
  double speech = 0;
  for (const SampleRange& range : window.ranges) speech += seconds_of(range.end - range.begin);
  const Doubt doubt = doubt_of(heard, speech);
  if (doubt == Doubt::kNone) {
    vote(heard, window);
    keep(heard, window);
    return {};
  }
  if (window.ranges.size() == 1) {
    dropped_.silent += doubt == Doubt::kSilent ? 1 : 0;
    dropped_.unsure += doubt == Doubt::kUnsure ? 1 : 0;
    dropped_.loops += doubt == Doubt::kLoop ? 1 : 0;
    return {};
  }
  for (std::size_t i = 0; i < window.ranges.size(); ++i) {
    const SampleRange& range = window.ranges[i];
    SpeechWindow part{range.begin, range.end, {range}, window.before, window.after};
    if (i > 0) part.before = std::min(part.before, (range.begin - window.ranges[i - 1].end) / 2);
    if (i + 1 < window.ranges.size()) part.after = std::min(part.after, (window.ranges[i + 1].begin - range.end) / 2);
    IE_CHECK(hear(part));
  }
  return {};
}

void Transcriber::vote(const Heard& heard, const SpeechWindow& window) {
  if (!language_.empty() || heard.words.empty()) return;
  const double length = seconds_of(window.end - window.begin);
  votes_[heard.language] += heard.language_probability * length;
  voted_seconds_ += length;
  const bool is_sure = heard.language_probability >= kSureLanguage && length >= kShortVote;
  if (is_sure || voted_seconds_ >= kVotingSeconds) language_ = most_voted();
}

std::string Transcriber::most_voted() const {
  return std::ranges::max_element(votes_, {}, [](const auto& vote) { return vote.second; })->first;
}

void Transcriber::keep(const Heard& heard, const SpeechWindow& window) {
  if (heard.words.empty()) return;
  std::vector<SpokenWord> words = heard.words;
  const double begin = seconds(window.begin - std::min(window.begin, window.before));
  for (SpokenWord& word : words) {
    word.from += begin;
    word.to += begin;
  }
  std::vector<SoundSpan> voice;
  for (const SampleRange& range : window.ranges)
    voice.push_back({"speech", seconds(range.begin), seconds(range.end), 1});
  begin_in_voice(words, voice);
  std::ranges::move(segments_of(std::move(words), options_.translate ? "en" : heard.language),
                    std::back_inserter(segments_));
}

std::span<const float> Transcriber::samples_of(const SpeechWindow& window) const {
  const std::uint64_t begin = std::max(window.begin - std::min(window.begin, window.before), first_sample_);
  const std::uint64_t end = std::min(window.end + window.after, heard_);
  return std::span<const float>(samples_).subspan(begin - first_sample_, end - begin);
}

std::vector<SpeechSegment> Transcriber::take() { return std::exchange(segments_, {}); }
std::vector<SoundSpan> Transcriber::take_voice() { return std::exchange(voice_spans_, {}); }

std::uint64_t Transcriber::undecided() const {
  std::uint64_t first = ranges_.position();
  if (!waiting_.empty()) first = std::min(first, waiting_.front().begin);
  if (const auto pending = windows_.pending()) first = std::min(first, *pending);
  if (const auto open = ranges_.open()) first = std::min(first, std::max(*open, windows_.cut()));
  return first;
}

double Transcriber::until() const { return seconds(std::max(undecided(), from_)); }

// Samples and probabilities that no window needs any more.
void Transcriber::forget() {
  std::uint64_t until = undecided();
  until -= std::min<std::uint64_t>(until, SpeechWindow().before + SpeechRanges::kFrame);
  if (until > first_sample_) {
    samples_.erase(samples_.begin(), samples_.begin() + static_cast<std::ptrdiff_t>(until - first_sample_));
    first_sample_ = until;
  }
  const std::uint64_t frame =
      ranges_.open() ? *ranges_.open() / SpeechRanges::kFrame : ranges_.position() / SpeechRanges::kFrame;
  if (frame > first_frame_) {
    probabilities_.erase(probabilities_.begin(),
                         probabilities_.begin() + static_cast<std::ptrdiff_t>(frame - first_frame_));
    first_frame_ = frame;
  }
}

}  // namespace image_engine::audio
