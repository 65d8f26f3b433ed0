// What is heard in a video or a recording: speech with its words, other sounds, loudness.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"

namespace image_engine {

// All times are seconds of presentation time.

struct SpokenWord {
  std::string text;  // with the space before it, where its script separates words by spaces
  double from = 0, to = 0;
  double confidence = 1;  // 0…1
};

// What is said without a longer pause, mostly a sentence or a part of one.
struct SpeechSegment {
  double from = 0, to = 0;
  std::string language;   // ISO 639, lower case; empty: unknown
  double confidence = 1;  // 0…1
  std::vector<SpokenWord> words;

  // The words' texts joined, without spaces at the ends.
  [[nodiscard]] std::string text() const;
};

// Words for a text whose words have no times of their own, as of a subtitle: each takes its share of the time by its
// length. A text in a script without spaces is one word.
std::vector<SpokenWord> spread_words(const std::string& text, double from, double to);

// The JSON of a segment in the catalogue, without `from` and `to`, which its moment has: {"language", "confidence",
// "words": [[text, from, to, confidence], …]}, times in hundredths of a second from the segment's start, confidences in
// percent.
std::string speech_record(const SpeechSegment& segment);
// The segment of a record whose moment has these times. kCorrupt for other JSON.
Result<SpeechSegment> speech_from_record(const std::string& record, double from, double to);

// Something else than words that is heard, by the name that its model has for it: "speech", "music", "singing", ….
struct SoundSpan {
  std::string name;
  double from = 0, to = 0;
  double confidence = 1;  // 0…1
};

// Of the whole original sound, by EBU R128 and ITU-R BS.1770.
struct Loudness {
  std::optional<double> integrated;  // LUFS; none: silent, or too short (less than 0.4 s)
  double range = 0;                  // LU
  std::optional<double> true_peak;   // dBTP; none: digital silence
  double clipped_seconds = 0;        // of runs of samples at full scale
};
void to_json(nlohmann::json& json, const Loudness& loudness);
void from_json(const nlohmann::json& json, Loudness& loudness);

}  // namespace image_engine
