#include "pipeline/segmentation_stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "core/hash.h"
#include "core/json.h"
#include "pipeline/model_stages.h"
#include "pipeline/person_check.h"
#include "pipeline/segment.h"
#include "pipeline/subject_parts.h"
#include "vision/masks.h"
#include "vision/objects.h"
#include "vision/segmenter.h"
#include "vision/subject_look.h"

namespace image_engine::pipeline {
namespace {

using nlohmann::json;

constexpr char kSegmentationVersion[] = "1";
constexpr char kSubjectName[] = "subject";
constexpr double kLeastClassShare = 0.001;  // of a class, of the picture

double recorded_share(double share) { return std::round(share * 1e4) / 1e4; }

bool is_gated_by_people(const models::Spec& spec) {
  const auto gate = spec.head_options.find("gate");
  return gate != spec.head_options.end() && gate->second == "person";
}

// What one model found.
struct FoundMask {
  std::string name;
  double confidence = 0, share = 0;
  Box box;            // in pixels of the photo
  vision::Mask mask;  // of the whole picture, at the model's size
  const models::Spec* model = nullptr;
  bool is_subject = false;  // of a model of subjects or people
};

struct MaskExtent {
  std::uint32_t left = ~0U, top = ~0U, right = 0, bottom = 0;
};

struct FullPicture {
  ImageView picture;  // may be reduced
  std::uint32_t width = 0, height = 0;
};

Box mask_box(const MaskExtent& extent, const vision::Mask& mask, const FullPicture& full) {
  const float x = static_cast<float>(full.width) / static_cast<float>(mask.width),
              y = static_cast<float>(full.height) / static_cast<float>(mask.height);
  return {static_cast<float>(extent.left) * x, static_cast<float>(extent.top) * y,
          static_cast<float>(extent.right - extent.left) * x, static_cast<float>(extent.bottom - extent.top) * y};
}

// A connected part of a matte, as a mask of the whole picture.
FoundMask part_found(const vision::MaskPart& part, const vision::Matte& matte, const FullPicture& full) {
  FoundMask found;
  found.mask = {matte.width, matte.height, std::vector<std::uint8_t>(matte.alpha.size())};
  double alpha = 0;
  for (std::uint32_t y = 0; y < part.mask.height; ++y)
    for (std::uint32_t x = 0; x < part.mask.width; ++x) {
      if (part.mask.pixels[std::size_t{y} * part.mask.width + x] == 0) continue;
      const std::size_t at = std::size_t{part.top + y} * matte.width + part.left + x;
      found.mask.pixels[at] = 255;
      alpha += double{matte.alpha[at]};
    }
  found.confidence = alpha / static_cast<double>(part.area);
  found.share = static_cast<double>(part.area) / static_cast<double>(matte.alpha.size());
  found.box =
      mask_box({part.left, part.top, part.left + part.mask.width, part.top + part.mask.height}, found.mask, full);
  return found;
}

// Each class that has a thousandth of the picture.
std::vector<FoundMask> classes_found(const vision::ClassMap& map, const models::Spec& spec, const FullPicture& full) {
  struct Sum {
    std::uint64_t places = 0;
    double certainty = 0;
    MaskExtent extent;
  };
  std::map<std::uint16_t, Sum> sums;
  for (std::size_t at = 0; at < map.label.size(); ++at) {
    Sum& sum = sums[map.label[at]];
    const auto x = static_cast<std::uint32_t>(at % map.width), y = static_cast<std::uint32_t>(at / map.width);
    ++sum.places, sum.certainty += double{map.certainty[at]};
    sum.extent = {std::min(sum.extent.left, x), std::min(sum.extent.top, y), std::max(sum.extent.right, x + 1),
                  std::max(sum.extent.bottom, y + 1)};
  }
  std::vector<FoundMask> masks;
  for (const auto& [label, sum] : sums) {
    FoundMask found{spec.labels[label], sum.certainty / static_cast<double>(sum.places)};
    found.share = static_cast<double>(sum.places) / static_cast<double>(map.label.size());
    if (found.share < kLeastClassShare) continue;
    found.mask = {map.width, map.height, std::vector<std::uint8_t>(map.label.size())};
    std::ranges::transform(map.label, found.mask.pixels.begin(),
                           [label = label](std::uint16_t one) { return one == label ? 255 : 0; });
    found.box = mask_box(sum.extent, found.mask, full);
    masks.push_back(std::move(found));
  }
  return masks;
}

json segmentation_json(vision::Mask mask) {
  std::string counts = vision::coco_counts(vision::run_lengths(mask));
  while (counts.size() > kMostMaskBytes) {
    mask = vision::reduced(mask, std::max(1U, mask.width / 2), std::max(1U, mask.height / 2));
    counts = vision::coco_counts(vision::run_lengths(mask));
  }
  return {{"size", {mask.height, mask.width}}, {"counts", std::move(counts)}};
}

json mask_record(const FoundMask& found) {
  return {{"class", found.name},
          {"confidence", thousandths(found.confidence)},
          {"share", recorded_share(found.share)},
          {"bbox", {tenths(found.box.x), tenths(found.box.y), tenths(found.box.width), tenths(found.box.height)}},
          {"model", found.model->name},
          {"segmentation", segmentation_json(found.mask)}};
}

// Of each name the greatest share that one model found.
store::SubjectFacts subject_facts(const std::vector<FoundMask>& masks) {
  std::map<std::string, std::map<const models::Spec*, store::FoundSubject>> sums;
  const auto add = [&](const std::string& name, const FoundMask& found) {
    store::FoundSubject& sum = sums[name][found.model];
    sum.share += found.share;
    sum.confidence = std::max(sum.confidence, thousandths(found.confidence));
  };
  for (const FoundMask& found : masks) {
    add(found.name, found);
    if (found.is_subject && found.name != kSubjectName) add(kSubjectName, found);
  }
  store::SubjectFacts facts;
  for (const auto& [name, by_model] : sums) {
    const auto& [model, most] =
        *std::ranges::max_element(by_model, {}, [](const auto& entry) { return entry.second.share; });
    facts.subjects.push_back({name, recorded_share(std::min(1.0, most.share)), most.confidence});
  }
  return facts;
}

// Thread-safe.
class SubjectFinder {
 public:
  struct Part {
    const models::Spec* spec = nullptr;
    vision::Segmenter segmenter;
  };
  SubjectFinder(std::vector<Part> parts, std::optional<vision::ObjectDetector> detector)
      : parts_(std::move(parts)), detector_(std::move(detector)) {}

