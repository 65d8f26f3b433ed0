#include "pipeline/plugin_detectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>
#include <thread>

#include "core/text.h"
#include "models/install_paths.h"
#include "pipeline/person_check.h"
#include "vision/heads.h"
#include "vision/tiles.h"

namespace image_engine::pipeline {
namespace {

using plugins::FoundRegion;

constexpr char kFaces[] = "faces";  // the task
constexpr char kFace[] = "face", kPerson[] = "person", kTextThing[] = "text";
constexpr float kSensitiveShare = 0.5F;  // of a detector's usual threshold
// CenterFace at 960 pixels misses faces that fill the picture, which it finds at 224: of 59 faces in 27 pictures 58 at
// 960 alone, all with both.
constexpr std::uint32_t kCoarseFaces = 224;
// Pixels of a photo for one of the detector's input: faces of 24 pixels are found.
constexpr double kMostReducedFaces = 1, kMostReducedObjects = 2;
constexpr std::uint32_t kMostTextParts = 8;  // along an edge

// What detectors' authors call a thing; by the name that plugins ask for, in lower case with spaces.
struct NamedThing {
  std::string_view name;
  std::vector<std::string_view> labels;
};
const NamedThing kThings[] = {
    {"licence plate",
     {"licence plate", "license plate", "number plate", "registration plate", "vehicle registration plate",
      "licenceplate", "licenseplate", "numberplate", "plate", "lpd"}},
    {"screen",
     {"screen", "monitor", "display", "tv", "tvmonitor", "television", "computer monitor", "laptop", "cell phone",
      "mobile phone", "tablet computer"}},
};

std::string with_spaces(const std::string& label) {
  std::string lower = ascii_lower(label);
  std::ranges::replace_if(
      lower, [](char c) { return c == '_' || c == '-'; }, ' ');
  return lower;
}

// Of the detector's label, when a plugin asks for `what`.
bool is_asked_for(const std::string& label, const std::string& what) {
  if (what == kPerson) return names_people(label);
  const auto* const thing = std::ranges::find(kThings, ascii_lower(what), &NamedThing::name);
  if (thing == std::end(kThings)) return ascii_lower(label) == ascii_lower(what);
  return std::ranges::find(thing->labels, with_spaces(label)) != thing->labels.end();
}

bool knows(const models::Spec& spec, const std::string& what) {
  return std::ranges::any_of(spec.labels, [&](const std::string& label) { return is_asked_for(label, what); });
}

Result<models::Spec> sensitive(const models::Spec& spec) {
  models::Spec out = spec;
  IE_TRY(const vision::HeadKind* const head, vision::find_head(spec));
  IE_TRY(const vision::HeadOptions options, vision::read_options(spec, *head));
  out.head_options["threshold"] = fmt::format("{}", options.threshold * kSensitiveShare);
  out.head_options["most"] = std::to_string(vision::kMostObjects);
  return out;
}

// Of a model that finds text. Its boxes grow, and lines may become one.
Result<models::Spec> sensitive_to_text(const models::Spec& spec) {
  constexpr std::pair<const char*, double> kUsual[] = {{"threshold", 0.3}, {"box_threshold", 0.5}};  // TextReader's
  IE_TRY(const models::Spec detect, models::part_of(spec, "detect"));
  models::Spec out = spec;
  for (const auto& [name, usual] : kUsual) {
    IE_TRY(const double value, models::number_option(detect, name, usual));
    out.parts["detect"].options[name] = fmt::format("{}", value * double{kSensitiveShare});
  }
  return out;
}

// One photo is analyzed at a time, so a run of a model has all cores.
int all_cores() { return static_cast<int>(std::max(1U, std::thread::hardware_concurrency())); }

Result<vision::ObjectDetector> load_detector(const InstalledModels& models, const models::Spec& spec) {
  IE_TRY(infer::Chosen chosen, models.picture_session(spec, all_cores()));
  return vision::ObjectDetector::create(spec, std::move(chosen.session));
}

// The upright box around the corners.
FoundRegion around(const std::array<vision::Point, 4>& corners, std::uint32_t x, std::uint32_t y) {
  const auto [left, right] = std::ranges::minmax(corners, {}, &vision::Point::x);
  const auto [top, bottom] = std::ranges::minmax(corners, {}, &vision::Point::y);
  return {{left.x + static_cast<float>(x), top.y + static_cast<float>(y), right.x - left.x, bottom.y - top.y}, 1};
}

}  // namespace

Result<const InstalledModels*> PluginDetectors::models() {
  if (!models_) {
    IE_TRY(models_, InstalledModels::open(models::find_install_paths(config_.models.folder), config_));
  }
  return &*models_;
}

// The configured detector if it knows such things, else any installed one that does.
Result<const models::Spec*> PluginDetectors::spec_for(const std::string& what) {
  IE_TRY(const InstalledModels* const models, this->models());
  if (what == kFace) return models->find(kFaces, "auto");
  const auto configured = models->find("objects", config_.analysis.ml_models.object_model);
  if (!configured && configured.error().code != ErrorCode::kNotFound) return fail(configured.error());
  if (configured && knows(**configured, what)) return *configured;
  for (const models::Spec* spec : models->all("objects"))
    if (knows(*spec, what)) return spec;
  return fail(ErrorCode::kNotFound,
              fmt::format("no installed detector finds '{}': add one that does, image-engine models add FILE.onnx "
                          "--spec FILE.yaml, with such a name among its labels",
                          printable(what)));
}

Result<const vision::ThoroughDetector*> PluginDetectors::detector(const models::Spec& spec) {
  if (spec.task == kFaces)
    return face_detector(spec, {spec.input.width, spec.input.height, kCoarseFaces, kCoarseFaces});
  std::unique_ptr<vision::ThoroughDetector>& kept = detectors_[spec.name];
  if (kept) return kept.get();
  IE_TRY(const models::Spec fine, sensitive(spec));
  IE_TRY(vision::ObjectDetector made, load_detector(*models_, fine));
  kept = std::make_unique<vision::ThoroughDetector>(std::move(made), std::nullopt, kMostReducedObjects);
  return kept.get();
}

Result<const vision::ThoroughDetector*> PluginDetectors::face_detector(const models::Spec& spec, const Edges& edges) {
  std::unique_ptr<vision::ThoroughDetector>& kept =
      detectors_[fmt::format("{} {} {}", spec.name, edges.width, edges.height)];
  if (kept) return kept.get();
  IE_TRY(models::Spec scaled, sensitive(spec));
  scaled.input.width = edges.width, scaled.input.height = edges.height;
  IE_TRY(vision::ObjectDetector fine, load_detector(*models_, scaled));
  scaled.input.width = edges.coarse_width, scaled.input.height = edges.coarse_height;
  IE_TRY(vision::ObjectDetector coarse, load_detector(*models_, scaled));
  kept = std::make_unique<vision::ThoroughDetector>(std::move(fine), std::move(coarse), kMostReducedFaces);
  return kept.get();
}

// Whole strides of the model; small frames are enlarged, as photos are.
PluginDetectors::Edges PluginDetectors::edges_for_frame(const ImageView& picture) {
  constexpr double kLeastLonger = 960, kMostLonger = 1920, kCoarser = 4;
  const double longer = std::max(picture.width, picture.height);
  const double scale = std::clamp(longer, kLeastLonger, kMostLonger) / longer;
  const auto strides = [](double length) { return static_cast<std::uint32_t>(std::ceil(length / 32)) * 32; };
  return {strides(picture.width * scale), strides(picture.height * scale), strides(picture.width * scale / kCoarser),
          strides(picture.height * scale / kCoarser)};
}

Result<const vision::TextReader*> PluginDetectors::text_reader() {
  if (text_) return text_.get();
  IE_TRY(const InstalledModels* const models, this->models());
  IE_TRY(const models::Spec* const usual, models->find("text", config_.analysis.ml_models.text_model));
  IE_TRY(const models::Spec spec, sensitive_to_text(*usual));
  vision::TextSessions sessions;
  for (const auto& [part, session] : {std::pair("detect", &sessions.detect), std::pair("orient", &sessions.orient),
                                      std::pair("read", &sessions.read)}) {
    IE_TRY(const models::Spec one, models::part_of(spec, part));
    IE_TRY(infer::Chosen chosen, models->picture_session(one, all_cores()));
    *session = std::move(chosen.session);
  }
  IE_TRY(vision::TextReader made, vision::TextReader::create(spec, std::move(sessions)));
  text_ = std::make_unique<vision::TextReader>(std::move(made));
  return text_.get();
}

// In parts that the detector takes at their own size, and in the whole picture, for text that is larger than a part.
Result<std::vector<FoundRegion>> PluginDetectors::find_text(const ImageView& picture) {
  IE_TRY(const vision::TextReader* const reader, text_reader());
  std::vector<FoundRegion> found;
  const auto look = [&](const ImageView& part, std::uint32_t x, std::uint32_t y) -> Status {
    if (stop_.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted");
    IE_TRY(const auto boxes, reader->find(part));
    for (const auto& corners : boxes) found.push_back(around(corners, x, y));
    return {};
  };
  IE_CHECK(look(picture, 0, 0));
  const std::uint32_t longest = reader->wanted_edge();
  const std::uint32_t across = vision::spans_needed(picture.width, longest, kMostTextParts);
  const std::uint32_t down = vision::spans_needed(picture.height, longest, kMostTextParts);
  if (across * down == 1) return found;
  for (const vision::Span& y : vision::spans(picture.height, down))
    for (const vision::Span& x : vision::spans(picture.width, across)) {
      const Image part = crop(picture, x.from, y.from, x.length, y.length);
      IE_CHECK(look({part.width, part.height, part.pixels}, x.from, y.from));
    }
  return found;
}

Result<std::vector<FoundRegion>> PluginDetectors::found_by(const vision::ThoroughDetector& detector,
                                                           const ImageView& picture, const std::string& what) const {
  IE_TRY(const auto objects, detector.detect(picture, [this] { return !stop_.stop_requested(); }));
  std::vector<FoundRegion> found;
  for (const vision::DetectedObject& object : objects)
    if (is_asked_for(detector.label(object.label), what)) found.push_back({object.box, object.confidence});
  return found;
}

Result<std::vector<FoundRegion>> PluginDetectors::find(const ImageView& picture, const std::string& what) {
  if (what == kTextThing) return find_text(picture);
  IE_TRY(const models::Spec* const spec, spec_for(what));
  IE_TRY(const vision::ThoroughDetector* const detector, this->detector(*spec));
  return found_by(*detector, picture, what);
}

Result<std::vector<FoundRegion>> PluginDetectors::find_in_frame(const ImageView& picture, const std::string& what) {
  if (what != kFace) return find(picture, what);
  IE_TRY(const models::Spec* const spec, spec_for(what));
  IE_TRY(const vision::ThoroughDetector* const detector, face_detector(*spec, edges_for_frame(picture)));
  return found_by(*detector, picture, what);
}

}  // namespace image_engine::pipeline
