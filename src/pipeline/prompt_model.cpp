#include "pipeline/prompt_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <utility>
#include <vector>

#include "core/file.h"
#include "models/tasks.h"
#include "preprocess/tokenizer.h"
#include "vision/phrase_segmenter.h"

namespace image_engine::pipeline {
namespace {

// On the CPU, at the precision of its first variant: nothing is measured, so there is no canary.
Result<infer::Chosen> plain_session(const InstalledModels& models, const models::Spec& spec) {
  const auto no_canary = [](const infer::Session&) -> Result<std::vector<Tensor>> {
    return fail(ErrorCode::kInternal, "one precision is not measured");
  };
  return models.cpu_session(spec, no_canary, static_cast<int>(models.config().worker_count()),
                            spec.variants.front().precision);
}

tl::unexpected<Error> none_installed(const InstalledModels& models, std::string_view head, const char* takes) {
  IE_TRY(const models::Registry registry, models::Registry::load(models.paths().shipped, models.paths().added));
  std::vector<std::string> commands;
  for (const models::Spec& spec : registry.specs())
    if (spec.task == models::kPromptedTask && spec.head == head) commands.push_back(models::install_command(spec));
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("no installed model takes {}; docs/models.md says where files of one are, and this adds it: {}",
                  takes, fmt::join(commands, ", or ")));
}

}  // namespace

// What kinds of prompts there are, and the models that take them.
struct PromptModel::Kind {
  std::string_view head;
  const char* takes;
  Result<PromptModel> (*load)(const InstalledModels&, const models::Spec&);
};

const PromptModel::Kind& PromptModel::kind_of(const vision::Prompts& prompts) {
  static constexpr Kind kPoints{vision::kPointsHead, "points or a box", load_points};
  static constexpr Kind kPhrase{vision::kPhraseHead, "a text", load_phrase};
  return prompts.phrase.empty() ? kPoints : kPhrase;
}

Result<PromptModel> PromptModel::load(const InstalledModels& models, const std::string& wanted,
                                      const vision::Prompts& prompts) {
  const Kind& kind = kind_of(prompts);
  if (wanted != "auto") {
    IE_TRY(const models::Spec* const named, models.find(models::kPromptedTask, wanted));
    if (named->head == kind.head) return kind.load(models, *named);
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the model {} does not take {}: its head is {}", named->name, kind.takes, named->head));
  }
  const models::Spec* const best =
      models.best(models::kPromptedTask, [&](const models::Spec& spec) { return spec.head == kind.head; });
  if (best == nullptr) return none_installed(models, kind.head, kind.takes);
  return kind.load(models, *best);
}

Result<PromptModel> PromptModel::load_points(const InstalledModels& models, const models::Spec& spec) {
  IE_TRY(const models::Spec of_picture, models::part_of(spec, "encoder"));
  IE_TRY(const models::Spec of_prompts, models::part_of(spec, "decoder"));
  IE_TRY(infer::Chosen encoder, models.picture_session(of_picture, static_cast<int>(models.config().worker_count())));
  IE_TRY(infer::Chosen decoder, plain_session(models, of_prompts));
  IE_TRY(vision::PointSegmenter made,
         vision::PointSegmenter::create(spec, std::move(encoder.session), std::move(decoder.session)));
  const auto segmenter = std::make_shared<const vision::PointSegmenter>(std::move(made));
  return PromptModel(spec.name, encoder.precision,
                     [segmenter](const ImageView& picture, const vision::Prompts& prompts) {
                       return segmenter->select(picture, prompts);
                     });
}

Result<PromptModel> PromptModel::load_phrase(const InstalledModels& models, const models::Spec& spec) {
  const std::string vocabulary = join_path(models.store().found_in(spec), spec.text.vocabulary);
  IE_TRY(auto tokenizer, preprocess::Tokenizer::create(spec.text.tokenizer, vocabulary));
  IE_TRY(infer::Chosen chosen, plain_session(models, spec));
  IE_TRY(vision::PhraseSegmenter made,
         vision::PhraseSegmenter::create(spec, std::move(chosen.session), std::move(tokenizer)));
  const auto segmenter = std::make_shared<const vision::PhraseSegmenter>(std::move(made));
  return PromptModel(
      spec.name, chosen.precision,
      [segmenter](const ImageView& picture, const vision::Prompts& prompts) -> Result<vision::Selection> {
        IE_TRY(vision::Matte matte, segmenter->segment(picture, prompts.phrase));
        return vision::Selection{std::move(matte), {}};
      });
}

}  // namespace image_engine::pipeline
