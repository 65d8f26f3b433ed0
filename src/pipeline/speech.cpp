#include "pipeline/speech.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace image_engine::pipeline {

Result<std::vector<SpeechSegment>> speech_of(const store::CatalogueReader& reader, store::AssetId asset) {
  IE_TRY(const std::vector<store::Moment> moments, reader.moments(asset));
  IE_TRY(const std::vector<store::MomentRecord> records, reader.moment_records(asset));
  return speech_of(moments, records);
}

Result<std::vector<SpeechSegment>> speech_of(std::span<const store::Moment> moments,
                                             std::span<const store::MomentRecord> records) {
  std::map<store::MomentId, const std::string*> data;
  for (const store::MomentRecord& record : records)
    if (record.stage == store::kSpeechStage) data[record.moment] = &record.data;
  std::vector<SpeechSegment> speech;
  for (const store::Moment& moment : moments) {
    const auto found = data.find(moment.id);
    if (moment.kind != store::MomentKind::kSpeech || found == data.end()) continue;
    IE_TRY(SpeechSegment segment, speech_from_record(*found->second, moment.from, moment.to));
    speech.push_back(std::move(segment));
  }
  std::ranges::stable_sort(speech, {}, &SpeechSegment::from);
  return speech;
}

}  // namespace image_engine::pipeline
