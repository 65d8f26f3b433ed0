// The installed model that finds what a person points at or names in a picture.
#pragma once

#include <functional>
#include <string>

#include "core/result.h"
#include "pipeline/installed_models.h"
#include "types/image.h"
#include "vision/point_segmenter.h"
#include "vision/prompts.h"

namespace image_engine::pipeline {

class PromptModel {
 public:
  // `wanted`: a model of the task prompted-segmentation, or auto: of those that take such prompts the one with the
  // highest preference. kInvalidArgument: none is installed (names each that there is, and the command that adds it),
  // or `wanted` takes other prompts; those of loading it.
  static Result<PromptModel> load(const InstalledModels& models, const std::string& wanted,
                                  const vision::Prompts& prompts);

  // Prompts of the kind that it was loaded for. Errors: those of vision::PointSegmenter and vision::PhraseSegmenter.
  // Thread-safe.
  [[nodiscard]] Result<vision::Selection> select(const ImageView& picture, const vision::Prompts& prompts) const {
    return select_(picture, prompts);
  }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& precision() const { return precision_; }

 private:
  using Select = std::function<Result<vision::Selection>(const ImageView&, const vision::Prompts&)>;
  struct Kind;
  static const Kind& kind_of(const vision::Prompts& prompts);
  static Result<PromptModel> load_points(const InstalledModels& models, const models::Spec& spec);
  static Result<PromptModel> load_phrase(const InstalledModels& models, const models::Spec& spec);
  PromptModel(std::string name, std::string precision, Select select)
      : name_(std::move(name)), precision_(std::move(precision)), select_(std::move(select)) {}

  std::string name_, precision_;
  Select select_;
};

}  // namespace image_engine::pipeline
