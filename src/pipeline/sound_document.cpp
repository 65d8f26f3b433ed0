#include "pipeline/sound_document.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "pipeline/speech.h"
#include "pipeline/stages.h"
#include "types/transcript.h"

namespace image_engine::pipeline {
namespace {

using nlohmann::json;

json segment_json(const SpeechSegment& segment) {
  json words = json::array();
  for (const SpokenWord& word : segment.words)
    words.push_back({{"word", word.text.substr(std::min(word.text.find_first_not_of(' '), word.text.size()))},
                     {"from", thousandths(word.from)},
                     {"to", thousandths(word.to)},
                     {"confidence", thousandths(word.confidence)}});
  return {{"from", thousandths(segment.from)},
          {"to", thousandths(segment.to)},
          {"text", segment.text()},
          {"language", segment.language.empty() ? json() : json(segment.language)},
          {"confidence", thousandths(segment.confidence)},
          {"words", std::move(words)}};
}

// The record's own counts are those of its moments.
void add_transcript(json& document, const store::AssetRecord& asset) {
  // The newest is last.
  const auto record = std::find_if(asset.records.rbegin(), asset.records.rend(),
                                   [](const store::Record& one) { return one.key.stage == kSpeechStage; });
  if (record == asset.records.rend()) return;
  const json data = parse_json(record->data);
  if (!data.is_object()) return;
  json& transcript = document["transcript"] = json::object();
  for (const char* key : {"language", "source", "words", "dropped", "voice_activity"})
    if (data.contains(key)) transcript[key] = data[key];
}

}  // namespace

Status add_speech(json& document, const store::AssetRecord& asset, std::span<const store::Moment> all,
                  std::span<const store::MomentRecord> records, std::span<const store::MomentThing> things) {
  std::map<store::MomentId, const store::Moment*> by_id;
  for (const store::Moment& moment : all) by_id[moment.id] = &moment;
  IE_TRY(const std::vector<SpeechSegment> segments, speech_of(all, records));
  std::vector<SoundSpan> sounds;
  for (const store::MomentThing& thing : things)
    if (const auto at = by_id.find(thing.moment); thing.field == store::TextField::kSound && at != by_id.end())
      sounds.push_back({thing.name, at->second->from, at->second->to, thing.confidence});
  std::ranges::stable_sort(sounds, {}, &SoundSpan::from);

  json& speech = document["speech"] = json::array();
  for (const SpeechSegment& segment : segments) speech.push_back(segment_json(segment));
  json& heard = document["sounds"] = json::array();
  for (const SoundSpan& span : sounds)
    heard.push_back({{"sound", span.name},
                     {"from", thousandths(span.from)},
                     {"to", thousandths(span.to)},
                     {"confidence", thousandths(span.confidence)}});
  add_transcript(document, asset);
  return {};
}

}  // namespace image_engine::pipeline
