#include "pipeline/search_models.h"

#include <fmt/format.h>

#include <future>

#include "core/text.h"
#include "nvidia/cloud_models.h"
#include "pipeline/cloud_ask.h"
#include "pipeline/speech_vectors.h"
#include "pipeline/stages.h"
#include "types/half.h"

namespace image_engine::pipeline {
namespace {

constexpr double kLongestWait = 10;  // seconds for a server's vector of a text; after that only words are searched

constexpr char kAdvice[] =
    "only words and tags were compared: to search by content, install a model (image-engine models pull "
    "clip-vit-b-32) and run analyze again";

// The prior from the spec's options, else the default of its kind.
Result<search::CosinePrior> prior_of(const models::Spec& spec, search::CosinePrior prior,
                                     std::string_view prefix = "") {
  const struct {
    const char* option;
    double& value;
  } options[] = {{"relevance_mean", prior.mean},
                 {"relevance_deviation", prior.deviation},
                 {"relevance_gap", prior.gap},
                 {"relevance_related_deviation", prior.related_deviation}};
  for (const auto& [option, value] : options) {
    IE_TRY(value, models::number_option(spec, fmt::format("{}{}", prefix, option), value));
  }
  if (!(prior.deviation > 0) || !(prior.related_deviation > 0) || !(prior.gap > 0))
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("model {0}: {1}relevance_deviation, {1}relevance_gap and {1}relevance_related_deviation must be "
                    "over 0",
                    spec.name, prefix));
  return prior;
}

search::EmbedText embed_with(const vision::TextEmbedder& embedder) {
  return [&embedder](std::string_view text) { return embedder.embed(text); };
}

const models::Spec* speech_model(const InstalledModels& installed, const store::StageKey& space) {
  for (const models::Spec* spec : installed.all("sentences"))
    if (speech_meaning_key(*spec) == space) return spec;
  return nullptr;
}

}  // namespace

SearchModels::SearchModels(const store::CatalogueReader& reader, std::string catalogue, models::InstallPaths paths,
                           Config config)
    : reader_(reader), catalogue_(std::move(catalogue)), paths_(std::move(paths)), config_(std::move(config)) {}

SearchModels::~SearchModels() = default;

Result<const InstalledModels*> SearchModels::models() {
  if (!models_) {
    IE_TRY(models_, InstalledModels::open(paths_, config_));
  }
  return &*models_;
}

Result<bool> SearchModels::find_space(const char* stage, Opened& opened) {
  IE_TRY(const std::vector<store::Space> spaces, reader_.spaces(stage));
  if (spaces.empty() || !spaces.front().active || spaces.front().vectors == 0) return false;
  opened.space = spaces.front();
  return true;
}

Status SearchModels::open_index(Opened& opened) {
  if (opened.index) return {};
  IE_TRY(opened.index, search::VectorIndex::open(reader_, catalogue_, opened.space, &notes_));
  opened.meaning.index = &*opened.index;
  return {};
}

Result<const search::PictureMeaning*> SearchModels::vectors() {
  for (const auto& [stage, opened] : {std::pair(kFeaturesStage, &features_), std::pair(kEmbeddingStage, &embedding_)}) {
    IE_TRY(const bool there, find_space(stage, *opened));
    if (!there) continue;
    IE_CHECK(open_index(*opened));
    return &opened->meaning;
  }
  return nullptr;
}

// The server makes texts' vectors, too. False, with a note, if it may not be asked.
Result<bool> SearchModels::ask_server(const models::Spec& spec) {
  nvidia::CloudOptions options;
  options.tasks = {nvidia::Task::kEmbed};
  options.key_files = key_files(catalogue_, "");
  IE_TRY(const nvidia::Endpoint endpoint, nvidia::endpoint_of(config_.nvidia_build, nvidia::Task::kEmbed));
  if (!config_.nvidia_build.enabled && !endpoint.local) {
    notes_.push_back(
        fmt::format("only words were compared: the pictures' vectors are of {}, whose server is not asked while "
                    "nvidia_build.enabled is false",
                    spec.name));
    return false;
  }
  NvidiaBuildConfig impatient = config_.nvidia_build;  // a person waits
  impatient.rate_limiting.timeout_seconds = std::min(impatient.rate_limiting.timeout_seconds, kLongestWait);
  impatient.rate_limiting.retry_attempts = 0;
  IE_TRY(cloud_, nvidia::CloudModels::open(impatient, std::move(options)));
  IE_TRY(embedding_.meaning.prior, prior_of(spec, search::kClipPrior));
  IE_CHECK(open_index(embedding_));
  embedding_.meaning.embed = [this](std::string_view text) -> Result<std::vector<float>> {
    IE_TRY(auto vectors, cloud_->embed_texts({std::string(text)}));
    return std::move(vectors.front());
  };
  return true;
}

