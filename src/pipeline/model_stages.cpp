#include "pipeline/model_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "pipeline/action_stages.h"
#include "pipeline/segmentation_stage.h"
#include "vision/drawings.h"
#include "vision/objects.h"
#include "vision/text.h"
#include "vision/tiled_objects.h"

namespace image_engine::pipeline {
namespace {

using nlohmann::json;
using Models = std::shared_ptr<const InstalledModels>;

// Scenes less likely than this are in the record, but are not searched for.
constexpr double kLeastScene = 0.15;

constexpr std::string_view kCpuDevice = "cpu";  // as in infer::Placement

std::optional<FlatMap> drawing_for(const vision::ObjectDetector& detector, const StageInput& input) {
  if (detector.least_in_drawings() <= 0) return std::nullopt;
  if (!input.of_condensed_or_pixels([](const auto& picture) { return vision::is_flat_drawing(picture); }))
    return std::nullopt;
  return vision::flat_map(input.picture);
}

// Of a drawing's flat parts only those that the model is sure of.
void leave_out_drawn(const vision::ObjectDetector& detector, const FlatMap& drawing, preprocess::FullSize full,
                     std::vector<vision::DetectedObject>& objects) {
  const auto width = static_cast<float>(full.width), height = static_cast<float>(full.height);
  std::erase_if(objects, [&](const vision::DetectedObject& object) {
    const Box& box = object.box;
    return object.confidence < detector.least_in_drawings() &&
           vision::is_flat_at(drawing, {box.x / width, box.y / height, box.width / width, box.height / height});
  });
}

StageOutput objects_found(const vision::ObjectDetector& detector, std::vector<vision::DetectedObject> objects,
                          const std::optional<FlatMap>& drawing, preprocess::FullSize full) {
  if (drawing) leave_out_drawn(detector, *drawing, full, objects);
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
  store::CountFacts counts{store::TextField::kObjects, {}};
  for (auto& [name, found] : by_name) counts.things.push_back(std::move(found));
  return {json_text(json{{"objects", list}, {"object_count", objects.size()}}), {std::move(counts)}};
}

// A model's analyzer with its session, at the best precision for this machine.
template <typename Reader>
Result<std::shared_ptr<const Reader>> load_reader(const Models& models, const models::Spec& spec, PictureStage& stage,
                                                  InstalledModels::Rows rows = InstalledModels::Rows::kOne) {
  IE_TRY(infer::Chosen chosen, models->picture_session(spec, 0, rows));
  stage.batch = static_cast<std::size_t>(chosen.batch);
  note_session(chosen, stage);
  IE_TRY(Reader made, Reader::create(spec, std::move(chosen.session)));
  return std::make_shared<const Reader>(std::move(made));
}

// Calls `run` with the inputs that prepare() made, and puts them back afterwards.
template <typename Run>
auto run_inputs(std::span<StageWork* const> works, Run run) {
  std::vector<preprocess::Prepared> inputs;
  for (StageWork* work : works) inputs.push_back(std::move(std::get<preprocess::Prepared>(*work)));
  auto result = run(inputs);
  for (std::size_t i = 0; i < works.size(); ++i) *works[i] = std::move(inputs[i]);
  return result;
}

std::vector<StageWork*> all_of(std::span<StageWork> works) {
  std::vector<StageWork*> all;
  for (StageWork& work : works) all.push_back(&work);
  return all;
}

// Where the session takes pictures of one size, on GPUs.
void offer_gpu_input(const preprocess::Plan& plan, bool by_full_size, const infer::Session& session,
                     PictureStage& stage) {
  if (stage.device.starts_with("cuda:") && session.inputs().size() == 1 && plan.fit != preprocess::Fit::kShortEdge)
    stage.gpu_input = worker::GpuInput{plan, by_full_size ? 1U : 0U};
}

Status load_objects(const Models& models, const models::Spec& spec, PictureStage& stage) {
  IE_TRY(const auto detector, load_reader<vision::ObjectDetector>(models, spec, stage, InstalledModels::Rows::kMany));
  // Batches do not help on the CPU.
  if (!detector->takes_several() || detector->session().placement().device == kCpuDevice) stage.batch = 1;
  stage.prepare = [detector](const StageInput& input) -> Result<StageWork> {
    std::optional<FlatMap> drawing = drawing_for(*detector, input);
    if (!vision::needs_tiles(input.full_width, input.full_height) || !input.larger) {
      IE_TRY(preprocess::Prepared prepared, detector->prepare(input.picture, input.full_width, input.full_height));
      prepared.drawing = std::move(drawing);
      return prepared;
    }
    IE_TRY(const ImageView large, input.larger(tiled_edge(*detector, input.full_width, input.full_height)));
    IE_TRY(auto objects, detect_in_tiles(*detector, large, input.full_width, input.full_height));
    return objects_found(*detector, std::move(objects), drawing, {input.full_width, input.full_height});
  };
  stage.prepare_made = [detector](const StageInput& input, const preprocess::MadeInput& made) -> Result<StageWork> {
    IE_TRY(preprocess::Prepared prepared, detector->prepare(made, {input.full_width, input.full_height}));
    prepared.drawing = drawing_for(*detector, input);
    return prepared;
  };
  offer_gpu_input(detector->plan(), false, detector->session(), stage);
  stage.run = [detector](std::span<StageWork> works) -> Result<std::vector<StageOutput>> {
    std::vector<StageWork*> inputs;  // panoramas have their objects already
    for (StageWork& work : works)
      if (std::holds_alternative<preprocess::Prepared>(work)) inputs.push_back(&work);
    IE_TRY(auto all, run_inputs(inputs, [&](const auto& prepared) { return detector->detect(prepared); }));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const auto& prepared = std::get<preprocess::Prepared>(*inputs[i]);
      *inputs[i] = objects_found(*detector, std::move(all[i]), prepared.drawing, prepared.full);
    }
    std::vector<StageOutput> outputs;
    for (StageWork& work : works) outputs.push_back(std::move(std::get<StageOutput>(work)));
    return outputs;
  };
  return {};
}

Status load_embedding(const Models& models, const models::Spec& spec, PictureStage& stage) {
  IE_TRY(const auto embedder, load_reader<vision::ImageEmbedder>(models, spec, stage, InstalledModels::Rows::kMany));
  stage.prepare = [embedder](const StageInput& input) -> Result<StageWork> {
    return embedder->prepare(input.picture, {input.full_width, input.full_height});
  };
  stage.prepare_made = [embedder](const StageInput& input, const preprocess::MadeInput& made) -> Result<StageWork> {
    return embedder->prepare(made, {input.full_width, input.full_height});
  };
  offer_gpu_input(embedder->plan(), true, embedder->session(), stage);
  const std::string data = json_text(json{{"dimensions", stage.dimensions}});
  stage.run = [embedder, data, key = stage.key](std::span<StageWork> works) -> Result<std::vector<StageOutput>> {
    IE_TRY(std::vector<vision::Embedding> vectors,
           run_inputs(all_of(works), [&](const auto& inputs) { return embedder->embed(inputs); }));
    std::vector<StageOutput> outputs;
    for (vision::Embedding& vector : vectors) outputs.push_back({data, {store::VectorFact{key, std::move(vector)}}});
    return outputs;
  };
  return {};
}

Status load_scene(const Models& models, const models::Spec& spec, PictureStage& stage) {
  IE_TRY(const auto classifier, load_reader<vision::SceneClassifier>(models, spec, stage));
  run_alone(stage, [classifier](const StageInput& input) -> Result<StageOutput> {
    IE_TRY(const auto guesses, classifier->classify(input.picture, {input.full_width, input.full_height}));
    return scene_output(guesses);
  });
  return {};
}

StageOutput text_found(const std::vector<vision::TextLine>& lines) {
  store::TextFacts text;
  json list = json::array();
  for (const vision::TextLine& line : lines) {
    json polygon = json::array();
    for (const vision::Point& point : line.polygon) polygon.push_back({tenths(point.x), tenths(point.y)});
    list.push_back({{"text", line.text}, {"confidence", thousandths(line.confidence)}, {"polygon", polygon}});
    text.lines.push_back(line.text);
  }
  return {json_text(json{{"text", list}}), {std::move(text)}};
}

Status load_text(const Models& models, const models::Spec& spec, PictureStage& stage) {
  vision::TextSessions sessions;
  for (const auto& [part, session] : {std::pair("detect", &sessions.detect), std::pair("orient", &sessions.orient),
                                      std::pair("read", &sessions.read)}) {
    IE_TRY(const models::Spec one, models::part_of(spec, part));
    IE_TRY(infer::Chosen chosen, models->picture_session(one));
    note_session(chosen, stage);
    *session = std::move(chosen.session);
  }
  IE_TRY(vision::TextReader made, vision::TextReader::create(spec, std::move(sessions)));
  const auto reader = std::make_shared<const vision::TextReader>(std::move(made));
  run_alone(stage, [reader](const StageInput& input) -> Result<StageOutput> {
    if (!input.looked) {
      IE_TRY(const bool text, reader->may_have_text(input.picture, input.only_large_text, input.larger));
      if (!text) return text_found({});
    }
    IE_TRY(const ImageView large, input.larger(reader->wanted_edge()));
    IE_TRY(const auto lines, reader->read(large, input.full_width, input.full_height, input.larger));
    return text_found(lines);
  });
  stage.look = [reader](const StageInput& input) -> Result<std::optional<StageOutput>> {
    IE_TRY(const bool text, reader->may_have_text(input.picture, false, input.larger));
    return text ? std::nullopt : std::optional(text_found({}));
  };
  stage.slow_edge = reader->wanted_edge();
  return {};
}

using LoadStage = Status (*)(const Models&, const models::Spec&, PictureStage&);

// A stage's model: its task and the configuration's member that names it.
struct ModelRow {
  const char* stage;
  const char* task;
  std::string MlModelsConfig::*model;
  LoadStage load;
  bool plans_input;  // it gets the picture by its spec's plan; else the working picture, and requests a larger one
};
constexpr ModelRow kObjects{kObjectsStage, "objects", &MlModelsConfig::object_model, load_objects, true};
constexpr ModelRow kEmbedding{kEmbeddingStage, "embedding", &MlModelsConfig::embedding_model, load_embedding, true};
constexpr ModelRow kFeatures{kFeaturesStage, "features", &MlModelsConfig::feature_model, load_embedding, true};
constexpr ModelRow kScene{kSceneStage, "scene", &MlModelsConfig::scene_model, load_scene, true};
constexpr ModelRow kText{kTextStage, "text", &MlModelsConfig::text_model, load_text, false};

Result<PictureStage> stage_of(const Models& models, const ModelRow& row, const models::Spec& spec) {
  PictureStage stage;
  stage.key = model_key(row.stage, spec);
  stage.edge = kWorkingEdge;
  if (row.plans_input) {
    IE_TRY(const preprocess::Plan plan, vision::plan_of(spec));
    stage.edge = preprocess::wanted_edge(plan);
    stage.prepared_bytes = std::size_t{plan.width} * plan.height * 3 * element_size(plan.type);
  }
  stage.load = [models, &spec, load = row.load](PictureStage& target) { return load(models, spec, target); };
  return stage;
}

class Chooser {
 public:
  Chooser(Models models, ModelStages& result) : models_(std::move(models)), result_(result) {}

