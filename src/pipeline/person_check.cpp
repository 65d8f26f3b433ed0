#include "pipeline/person_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string>

#include "core/file.h"
#include "core/text.h"
#include "pipeline/cloud_picture.h"
#include "pipeline/stages.h"
#include "search/groups.h"
#include "vision/heads.h"
#include "vision/tiles.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {
namespace {

// In addition to the names of `people:`; "human …" are Open Images' parts of people.
constexpr std::array<std::string_view, 6> kAlsoPeople = {"face", "human", "child", "baby", "cyclist", "rider"};

constexpr float kShareOfThreshold = 0.5F;
constexpr std::uint32_t kTilesAcross = 2;    // along the shorter edge
constexpr std::uint32_t kMostInARow = 16;    // along the longer one: longer strips have longer tiles
constexpr std::uint32_t kDecodedAspect = 2;  // tiles of pictures up to 2:1 are as fine as the model's input

std::uint32_t tiles_along(std::uint32_t edge, std::uint32_t other) {
  const double aspect = std::max(1.0, static_cast<double>(edge) / other);
  return std::min(static_cast<std::uint32_t>(std::lround(kTilesAcross * aspect)), kMostInARow);
}

// At the limit of objects, a person may have been dropped.
bool may_show_people(const vision::ObjectDetector& detector, const std::vector<vision::DetectedObject>& objects) {
  return objects.size() >= vision::kMostObjects ||
         std::ranges::any_of(objects, [&](const auto& object) { return names_people(detector.label(object.label)); });
}

Result<bool> sees_in(const vision::ObjectDetector& detector, const ImageView& picture) {
  IE_TRY(const auto objects, detector.detect(picture, picture.width, picture.height));
  return may_show_people(detector, objects);
}

Result<bool> sees_in_parts(const vision::ObjectDetector& detector, const ImageView& picture) {
  IE_TRY(const bool in_whole, sees_in(detector, picture));
  if (in_whole) return true;
  for (const vision::Span& y : vision::spans(picture.height, tiles_along(picture.height, picture.width)))
    for (const vision::Span& x : vision::spans(picture.width, tiles_along(picture.width, picture.height))) {
      const Image tile = crop(picture, x.from, y.from, x.length, y.length);
      IE_TRY(const bool in_tile, sees_in(detector, {tile.width, tile.height, tile.pixels}));
      if (in_tile) return true;
    }
  return false;
}

// The longer edge of a picture whose tiles fill the detector's input.
std::uint32_t edge_of(const vision::ObjectDetector& detector) {
  const double across =
      preprocess::wanted_edge(detector.plan()) * (kTilesAcross - (kTilesAcross - 1) * vision::kTileOverlap);
  return static_cast<std::uint32_t>(std::ceil(across)) * kDecodedAspect;
}

}  // namespace

bool names_people(std::string_view object) {
  const std::string name = ascii_lower(object);
  const auto& people = search::people_names();
  return std::ranges::find(people, name) != people.end() || std::ranges::find(kAlsoPeople, name) != kAlsoPeople.end() ||
         name.starts_with("human ");
}

PersonCheck::PersonCheck(InstalledModels models) : models_(std::move(models)) {
  for (const models::Spec* spec : models_.all("objects"))
    if (std::ranges::any_of(spec->labels, names_people)) known_.emplace_back(model_key(kObjectsStage, *spec), spec);
}

Result<std::unique_ptr<PersonCheck>> PersonCheck::open(const models::InstallPaths& paths, const Config& config) {
  IE_TRY(InstalledModels models, InstalledModels::open(paths, config));
  return std::unique_ptr<PersonCheck>(new PersonCheck(std::move(models)));
}

const models::Spec* PersonCheck::find(const store::StageKey& key) const {
  const auto found = std::ranges::find(known_, key, [](const auto& entry) { return entry.first; });
  return found == known_.end() ? nullptr : found->second;
}

bool PersonCheck::could_find(const store::StageKey& key) const { return find(key) != nullptr; }

Result<PersonCheck::Detector> PersonCheck::load(const models::Spec& spec) const {
  models::Spec sharper = spec;
  IE_TRY(const vision::HeadKind* const head, vision::find_head(spec));
  IE_TRY(const vision::HeadOptions options, vision::read_options(spec, *head));
  sharper.head_options["threshold"] = fmt::format("{}", options.threshold * kShareOfThreshold);
  sharper.head_options["most"] = std::to_string(vision::kMostObjects);
  IE_TRY(infer::Chosen chosen, models_.picture_session(spec));
  IE_TRY(vision::ObjectDetector made, vision::ObjectDetector::create(sharper, std::move(chosen.session)));
  return std::make_shared<const vision::ObjectDetector>(std::move(made));
}

Result<PersonCheck::Detector> PersonCheck::detector(const models::Spec& spec) {
  const std::lock_guard lock(mutex_);
  const auto found = loaded_.find(&spec);
  return found != loaded_.end() ? found->second : loaded_.emplace(&spec, load(spec)).first->second;
}

Result<bool> PersonCheck::sees_people(worker::Pool& pool, const store::FileObservation& file,
                                      const store::StageKey& key, double at) {
  const models::Spec* const spec = find(key);
  if (spec == nullptr) return fail(ErrorCode::kNotFound, "the detector " + key.model + " is not installed any more");
  IE_TRY(const Detector detector, this->detector(*spec));
  IE_TRY(UniqueFd media, open_as_analysed(file));
  IE_TRY(const worker::DecodedFile decoded,
         worker::decode_file(pool, std::move(media),
                             {.max_edge = edge_of(*detector), .orientation = file.orientation, .at = at}));
  return sees_in_parts(*detector, decoded.pixels());
}

}  // namespace image_engine::pipeline