  [[nodiscard]] Result<StageOutput> find(const StageInput& input) const {
    const FullPicture full{input.picture, input.full_width, input.full_height};
    std::vector<vision::DetectedObject> objects;
    if (detector_) {
      IE_TRY(objects, detector_->detect(full.picture, full.width, full.height));
    }
    std::vector<FoundMask> masks;
    for (const Part& part : parts_) {
      IE_TRY(std::vector<FoundMask> found,
             part.segmenter.has_classes() ? classes_of(part, full) : subjects_of(part, full, objects));
      for (FoundMask& one : found) one.model = part.spec;
      std::ranges::move(found, std::back_inserter(masks));
    }
    std::ranges::stable_sort(masks, std::ranges::greater{}, &FoundMask::share);
    store::SubjectFacts facts = subject_facts(masks);
    // Models of subjects come before those of people.
    const auto largest = std::ranges::find_if(masks, &FoundMask::is_subject);
    if (largest != masks.end())
      if (const auto look = vision::subject_look(full.picture, largest->mask)) facts.look = vision::to_bytes(*look);
    json list = json::array();
    for (std::size_t i = 0; i < std::min(masks.size(), kMostMasks); ++i) list.push_back(mask_record(masks[i]));
    return StageOutput{json_text(json{{"masks", std::move(list)}}), {std::move(facts)}};
  }

 private:
  static Result<std::vector<FoundMask>> classes_of(const Part& part, const FullPicture& full) {
    IE_TRY(const vision::ClassMap map, part.segmenter.classes(full.picture));
    return classes_found(map, *part.spec, full);
  }

  [[nodiscard]] Result<std::vector<FoundMask>> subjects_of(const Part& part, const FullPicture& full,
                                                           const std::vector<vision::DetectedObject>& objects) const {
    std::vector<FoundMask> masks;
    const auto is_person = [&](const vision::DetectedObject& object) {
      return names_people(detector_->label(object.label));
    };
    if (is_gated_by_people(*part.spec) && std::ranges::none_of(objects, is_person)) return masks;
    const std::size_t labels[] = {0};
    IE_TRY(const vision::Matte matte, part.segmenter.segment(full.picture, labels));
    const std::string& label = part.spec->labels.front();
    for (const vision::MaskPart& one : subject_parts(matte)) {
      FoundMask found = part_found(one, matte, full);
      const auto* object = label == kSubjectName ? object_at(found.box, objects) : nullptr;
      found.name = object == nullptr ? label : detector_->label(object->label);
      found.is_subject = label == kSubjectName || names_people(label);
      masks.push_back(std::move(found));
    }
    return masks;
  }