  void leave_out(const char* stage, const std::string& reason) {
    result_.notes.push_back(fmt::format("{}: left out: {}", stage, reason));
  }

  void add(const ModelRow& row, const models::Spec& spec) {
    Result<PictureStage> made = stage_of(models_, row, spec);
    if (!made) return leave_out(row.stage, made.error().message);
    result_.stages.push_back(std::move(*made));
  }

  // The installed model that is configured; null, with a note, when there is none.
  const models::Spec* wanted(const ModelRow& row) {
    const std::string& name = models_->config().analysis.ml_models.*row.model;
    if (name == "none") return nullptr;
    const Result<const models::Spec*> spec = models_->find(row.task, name);
    if (spec) return *spec;
    leave_out(row.stage, spec.error().message);
    return nullptr;
  }

  void choose(const ModelRow& row) {
    if (const models::Spec* spec = wanted(row)) add(row, *spec);
  }

  void add_segmentation() {
    Result<PictureStage> made = segmentation_stage(models_);
    if (!made) return leave_out(kSegmentationStage, made.error().message);
    result_.stages.push_back(std::move(*made));
  }

  // A stage whose vectors form a space.
  void embed_with(const ModelRow& row, const models::Spec& spec) {
    const Result<double> dimensions = models::number_option(spec, "dimensions", 0);
    if (!dimensions || *dimensions < 1 || *dimensions > 65536 || *dimensions != std::floor(*dimensions))
      return leave_out(row.stage, fmt::format("the model {} lacks the option `dimensions`", spec.name));
    if (!spec.server.empty()) {
      if (!models_->config().nvidia_build.enabled)
        leave_out(row.stage, fmt::format("{} runs on a server, where pictures are sent only with --nvidia", spec.name));
      result_.served = {model_key(row.stage, spec), static_cast<std::size_t>(*dimensions)};
      return;
    }
    const std::size_t before = result_.stages.size();
    add(row, spec);
    if (result_.stages.size() > before) result_.stages.back().dimensions = static_cast<std::size_t>(*dimensions);
  }

