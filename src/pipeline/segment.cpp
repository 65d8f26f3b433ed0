#include "pipeline/segment.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/elapsed.h"
#include "core/text.h"
#include "models/registry.h"
#include "pipeline/person_check.h"
#include "vision/closed_form.h"
#include "vision/cut_out.h"

namespace image_engine::pipeline {
namespace {

constexpr char kSubject[] = "subject", kPerson[] = "person", kBackground[] = "background";
constexpr std::uint8_t kInside = 128;      // the least alpha of a pixel inside
constexpr float kLeastAlpha = 1.0F / 255;  // of a place that belongs to a part

std::optional<std::size_t> label_index(const models::Spec& spec, const std::string& label) {
  const auto found = std::ranges::find(spec.labels, label, ascii_lower);
  if (found == spec.labels.end()) return std::nullopt;
  return static_cast<std::size_t>(found - spec.labels.begin());
}

bool has_inside(const std::vector<std::uint8_t>& alpha) {
  return std::ranges::any_of(alpha, [](std::uint8_t value) { return value >= kInside; });
}

// Whether parts of it may be named by a detector.
bool is_nameless(const std::string& label) { return label == kSubject || label == kSelectionLabel; }

// Places from which more than a trace belongs to a part go to the nearest part, by steps over such places.
void grow(const vision::Matte& matte, std::vector<std::uint16_t>& owner) {
  std::vector<std::uint32_t> edge;
  for (std::uint32_t i = 0; i < owner.size(); ++i)
    if (owner[i] != 0) edge.push_back(i);
  for (std::size_t next = 0; next < edge.size(); ++next) {
    const std::uint32_t at = edge[next], x = at % matte.width, y = at / matte.width;
    const auto take = [&](bool exists, std::uint32_t to) {
      if (!exists || owner[to] != 0 || matte.alpha[to] < kLeastAlpha) return;
      owner[to] = owner[at];
      edge.push_back(to);
    };
    take(x > 0, at - 1), take(x + 1 < matte.width, at + 1);
    take(y > 0, at - matte.width), take(y + 1 < matte.height, at + matte.width);
  }
}

// The place of the matte that each column or row of the picture lies in.
std::vector<std::uint32_t> places_of(std::uint32_t pixels, std::uint32_t places) {
  std::vector<std::uint32_t> all(pixels);
  for (std::uint32_t i = 0; i < pixels; ++i) all[i] = static_cast<std::uint32_t>(std::uint64_t{i} * places / pixels);
  return all;
}

// Calls use(pixel, x, y, part) for each pixel that `wanted` accepts the alpha of.
template <typename Wanted, typename Use>
void each_pixel(const Segmented& segmented, const std::vector<std::uint16_t>& owner, Wanted wanted, Use use) {
  const auto columns = places_of(segmented.width, segmented.matte.width);
  const auto rows = places_of(segmented.height, segmented.matte.height);
  for (std::uint32_t y = 0; y < segmented.height; ++y)
    for (std::uint32_t x = 0; x < segmented.width; ++x) {
      const std::size_t pixel = std::size_t{y} * segmented.width + x;
      if (wanted(segmented.alpha[pixel]))
        use(pixel, x, y, owner[std::size_t{rows[y]} * segmented.matte.width + columns[x]]);
    }
}

// Of parts 1…count, in that order; those without a pixel inside are left out.
std::vector<Subject> measured(const Segmented& segmented, const std::vector<std::uint16_t>& owner, std::size_t count) {
  struct Extent {
    std::uint32_t left = ~0U, top = ~0U, right = 0, bottom = 0;
    std::uint64_t area = 0;
  };
  std::vector<Extent> extents(count + 1);
  each_pixel(
      segmented, owner, [](std::uint8_t alpha) { return alpha >= kInside; },
      [&](std::size_t, std::uint32_t x, std::uint32_t y, std::uint16_t part) {
        Extent& extent = extents[part];
        extent.left = std::min(extent.left, x), extent.right = std::max(extent.right, x + 1);
        extent.top = std::min(extent.top, y), extent.bottom = std::max(extent.bottom, y + 1);
        ++extent.area;
      });
  std::vector<Subject> subjects;
  for (std::size_t part = 1; part <= count; ++part) {
    const Extent& extent = extents[part];
    if (extent.area == 0) continue;
    const Box box{static_cast<float>(extent.left), static_cast<float>(extent.top),
                  static_cast<float>(extent.right - extent.left), static_cast<float>(extent.bottom - extent.top)};
    subjects.push_back({box, static_cast<double>(extent.area) / static_cast<double>(segmented.alpha.size()),
                        is_nameless(segmented.label) ? "" : segmented.label, 0, static_cast<std::uint16_t>(part)});
  }
  std::ranges::stable_sort(subjects, std::ranges::greater{}, &Subject::share);
  return subjects;
}

}  // namespace

Result<PictureSegmenter> PictureSegmenter::open(const Config& config, SegmentOptions options) {
  IE_TRY(InstalledModels models, InstalledModels::open(models::find_install_paths(config.models.folder), config));
  return PictureSegmenter(std::move(models), std::move(options));
}

tl::unexpected<Error> PictureSegmenter::no_model_for(const std::string& label) const {
  const Result<models::Registry> registry = models::Registry::load(models_.paths().shipped, models_.paths().added);
  if (!registry) return fail(registry.error());
  const models::Spec* best = nullptr;
  for (const models::Spec& spec : registry->specs())
    if (spec.task == kSegmentationTask && label_index(spec, label) && (!best || spec.preference > best->preference))
      best = &spec;
  if (best == nullptr)
    return fail(
        ErrorCode::kNotFound,
        fmt::format("no model that is known finds '{}' in a picture: image-engine models list shows those of the "
                    "task segmentation, and a model of your own can be added",
                    printable(label)));
  return fail(ErrorCode::kNotFound,
              fmt::format("no installed model finds '{}' in a picture: {}", label, models::install_command(*best)));
}

// The installed model with the highest preference that has the label, or the one that was asked for.
Result<const models::Spec*> PictureSegmenter::spec_for(const std::string& label) const {
  if (options_.model != "auto") {
    IE_TRY(const models::Spec* named, models_.find(kSegmentationTask, options_.model));
    if (label_index(*named, label)) return named;
    return fail(ErrorCode::kInvalidArgument, fmt::format("the model {} does not find '{}', but: {}", named->name,
                                                         printable(label), fmt::join(named->labels, ", ")));
  }
  const models::Spec* const best =
      models_.best(kSegmentationTask, [&](const models::Spec& spec) { return label_index(spec, label).has_value(); });
  if (best == nullptr) return no_model_for(label);
  return best;
}

Result<PictureSegmenter::Target> PictureSegmenter::find(const std::string& target) {
  const bool inverted = target == kBackground;
  Result<const models::Spec*> spec = spec_for(inverted ? kSubject : target);
  if (inverted && !spec)
    if (Result<const models::Spec*> people = spec_for(kPerson); people) spec = people;
  if (!spec) return fail(spec.error());
  const std::string label = inverted && !label_index(**spec, kSubject) ? kPerson : inverted ? kSubject : target;
  IE_TRY(Model* const model, load(**spec));
  return Target{model, {*label_index(**spec, label)}, inverted};
}

Result<PictureSegmenter::Model*> PictureSegmenter::load(const models::Spec& spec) {
  if (const auto found = loaded_.find(&spec); found != loaded_.end()) return &found->second;
  IE_TRY(infer::Chosen chosen, models_.picture_session(spec, static_cast<int>(models_.config().worker_count())));
  IE_TRY(vision::Segmenter segmenter, vision::Segmenter::create(spec, std::move(chosen.session)));
  return &loaded_.emplace(&spec, Model{&spec, chosen.precision, std::move(segmenter)}).first->second;
}

// The installed detector with the highest preference; null: none is installed.
Result<const vision::ObjectDetector*> PictureSegmenter::detector() {
  if (detector_) return &*detector_;
  const Result<const models::Spec*> spec = models_.find("objects", "auto");
  if (!spec && spec.error().code == ErrorCode::kNotFound) return nullptr;
  if (!spec) return fail(spec.error());
  IE_TRY(infer::Chosen chosen, models_.picture_session(**spec, static_cast<int>(models_.config().worker_count())));
  IE_TRY(detector_, vision::ObjectDetector::create(**spec, std::move(chosen.session)));
  return &*detector_;
}

tl::unexpected<Error> PictureSegmenter::nothing(const std::string& target) {
  of_the_picture_ = true;
  return fail(ErrorCode::kNotFound, fmt::format("there is no {} in this picture", printable(target)));
}

// Models of people see some where there are none.
Status PictureSegmenter::check_people(const ImageView& picture) {
  IE_TRY(const vision::ObjectDetector* const people, detector());
  if (people == nullptr)
    return fail(
        ErrorCode::kNotFound,
        "people are cut out only where a detector sees them, and none is installed: image-engine models pull nanodet");
  IE_TRY(const auto objects, people->detect(picture, picture.width, picture.height));
  if (std::ranges::any_of(objects, [&](const auto& object) { return names_people(people->label(object.label)); }))
    return {};
  return nothing(kPerson);
}

Status PictureSegmenter::refine(const ImageView& picture, Segmented& result) const {
  const auto start = std::chrono::steady_clock::now();
  if (options_.closed_form) {
    IE_TRY(result.matte, vision::closed_form_matte(picture, result.matte, options_.stop));
  }
  result.alpha = options_.refine
                     ? vision::refine_alpha(picture, result.matte, static_cast<int>(models_.config().worker_count()))
                     : vision::interpolate_alpha(picture, result.matte);
  result.refine_seconds = seconds_since(start);
  return {};
}

Result<Segmented> PictureSegmenter::segment(const ImageView& picture, const std::string& wanted,
                                            const ChangeMatte& change) {
  of_the_picture_ = false;
  const std::string target = ascii_lower(wanted);
  IE_TRY(const Target found, find(target));
  const models::Spec& spec = *found.model->spec;
  if (const auto gate = spec.head_options.find("gate"); gate != spec.head_options.end() && gate->second == kPerson)
    IE_CHECK(check_people(picture));
  Segmented result{picture.width, picture.height, {}, {}, target, spec.name, found.model->precision};
  const auto start = std::chrono::steady_clock::now();
  IE_TRY(result.matte, found.model->segmenter.segment(picture, found.labels));
  result.model_seconds = seconds_since(start);
  if (change) change(result.matte);
  IE_CHECK(refine(picture, result));
  if (!has_inside(result.alpha)) return nothing(spec.labels[found.labels.front()]);
  if (!found.inverted) return result;
  for (float& alpha : result.matte.alpha) alpha = 1 - alpha;
  for (std::uint8_t& alpha : result.alpha) alpha = 255 - alpha;
  if (!has_inside(result.alpha)) return nothing(kBackground);
  return result;
}

Result<Segmented> PictureSegmenter::select(const ImageView& picture, const vision::Prompts& prompts) {
  of_the_picture_ = false;
  IE_CHECK(vision::check_prompts(prompts, picture.width, picture.height));
  if (!prompt_model_) {
    IE_TRY(prompt_model_, PromptModel::load(models_, options_.model, prompts));
  }
  const std::string& label = prompts.phrase.empty() ? kSelectionLabel : prompts.phrase;
  Segmented result{picture.width, picture.height, {}, {}, label, prompt_model_->name(), prompt_model_->precision()};
  const auto start = std::chrono::steady_clock::now();
  IE_TRY(vision::Selection selection, prompt_model_->select(picture, prompts));
  result.model_seconds = seconds_since(start);
  result.matte = std::move(selection.matte), result.estimated_iou = selection.estimated_iou;
  IE_CHECK(refine(picture, result));
  if (has_inside(result.alpha)) return result;
  if (!prompts.phrase.empty()) return nothing(fmt::format("'{}'", prompts.phrase));
  of_the_picture_ = true;
  return fail(ErrorCode::kNotFound, fmt::format("the model {} finds nothing there", result.model));
}

Result<Subjects> PictureSegmenter::subjects(const ImageView& picture, const Segmented& segmented) {
  const vision::Matte& matte = segmented.matte;
  const std::vector<vision::MaskPart> parts = subject_parts(matte);
  Subjects subjects{{}, std::vector<std::uint16_t>(matte.alpha.size())};
  for (std::size_t i = 0; i < parts.size(); ++i)
    for (std::size_t pixel = 0; pixel < parts[i].mask.pixels.size(); ++pixel)
      if (parts[i].mask.pixels[pixel] != 0)
        subjects.owner[(parts[i].top + pixel / parts[i].mask.width) * matte.width + parts[i].left +
                       pixel % parts[i].mask.width] = static_cast<std::uint16_t>(i + 1);
  grow(matte, subjects.owner);
  subjects.list = measured(segmented, subjects.owner, parts.size());
  if (!is_nameless(segmented.label)) return subjects;
  IE_TRY(const vision::ObjectDetector* const names, detector());
  if (names == nullptr) return subjects;
  IE_TRY(const auto objects, names->detect(picture, picture.width, picture.height));
  for (Subject& subject : subjects.list)
    if (const vision::DetectedObject* object = object_at(subject.box, objects)) {
      subject.label = names->label(object->label);
      subject.confidence = object->confidence;
    }
  return subjects;
}

std::vector<std::uint8_t> alpha_of(const Segmented& segmented, const Subjects& subjects, const Subject& subject) {
  std::vector<std::uint8_t> alpha(segmented.alpha.size());
  each_pixel(
      segmented, subjects.owner, [](std::uint8_t value) { return value > 0; },
      [&](std::size_t pixel, std::uint32_t, std::uint32_t, std::uint16_t part) {
        if (part == subject.part) alpha[pixel] = segmented.alpha[pixel];
      });
  return alpha;
}

}  // namespace image_engine::pipeline
