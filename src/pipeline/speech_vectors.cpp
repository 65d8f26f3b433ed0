#include "pipeline/speech_vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "core/progress.h"
#include "pipeline/stages.h"
#include "types/passages.h"

namespace image_engine::pipeline {
namespace {

// A sentence that reports the passage: its vector is nearer to what the passage is about than that of the bare words
// (docs/search.md has figures).
std::string reported(const std::string& passage) { return fmt::format("They say: \"{}\"", passage); }
constexpr char kReportVersion[] = "1";

struct SpeechOfAsset {
  std::vector<SpeechSegment> segments;
  std::vector<store::MomentId> moments;
};

Result<SpeechOfAsset> speech_of(Run& run, store::AssetId asset) {
  const std::lock_guard lock(run.reader_mutex);
  IE_TRY(auto records, run.reader.moment_records(asset, std::string(store::kSpeechStage), 0,
                                                 std::numeric_limits<std::size_t>::max()));
  std::ranges::stable_sort(records, {}, [](const auto& record) { return record.first.from; });
  SpeechOfAsset speech;
  for (const auto& [moment, data] : records) {
    IE_TRY(speech.segments.emplace_back(), speech_from_record(data, moment.from, moment.to));
    speech.moments.push_back(moment.id);
  }
  return speech;
}

Result<std::optional<store::Space>> space_of(Run& run, const store::StageKey& key) {
  const std::lock_guard lock(run.reader_mutex);
  IE_TRY(const std::vector<store::Space> spaces, run.reader.spaces(kSpeechMeaningStage));
  const auto space = std::ranges::find(spaces, key, &store::Space::key);
  return space == spaces.end() ? std::nullopt : std::optional(*space);
}

// Assets with speech that lack vectors of that space.
Result<std::vector<store::AssetId>> speech_without(Run& run, store::SpaceId space) {
  const std::lock_guard lock(run.reader_mutex);
  return run.reader.moments_not_embedded(std::string(store::kSpeechStage), space);
}

// False when the model cannot be used, which becomes a note.
Result<bool> embed_all(Run& run, const SpeechVectors& vectors, const std::vector<store::AssetId>& assets) {
  Progress progress("Meaning of speech", assets.size(), run.options.progress && !assets.empty());
  for (const store::AssetId asset : assets) {
    if (run.cancelled()) return false;
    IE_TRY(const SpeechOfAsset speech, speech_of(run, asset));
    const Result<SpeechVectors::Passages> passages = vectors.embed(speech.segments);
    if (!passages) {
      run.report.notes.push_back(fmt::format("{}: left out: {}", kSpeechMeaningStage, passages.error().message));
      return false;
    }
    IE_CHECK(run.batch.open());
    IE_CHECK(vectors.write(run.writer, asset, *passages, speech.moments));
    IE_TRY([[maybe_unused]] const bool committed, run.batch.changed());
    progress.add();
  }
  return true;
}

}  // namespace

store::StageKey speech_meaning_key(const models::Spec& spec) {
  store::StageKey key = model_key(kSpeechMeaningStage, spec);
  key.params += fmt::format("{}passages={},{}", key.params.empty() ? "" : " ", kPassagesVersion, kReportVersion);
  return key;
}

Result<std::optional<SpeechVectors>> SpeechVectors::create(const InstalledModels& models) {
  const std::string& wanted = models.config().analysis.ml_models.sentence_model;
  if (wanted == "none") return std::nullopt;
  const Result<const models::Spec*> spec = models.find("sentences", wanted);
  if (!spec && spec.error().code == ErrorCode::kInvalidArgument) return fail(spec.error());
  if (!spec) return std::nullopt;
  const auto loaded = std::make_shared<std::optional<vision::TextEmbedder>>();
  return SpeechVectors(
      speech_meaning_key(**spec),
      [&models, spec = *spec, loaded](std::span<const std::string> texts) -> Result<std::vector<vision::Embedding>> {
        if (!*loaded) {
          IE_TRY(*loaded, models.text_embedder(*spec));
        }
        return (*loaded)->embed(texts);
      });
}

Result<SpeechVectors::Passages> SpeechVectors::embed(std::span<const SpeechSegment> segments) const {
  const std::vector<Passage> passages = passages_of(segments);
  if (passages.empty()) return Passages();
  std::vector<std::string> texts;
  for (const Passage& passage : passages) texts.push_back(reported(passage.text));
  IE_TRY(std::vector<vision::Embedding> vectors, embed_(texts));
  Passages result;
  for (std::size_t i = 0; i < passages.size(); ++i) result.emplace_back(passages[i].first, std::move(vectors[i]));
  return result;
}

Status SpeechVectors::write(store::CatalogueWriter& writer, store::AssetId asset, const Passages& passages,
                            std::span<const store::MomentId> moments) const {
  if (passages.empty()) return {};
  IE_TRY(const store::Space space, writer.open_space(key_, passages.front().second.size()));
  IE_CHECK(writer.drop_moment_vectors(asset, space.id));
  for (const auto& [first, vector] : passages) {
    const store::Fact fact = store::VectorFact{key_, vector};
    IE_CHECK(writer.put_moment_record(asset, {moments[first], kSpeechMeaningStage, ""}, {&fact, 1}));
  }
  return {};
}

Status embed_speech(Run& run) {
  if (!run.asked_for(kSpeechMeaningStage)) return {};
  IE_TRY(const std::vector<store::AssetId> all, speech_without(run, 0));
  if (all.empty()) return {};
  const Result<InstalledModels> models = InstalledModels::open(run.options.models, run.options.config);
  if (!models) return {};  // other stages have noted it
  const Result<std::optional<SpeechVectors>> vectors = SpeechVectors::create(*models);
  if (!vectors) run.report.notes.push_back(vectors.error().message);
  if (!vectors || !*vectors) return {};
  const store::StageKey& key = (*vectors)->key();
  IE_TRY(const std::optional<store::Space> before, space_of(run, key));
  const bool again = std::ranges::find(run.options.redo, kSpeechMeaningStage) != run.options.redo.end();
  IE_TRY(const std::vector<store::AssetId> lacking, speech_without(run, before && !again ? before->id : 0));
  IE_TRY(const bool complete, embed_all(run, **vectors, lacking));
  IE_CHECK(run.batch.commit());
  IE_TRY(const std::optional<store::Space> space, space_of(run, key));
  return complete && space && !space->active ? run.writer.activate_space(space->id) : Status{};
}

}  // namespace image_engine::pipeline
