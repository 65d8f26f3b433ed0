// Speech in a catalogue without a model: texts whose words share the time of their segment.
#pragma once

#include <string>
#include <vector>

#include "store/catalogue.h"
#include "types/transcript.h"

namespace image_engine {

struct PlantedSegment {
  double from = 0, to = 0;
  std::string text;
};

// As a stage of speech does: each segment with its moment, record and text, then the asset's record. Without `whole`
// the last is left out: the run was ended before.
inline Status put_speech(store::CatalogueWriter& writer, store::AssetId asset,
                         const std::vector<PlantedSegment>& segments, bool whole = true) {
  store::MomentId moment = store::kFirstSpeechMoment;
  for (const auto& [from, to, text] : segments) {
    const SpeechSegment segment{from, to, "en", 0.9, spread_words(text, from, to)};
    IE_CHECK(writer.put_moment(asset, {moment, store::MomentKind::kSpeech, from, to}));
    const std::vector<store::Fact> facts = {store::TextFacts{store::TextField::kSaid, {text}}};
    IE_CHECK(
        writer.put_moment_record(asset, {moment, std::string(store::kSpeechStage), speech_record(segment)}, facts));
    ++moment;
  }
  if (!whole) return {};
  return writer.put_record(asset, {{std::string(store::kSpeechStage), "planted", "1", ""}, "cpu", "", "{}", ""});
}

}  // namespace image_engine