Result<const search::PictureMeaning*> SearchModels::pictures() {
  if (embedding_.meaning.embed) return &embedding_.meaning;
  IE_TRY(const bool there, find_space(kEmbeddingStage, embedding_));
  if (!there) {
    notes_.emplace_back(kAdvice);
    return nullptr;
  }
  const store::StageKey& key = embedding_.space.key;
  IE_TRY(const InstalledModels* installed, models());
  const models::Spec* spec = installed->find("embedding", key);
  if (spec != nullptr && !spec->server.empty()) {
    IE_TRY(const bool asks, ask_server(*spec));
    return asks ? &embedding_.meaning : nullptr;
  }
  if (spec == nullptr || spec->text.tokenizer.empty()) {
    notes_.push_back(spec != nullptr
                         ? fmt::format("only words were compared: {} has no text encoder", spec->name)
                         : fmt::format("only words were compared: the pictures' vectors are of {}, which is not "
                                       "installed: image-engine models pull {}",
                                       key.model, key.model));
    return nullptr;
  }
  IE_TRY(embedding_.meaning.prior, prior_of(*spec, search::kClipPrior));
  // Loading the model and checking the file of vectors take about the same time, on one core each.
  auto loading = std::async(std::launch::async, [&] { return installed->text_embedder(*spec); });
  const Status opened = open_index(embedding_);
  Result<vision::TextEmbedder> embedder = loading.get();
  IE_CHECK(opened);
  IE_TRY(text_, std::move(embedder));
  embedding_.meaning.embed = embed_with(*text_);
  return &embedding_.meaning;
}

Result<const search::TagMeaning*> SearchModels::tags() {
  if (tags_.embed) return &tags_;
  const std::string& wanted = config_.analysis.ml_models.sentence_model;
  if (wanted == "none") return nullptr;
  // Reading the registry of models takes longer than most searches.
  IE_TRY(const bool there, reader_.has_term_vectors());
  if (!there) return nullptr;
  IE_TRY(const InstalledModels* installed, models());
  const Result<const models::Spec*> spec = installed->find("sentences", wanted);
  if (!spec) return nullptr;
  IE_TRY(const auto terms, reader_.term_vectors((*spec)->name + " " + (*spec)->version));
  if (terms.empty()) return nullptr;
  for (const auto& [term, vector] : terms) tags_.terms.emplace_back(term, from_half(vector));
  IE_TRY(tags_.prior, prior_of(**spec, search::kSentencePrior));
  IE_CHECK(load_sentences(**spec));
  tags_.embed = embed_with(sentences_.at(*spec));
  return &tags_;
}

Status SearchModels::load_sentences(const models::Spec& spec) {
  if (sentences_.contains(&spec)) return {};
  IE_TRY(vision::TextEmbedder embedder, models_->text_embedder(spec));
  sentences_.emplace(&spec, std::move(embedder));
  return {};
}

Result<const search::SpeechMeaning*> SearchModels::speech() {
  if (speech_.meaning.embed) return &speech_.meaning;
  if (config_.analysis.ml_models.sentence_model == "none") return nullptr;
  IE_TRY(const bool there, find_space(kSpeechMeaningStage, speech_));
  if (!there) return nullptr;
  IE_TRY(const InstalledModels* installed, models());
  const models::Spec* spec = speech_model(*installed, speech_.space.key);
  if (spec == nullptr) {
    const std::string& model = speech_.space.key.model;
    notes_.push_back(
        fmt::format("what is said was only searched for words: its vectors are of a version of {} that is "
                    "not installed: image-engine models pull {}, then run analyze again",
                    model, model));
    return nullptr;
  }
  IE_TRY(speech_.meaning.prior, prior_of(*spec, search::kSpokenPrior, "spoken_"));
  auto loading = std::async(std::launch::async, [&] { return load_sentences(*spec); });
  const Status opened = open_index(speech_);
  IE_CHECK(loading.get());
  IE_CHECK(opened);
  speech_.meaning.embed = embed_with(sentences_.at(spec));
  return &speech_.meaning;
}

Result<std::optional<std::vector<std::uint16_t>>> SearchModels::stored_vector(const std::string& path, FrameTime at,
                                                                              store::SpaceId space) const {
  const Result<store::AssetId> asset = reader_.find_asset_by_path(path);
  if (!asset) return std::nullopt;
  if (!at) return reader_.vector_of(space, *asset);
  IE_TRY(const std::vector<store::Moment> moments, reader_.moments(*asset));
  for (const store::Moment& moment : moments)
    if (moment.kind == store::MomentKind::kFrame && moment.from <= *at && *at < moment.to)
      return reader_.vector_of(space, store::vector_id(*asset, moment.id));
  return std::nullopt;
}

Result<std::vector<float>> SearchModels::embed_picture(const std::string& path, FrameTime at) {
  const bool features = features_.index.has_value();
  const store::Space& space = features ? features_.space : embedding_.space;
  IE_TRY(const auto stored, stored_vector(path, at, space.id));
  if (stored) return from_half(*stored);
  IE_TRY(const InstalledModels* installed, models());
  const models::Spec* spec = installed->find(features ? "features" : "embedding", space.key);
  if (spec == nullptr)
    return fail(ErrorCode::kNotFound,
                fmt::format("{}, whose vectors the library has, is not installed: image-engine models pull {}",
                            space.key.model, space.key.model));
  if (!spec->server.empty())
    return fail(ErrorCode::kUnsupported,
                fmt::format("{}: the library's vectors are of {}, which runs on a server: name a picture that "
                            "analyze has processed",
                            printable(path), spec->name));
  IE_TRY(const vision::ImageEmbedder embedder,
         installed->image_embedder(*spec, static_cast<int>(config_.worker_count())));
  std::vector<float> vector;
  const auto embed = [&](const ImageView& picture, preprocess::FullSize full) -> Status {
    IE_TRY(vector, embedder.embed(picture, full));
    return {};
  };
  IE_CHECK(with_query(path, at, config_, preprocess::wanted_edge(embedder.plan()), embed));
  return vector;
}

}  // namespace image_engine::pipeline
