#include "types/transcript.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/json.h"

namespace image_engine {
namespace {

constexpr double kTicks = 100;  // per second

std::int64_t ticks_from(double start, double seconds) { return std::llround((seconds - start) * kTicks); }

double two_decimals(double value) { return std::round(value * 100) / 100; }

}  // namespace

std::string SpeechSegment::text() const {
  std::string text;
  for (const SpokenWord& word : words) text += word.text;
  const size_t first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(' ') + 1 - first);
}

std::vector<SpokenWord> spread_words(const std::string& text, double from, double to) {
  std::vector<SpokenWord> words;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = text.find_first_not_of(" \t\r\n", at);
    if (begin == std::string::npos) break;
    const size_t end = std::min(text.find_first_of(" \t\r\n", begin), text.size());
    words.push_back({(words.empty() ? "" : " ") + text.substr(begin, end - begin)});
    at = end;
  }
  size_t length = 0, before = 0;
  for (const SpokenWord& word : words) length += word.text.size();
  const auto time = [&](size_t bytes) {
    return from + (to - from) * static_cast<double>(bytes) / static_cast<double>(length);
  };
  for (SpokenWord& word : words) {
    word.from = time(before);
    before += word.text.size();
    word.to = time(before);
  }
  return words;
}

std::string speech_record(const SpeechSegment& segment) {
  nlohmann::json words = nlohmann::json::array();
  for (const SpokenWord& word : segment.words)
    words.push_back({word.text, ticks_from(segment.from, word.from), ticks_from(segment.from, word.to),
                     std::lround(word.confidence * 100)});
  return json_text(nlohmann::json{
      {"language", segment.language}, {"confidence", thousandths(segment.confidence)}, {"words", std::move(words)}});
}

Result<SpeechSegment> speech_from_record(const std::string& record, double from, double to) {
  const nlohmann::json json = parse_json(record);
  try {
    SpeechSegment segment{from, to, json.at("language").get<std::string>(), json.at("confidence").get<double>(), {}};
    for (const nlohmann::json& word : json.at("words"))
      segment.words.push_back({word.at(0).get<std::string>(), from + word.at(1).get<double>() / kTicks,
                               from + word.at(2).get<double>() / kTicks, word.at(3).get<double>() / 100});
    return segment;
  } catch (const nlohmann::json::exception&) {
    return fail(ErrorCode::kCorrupt, "a record of speech is damaged");
  }
}

void to_json(nlohmann::json& json, const Loudness& loudness) {
  const auto known = [](const std::optional<double>& value) {
    return value ? nlohmann::json(two_decimals(*value)) : nlohmann::json();
  };
  json = {{"integrated", known(loudness.integrated)},
          {"range", two_decimals(loudness.range)},
          {"true_peak", known(loudness.true_peak)},
          {"clipped_seconds", thousandths(loudness.clipped_seconds)}};
}

void from_json(const nlohmann::json& json, Loudness& loudness) {
  const auto known = [&](const char* name) {
    return json.at(name).is_null() ? std::nullopt : std::optional(json.at(name).get<double>());
  };
  loudness = {known("integrated"), json.at("range").get<double>(), known("true_peak"),
              json.at("clipped_seconds").get<double>()};
}

}  // namespace image_engine