  void choose_embedding(const std::vector<store::Space>& spaces, bool upgrade) {
    const std::string& name = models_->config().analysis.ml_models.embedding_model;
    const bool has_active = !spaces.empty() && spaces.front().active;
    const models::Spec* active = has_active ? models_->find("embedding", spaces.front().key) : nullptr;
    if (name == "none") return;
    const models::Spec* asked = nullptr;
    if (active == nullptr || upgrade) asked = wanted(kEmbedding);
    if (!has_active && asked != nullptr) active = asked;
    if (active != nullptr) {
      result_.active = active;
      embed_with(kEmbedding, *active);
    }
    if (asked == nullptr || asked == active) return;
    if (!upgrade)
      return leave_out(
          kEmbeddingStage,
          fmt::format("the library's vectors are of {} {}, which is no longer installed in that version: pull it "
                      "again, or let `image-engine analyze PATH --upgrade embedding` embed with {}",
                      spaces.front().key.model, spaces.front().key.version, asked->name));
    result_.next = asked;
    embed_with(kEmbedding, *asked);
  }

 private:
  Models models_;
  ModelStages& result_;
};

}  // namespace

void note_session(const infer::Chosen& chosen, PictureStage& stage) {
  stage.device = chosen.session->placement().device;
  stage.precision = chosen.precision;
  stage.reason = chosen.reason;
  stage.runs_on = [session = chosen.session.get(), precision = chosen.precision] {
    const infer::Placement now = session->placement();
    return std::pair(now.device, now.precision.empty() ? precision : now.precision);
  };
}

