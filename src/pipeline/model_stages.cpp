#include "pipeline/model_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/file.h"
#include "infer/choose.h"
#include "models/catalogue.h"
#include "models/store.h"
#include "vision/objects.h"

namespace image_engine::pipeline {
namespace {

using nlohmann::json;

// A tenth of a pixel and a thousandth of confidence are more than any detector knows.
double tenths(float value) { return std::round(double{value} * 10) / 10; }
double thousandths(float value) { return std::round(double{value} * 1000) / 1000; }

Finding objects_found(const vision::ObjectDetector& detector, const std::vector<vision::DetectedObject>& objects) {
  json list = json::array();
  std::map<std::string, store::FoundObjects> by_name;
  for (const vision::DetectedObject& object : objects) {
    const std::string& name = detector.label(object.label);
    list.push_back(
        {{"object", name},
         {"confidence", thousandths(object.confidence)},
         {"bbox", {tenths(object.box.x), tenths(object.box.y), tenths(object.box.width), tenths(object.box.height)}}});
    store::FoundObjects& found = by_name[name];
    found.name = name;
    ++found.count;
    found.confidence = std::max(found.confidence, thousandths(object.confidence));
  }
  Finding finding{json{{"objects", list}, {"object_count", objects.size()}}.dump(), std::vector<store::FoundObjects>()};
  for (auto& [name, found] : by_name) finding.objects->push_back(std::move(found));
  return finding;
}

// Smooth and fine detail of every brightness and hue: what the precisions of a model are compared on.
Image test_card() {
  constexpr std::uint32_t kEdge = 640;
  Image image{kEdge, kEdge, std::vector<std::uint8_t>(size_t{kEdge} * kEdge * 3)};
  for (std::uint32_t y = 0; y < kEdge; ++y)
    for (std::uint32_t x = 0; x < kEdge; ++x)
      for (std::uint32_t c = 0; c < 3; ++c) {
        const double wave = std::sin(x * (c + 1) / 23.0) * std::cos(y * (3 - c) / 31.0);
        const double grain = ((x * 7919U + y * 104729U + c * 31U) % 97U) / 97.0;
        image.pixels[(size_t{y} * kEdge + x) * 3 + c] =
            static_cast<std::uint8_t>(127.5 + 100 * wave + 27 * (grain - 0.5));
      }
  return image;
}

// The pipeline looks at several pictures at once; cores that it leaves idle work inside one.
int threads_of_a_run(const Config& config) {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency() / config.worker_count()));
}

Result<infer::Chosen> load_session(const models::Spec& spec, const models::Store& store, const Config& config) {
  IE_TRY(const preprocess::Plan plan, vision::plan_of(spec));
  const Image card = test_card();
  IE_TRY(preprocess::Prepared canary, preprocess::prepare(plan, {card.width, card.height, card.pixels}));
  infer::SessionOptions options;
  options.threads = threads_of_a_run(config);
  return infer::choose_precision(spec, store, options, {&canary.tensor, 1}, join_path(cache_home(), "inference"));
}

Status load_objects(const models::Spec& spec, const models::Store& store, const Config& config, PictureStage& stage) {
  IE_TRY(infer::Chosen chosen, load_session(spec, store, config));
  stage.device = chosen.session->placement().device;
  stage.precision = chosen.precision;
  IE_TRY(vision::ObjectDetector made, vision::ObjectDetector::create(spec, std::move(chosen.session)));
  const auto detector = std::make_shared<const vision::ObjectDetector>(std::move(made));
  stage.look = [detector](const Sight& sight) -> Result<Finding> {
    IE_TRY(const auto objects, detector->detect(sight.picture, sight.full_width, sight.full_height));
    return objects_found(*detector, objects);
  };
  return {};
}

struct TaskStage {
  const char* stage;
  const char* task;                     // of the model catalogue
  std::string MlModelsConfig::*wanted;  // the model that the configuration names
  Status (*load)(const models::Spec&, const models::Store&, const Config&, PictureStage&);
};
constexpr TaskStage kTaskStages[] = {
    {kObjectsStage, "objects", &MlModelsConfig::object_model, load_objects},
};

Result<PictureStage> stage_of(const TaskStage& task, const models::Spec& spec, const models::Store& store,
                              const Config& config) {
  PictureStage stage;
  stage.key = {task.stage, spec.name, spec.version, models::spec_params(spec)};
  IE_TRY(const preprocess::Plan plan, vision::plan_of(spec));
  stage.edge = preprocess::wanted_edge(plan);
  stage.load = [load = task.load, spec, store, config](PictureStage& target) {
    return load(spec, store, config, target);
  };
  return stage;
}

}  // namespace

ModelStages model_stages(const models::Places& places, const Config& config) {
  ModelStages result;
  const auto leave_out = [&](const char* stage, const std::string& reason) {
    result.notes.push_back(fmt::format("{}: left out: {}", stage, reason));
  };
  const Result<models::Catalogue> catalogue = models::Catalogue::load(places.shipped, places.added);
  const models::Store store(places.root, places.packed);
  for (const TaskStage& task : kTaskStages) {
    const std::string& wanted = config.analysis.ml_models.*task.wanted;
    if (wanted == "none") continue;
    if (!catalogue) {
      leave_out(task.stage, catalogue.error().message);
      continue;
    }
    const Result<models::Choice> choice = models::choose(*catalogue, store, task.task, wanted);
    if (!choice) {
      leave_out(task.stage, choice.error().message);
    } else if (choice->spec == nullptr) {
      leave_out(task.stage,
                choice->missing == nullptr
                    ? "no model is known for it"
                    : fmt::format("no model is installed: image-engine models pull {}", choice->missing->name));
    } else if (auto stage = stage_of(task, *choice->spec, store, config); !stage) {
      leave_out(task.stage, stage.error().message);
    } else {
      result.stages.push_back(std::move(*stage));
    }
  }
  return result;
}

}  // namespace image_engine::pipeline