  std::vector<Part> parts_;
  std::optional<vision::ObjectDetector> detector_;
};

struct SegmenterChoice {
  std::vector<const models::Spec*> specs;  // by name
  const models::Spec* detector = nullptr;
};

Result<SegmenterChoice> choose_segmenters(const InstalledModels& models) {
  SegmenterChoice choice;
  const std::string& wanted = models.config().analysis.ml_models.object_model;
  const Result<const models::Spec*> detector = models.find("objects", wanted == "none" ? "auto" : wanted);
  if (detector)
    choice.detector = *detector;
  else if (detector.error().code != ErrorCode::kNotFound)
    return fail(detector.error());
  std::map<std::string, const models::Spec*> best;  // by what it finds; "": classes
  for (const models::Spec* spec : models.all(kSegmentationTask)) {
    if (is_gated_by_people(*spec) && choice.detector == nullptr) continue;
    const models::Spec*& one = best[spec->labels.size() == 1 ? spec->labels.front() : ""];
    if (one == nullptr || spec->preference > one->preference) one = spec;
  }
  if (best.empty())
    return fail(ErrorCode::kNotFound,
                "no model is installed: image-engine models pull isnet --accept-licence (subjects), or, with a "
                "detector, image-engine models pull nanodet selfie (people)");
  for (const auto& [label, spec] : best) choice.specs.push_back(spec);
  std::ranges::sort(choice.specs, {}, &models::Spec::name);
  return choice;
}

store::StageKey segmentation_key(const SegmenterChoice& choice) {
  std::string names, params;
  const auto add = [&](const models::Spec& spec) {
    const store::StageKey key = model_key(kSegmentationStage, spec);
    params += fmt::format("{} {} {}\n", key.model, key.version, key.params);
  };
  for (const models::Spec* spec : choice.specs) {
    names += (names.empty() ? "" : "+") + spec->name;
    add(*spec);
  }
  if (choice.detector != nullptr) add(*choice.detector);
  return {kSegmentationStage, std::move(names), kSegmentationVersion, hash128(params).hex().substr(0, 16)};
}

Status load_segmenters(const InstalledModels& models, const SegmenterChoice& choice, PictureStage& stage) {
  std::optional<vision::ObjectDetector> detector;
  if (choice.detector != nullptr) {
    IE_TRY(infer::Chosen chosen, models.picture_session(*choice.detector));
    IE_TRY(detector, vision::ObjectDetector::create(*choice.detector, std::move(chosen.session)));
  }
  std::vector<SubjectFinder::Part> parts;
  for (const models::Spec* spec : choice.specs) {
    IE_TRY(infer::Chosen chosen, models.picture_session(*spec));
    note_session(chosen, stage);
    IE_TRY(vision::Segmenter segmenter, vision::Segmenter::create(*spec, std::move(chosen.session)));
    parts.push_back({spec, std::move(segmenter)});
  }
  const auto finder = std::make_shared<const SubjectFinder>(std::move(parts), std::move(detector));
  run_alone(stage, [finder](const StageInput& input) { return finder->find(input); });
  return {};
}

}  // namespace

Result<PictureStage> segmentation_stage(const std::shared_ptr<const InstalledModels>& models) {
  IE_TRY(const SegmenterChoice choice, choose_segmenters(*models));
  PictureStage stage;
  stage.key = segmentation_key(choice);
  std::vector<const models::Spec*> all = choice.specs;
  if (choice.detector != nullptr) all.push_back(choice.detector);
  for (const models::Spec* spec : all) {
    IE_TRY(const preprocess::Plan plan, vision::plan_of(*spec));
    stage.edge = std::max(stage.edge, preprocess::wanted_edge(plan));
  }
  stage.load = [models, choice](PictureStage& target) { return load_segmenters(*models, choice, target); };
  return stage;
}

}  // namespace image_engine::pipeline