bool names_scenes(const InstalledModels& models, const models::Spec* embedding) {
  if (embedding == nullptr || embedding->text.tokenizer.empty()) return false;
  const std::string& wanted = models.config().analysis.ml_models.scene_model;
  return wanted == "auto" || models::answers_to(*embedding, wanted);
}

StageOutput scene_output(const std::vector<vision::SceneGuess>& guesses) {
  store::ClassFacts scenes;
  json top = json::array();
  for (const vision::SceneGuess& guess : guesses) {
    const double confidence = thousandths(guess.confidence);
    top.push_back({{"label", guess.label}, {"confidence", confidence}});
    if (confidence >= kLeastScene) scenes.classes.push_back({guess.label, confidence, {}});
  }
  json data = {{"top", top}};
  if (!guesses.empty()) data.update(top.front());
  return {json_text(data), {std::move(scenes)}};
}

ModelStages model_stages(const std::shared_ptr<const InstalledModels>& models, const std::vector<store::Space>& spaces,
                         bool upgrade) {
  ModelStages result;
  Chooser chooser(models, result);
  chooser.choose(kObjects);
  chooser.choose_embedding(spaces, upgrade);
  if (const models::Spec* spec = chooser.wanted(kFeatures)) chooser.embed_with(kFeatures, *spec);
  if (!names_scenes(*models, result.active) && !names_scenes(*models, result.next)) chooser.choose(kScene);
  chooser.choose(kText);
  if (models->config().analysis.segmentation) chooser.add_segmentation();
  const auto embedding = std::ranges::find_if(result.stages, [&](const PictureStage& stage) {
    return result.active != nullptr && stage.key == model_key(kEmbeddingStage, *result.active);
  });
  choose_actions(models, result.active, embedding == result.stages.end() ? nullptr : &*embedding, result);
  return result;
}

}  // namespace image_engine::pipeline
