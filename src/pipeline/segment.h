// Picture in, alpha out: what a person names in a picture, by the installed models.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "pipeline/installed_models.h"
#include "pipeline/prompt_model.h"
#include "pipeline/subject_parts.h"
#include "types/box.h"
#include "types/image.h"
#include "vision/objects.h"
#include "vision/prompts.h"
#include "vision/segmenter.h"

namespace image_engine::pipeline {

inline constexpr char kSegmentationTask[] = "segmentation";
inline constexpr char kSelectionLabel[] = "selection";  // of what points or a box mean

struct SegmentOptions {
  std::string model = "auto";  // of the task segmentation, or for prompts prompted-segmentation
  bool refine = true;          // along the picture's edges; false: the model's matte, only interpolated
  bool closed_form = false;    // before that, the matte's edges are those of closed-form matting (vision/closed_form.h)
  std::stop_token stop;        // of closed-form matting, which takes seconds
};

struct Segmented {
  std::uint32_t width = 0, height = 0;  // the picture's
  std::vector<std::uint8_t> alpha;      // height × width, 0…255
  vision::Matte matte;                  // as the model made it
  std::string label;                    // of the target, as the model has it
  std::string model, precision;
  double model_seconds = 0, refine_seconds = 0;
  std::optional<float> estimated_iou;  // of a selection, as its model estimates it
};

// A connected part of a target.
struct Subject {
  Box box;                 // in pixels, inside the picture
  double share = 0;        // of the picture's pixels, 0…1
  std::string label;       // what an installed detector calls it, or the model; empty: not known
  float confidence = 0;    // the detector's, 0…1; 0: the model's label
  std::uint16_t part = 0;  // its number in Subjects::owner
};
struct Subjects {
  std::vector<Subject> list;         // the largest first, at most kMostSubjects
  std::vector<std::uint16_t> owner;  // of each place of the matte: the part that it belongs to; 0: none
};

using ChangeMatte = std::function<void(vision::Matte&)>;

// Models are loaded at the first picture that needs them. Not thread-safe.
class PictureSegmenter {
 public:
  // Fails when the registry of models cannot be read.
  static Result<PictureSegmenter> open(const Config& config, SegmentOptions options = {});

  // `target`: subject, person, background (all that is not the subject, or, where no such model is installed, not a
  // person), or the name of a class; ASCII case is ignored. `picture`: upright sRGB. Errors: kNotFound (no such thing
  // in the picture: is_of_the_picture() is then true; no installed model finds that target, with the command that
  // installs one), kInvalidArgument (not a model's target), those of loading and running a model. A model of people is
  // asked only where a detector sees a person.
  // `change`, where given, may change the model's matte before it is refined, as the frames of a video need it.
  Result<Segmented> segment(const ImageView& picture, const std::string& target, const ChangeMatte& change = {});

  // What the prompts mean. `picture` as above; all prompts of one segmenter are of one kind. The label is the phrase,
  // or kSelectionLabel. Errors: kNotFound (nothing there: is_of_the_picture() is then true), kInvalidArgument (prompts
  // that are not in the picture), those of PromptModel.
  Result<Segmented> select(const ImageView& picture, const vision::Prompts& prompts);

  // Whether the last kNotFound was about the picture.
  [[nodiscard]] bool is_of_the_picture() const { return of_the_picture_; }

  // The connected parts of what segment() found in that picture, of at least 0.1 % of it.
  Result<Subjects> subjects(const ImageView& picture, const Segmented& segmented);

 private:
  struct Model {
    const models::Spec* spec = nullptr;
    std::string precision;
    vision::Segmenter segmenter;
  };
  struct Target {
    Model* model = nullptr;
    std::vector<std::size_t> labels;
    bool inverted = false;
  };
  PictureSegmenter(InstalledModels models, SegmentOptions options)
      : models_(std::move(models)), options_(std::move(options)) {}

  Result<Target> find(const std::string& target);
  Result<const models::Spec*> spec_for(const std::string& label) const;
  [[nodiscard]] tl::unexpected<Error> no_model_for(const std::string& label) const;
  Result<Model*> load(const models::Spec& spec);
  Result<const vision::ObjectDetector*> detector();
  Status check_people(const ImageView& picture);
  Status refine(const ImageView& picture, Segmented& result) const;
  tl::unexpected<Error> nothing(const std::string& target);

  InstalledModels models_;
  SegmentOptions options_;
  std::map<const models::Spec*, Model> loaded_;
  std::optional<vision::ObjectDetector> detector_;
  std::optional<PromptModel> prompt_model_;
  bool of_the_picture_ = false;
};

// The alpha of one of the subjects, of the picture's size.
std::vector<std::uint8_t> alpha_of(const Segmented& segmented, const Subjects& subjects, const Subject& subject);

}  // namespace image_engine::pipeline
