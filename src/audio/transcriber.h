// A stream of sound to segments of speech.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "audio/voice_activity.h"
#include "audio/whisper.h"
#include "core/result.h"
#include "types/transcript.h"

namespace image_engine::audio {

// A part of the stream that the model hears at once: speech with its short pauses.
struct SpeechWindow {
  std::uint64_t begin = 0, end = 0;  // samples of the stream
  std::vector<SampleRange> ranges;   // in which somebody speaks
  // Samples around it that are heard, too: none of another window's speech.
  std::uint64_t before = kSampleRate / 10, after = kSampleRate / 10;
};

// Joins ranges of speech to windows of at most kMostWindowSeconds. Nothing is joined over a longer pause, so that words
// are not made up from what was said before it. Not thread-safe.
class SpeechWindows {
 public:
  // Speech before `from` is in windows already.
  explicit SpeechWindows(std::uint64_t from = 0) : cut_(from) {}

  // A range that has ended. Ranges come in order.
  void add(SampleRange range);
  // The stream has been heard up to `position`; speech since `open` has not ended. `probabilities`: of the frames from
  // `open` on, where a window that would be too long is cut.
  void advance(std::uint64_t position, std::optional<std::uint64_t> open, std::span<const float> probabilities);
  void finish();
  // Those that are complete.
  [[nodiscard]] std::vector<SpeechWindow> take();
  // Where the first sample is that a later window may hold; nullopt: it comes later.
  [[nodiscard]] std::optional<std::uint64_t> pending() const;
  // Up to here speech that has not ended is in windows already.
  [[nodiscard]] std::uint64_t cut() const { return cut_; }

 private:
  void close();
  SpeechWindow window_;  // without ranges: none
  std::vector<SpeechWindow> done_;
  std::uint64_t cut_;                   // up to here speech is in windows
  std::optional<std::uint64_t> joint_;  // where speech without a pause was cut last
};

// What a transcriber dropped, for the record.
struct Dropped {
  std::uint64_t unsure = 0, loops = 0, silent = 0;  // windows
};

// Not thread-safe.
class Transcriber {
 public:
  // `start`: seconds of presentation time of the first sample. `from`: speech that ends before it is known already;
  // samples before it only prepare the detector. `known`: the language that was found before.
  Transcriber(VoiceActivity voice, const Whisper* whisper, WhisperOptions options, double start, double from,
              std::string known = {});

  // Samples that follow those of the last call.
  Status add(std::span<const float> samples);
  Status finish();

  // Segments in order that were found since the last call.
  [[nodiscard]] std::vector<SpeechSegment> take();
  // Where somebody speaks, since the last call, seconds.
  [[nodiscard]] std::vector<SoundSpan> take_voice();
  // All speech up to here is in the segments that were taken or can be; seconds. A later transcriber can begin here.
  [[nodiscard]] double until() const;
  // Empty: none was found yet.
  [[nodiscard]] const std::string& language() const { return language_; }
  [[nodiscard]] const Dropped& dropped() const { return dropped_; }

 private:
  Status take_probabilities(std::span<const float> probabilities);
  void collect();
  Status hear_waiting();
  Status hear(const SpeechWindow& window);
  void vote(const Heard& heard, const SpeechWindow& window);
  [[nodiscard]] std::string most_voted() const;  // `votes_` has one
  void keep(const Heard& heard, const SpeechWindow& window);
  [[nodiscard]] double seconds(std::uint64_t sample) const;
  [[nodiscard]] std::span<const float> samples_of(const SpeechWindow& window) const;
  [[nodiscard]] std::uint64_t undecided() const;  // the first sample that is in no window
  void forget();

  VoiceActivity voice_;
  const Whisper* whisper_;  // null: only where somebody speaks
  WhisperOptions options_;
  double start_;
  std::uint64_t from_ = 0;  // sample
  SpeechRanges ranges_;
  SpeechWindows windows_;
  std::vector<SpeechWindow> waiting_;
  std::vector<float> samples_, probabilities_;
  std::uint64_t first_sample_ = 0;  // of samples_
  std::uint64_t first_frame_ = 0;   // of probabilities_
  std::uint64_t heard_ = 0;         // samples that came
  std::string language_;
  std::map<std::string, double> votes_;
  double voted_seconds_ = 0;
  std::vector<SpeechSegment> segments_;
  std::vector<SoundSpan> voice_spans_;
  Dropped dropped_;
};

// A word behind a pause seems to begin within the pause: such words begin where the voice does. `voice`: spans in
// order. Both in seconds. Words that are over before keep their times.
void begin_in_voice(std::span<SpokenWord> words, std::span<const SoundSpan> voice);

// Words to segments: a sentence, or what is said without a pause; `language` and confidence (the words' mean) are
// theirs. Words' times are seconds of presentation time.
std::vector<SpeechSegment> segments_of(std::vector<SpokenWord> words, const std::string& language);

// Why words must not be believed.
enum class Doubt : std::uint8_t { kNone, kSilent, kUnsure, kLoop };
// `speech`: seconds of the window in which somebody speaks.
Doubt doubt_of(const Heard& heard, double speech);

}  // namespace image_engine::audio
