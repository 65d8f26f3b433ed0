#include "pipeline/installed_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>
#include <thread>

#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "infer/model_trial.h"
#include "infer/prebuilt.h"
#include "pipeline/kept_batch.h"
#include "pipeline/scene_model.h"
#include "pipeline/stages.h"
#include "preprocess/tokenizer.h"
#include "vision/actions.h"
#include "vision/objects.h"

namespace image_engine::pipeline {
namespace {

// Of what we do around the models of a stage, as part of its key: raise it when the same model's output changes.
struct OwnVersion {
  std::string_view stage, suffix;
};
constexpr OwnVersion kOwnVersions[] = {
    {kObjectsStage, ".2"},  // panoramas in tiles
    {kTextStage, ".3"},     // closer looks, spaces, boxes of large pictures
};

// A test picture to compare a model's precisions: smooth and fine detail of every brightness and hue.
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

// The inputs of one run with it. The spec is copied: the function may be called long after.
infer::MakeCanaries canary_of(const models::Spec& spec) {
  return [spec](const infer::Session&) -> Result<std::vector<Tensor>> {
    if (spec.task == kSceneChangesTask) return std::vector{scene_canary()};
    const Image gpu = test_card();
    if (spec.input.frames > 0) {
      IE_TRY(Tensor clip, vision::still_clip(spec, {gpu.width, gpu.height, gpu.pixels}));
      return std::vector{std::move(clip)};
    }
    IE_TRY(const preprocess::Plan plan, vision::plan_of(spec));
    IE_TRY(preprocess::Prepared prepared, preprocess::prepare(plan, {gpu.width, gpu.height, gpu.pixels}));
    return std::vector{std::move(prepared.tensor)};
  };
}

// The pipeline runs on several pictures at once; cores that it leaves idle are used inside one run.
int threads_in_a_run(const Config& config) {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency() / config.worker_count()));
}

}  // namespace

std::string inference_folder() { return join_path(cache_home(), "inference"); }

store::StageKey model_key(const char* stage, const models::Spec& spec) {
  const auto ours = std::ranges::find(kOwnVersions, std::string_view(stage), &OwnVersion::stage);
  return {stage, spec.name, spec.version,
          models::spec_params(spec) + std::string(ours == std::end(kOwnVersions) ? "" : ours->suffix)};
}

InstalledModels::InstalledModels(models::InstallPaths paths, Config config, models::Registry registry)
    : paths_(std::move(paths)),
      config_(std::move(config)),
      registry_(std::move(registry)),
      store_(paths_.root, paths_.packed),
      budget_(std::make_shared<MemoryBudget>(config_.memory_budget(false))) {}

Result<InstalledModels> InstalledModels::open(const models::InstallPaths& paths, const Config& config,
                                              const std::string& engine) {
  IE_TRY(models::Registry registry, models::Registry::load(paths.shipped, paths.added));
  registry.name_served(config.nvidia_build.embedding.model);
  InstalledModels models(paths, config, std::move(registry));
  if (engine.empty()) return models;
  if (const Status sound = infer::check_given_engine(engine, models.registry_.specs(), models.store_); sound)
    models.engine_ = engine;
  else
    log_warning("the engine {} is not used: {}", printable(engine), printable(sound.error().message));
  return models;
}

Result<const models::Spec*> InstalledModels::find(std::string_view task, const std::string& wanted) const {
  IE_TRY(const models::Choice choice, models::choose(registry_, store_, task, wanted));
  if (choice.spec != nullptr) return choice.spec;
  const std::string command = models::install_command(*choice.missing);
  if (wanted == "auto") return fail(ErrorCode::kNotFound, fmt::format("no model is installed: {}", command));
  const std::string& from = choice.missing->awaits.from;
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("the model {} is not installed{}: {}", choice.missing->name,
                  from.empty() ? "" : fmt::format(" (its file is yours to bring: {})", printable(from)), command));
}

const models::Spec* InstalledModels::find(std::string_view task, const store::StageKey& key) const {
  for (const models::Spec& spec : registry_.specs())
    if (spec.task == task && model_key(key.stage.c_str(), spec) == key &&
        (store_.presence(spec) == models::Presence::kInstalled || !spec.server.empty()))
      return &spec;
  return nullptr;
}

bool InstalledModels::has_task(std::string_view name, std::string_view task) const {
  const Result<const models::Spec*> spec = registry_.find(name);
  return spec && (*spec)->task == task;
}

std::vector<const models::Spec*> InstalledModels::all(std::string_view task) const {
  std::vector<const models::Spec*> installed;
  for (const models::Spec& spec : registry_.specs())
    if (spec.task == task && store_.presence(spec) == models::Presence::kInstalled) installed.push_back(&spec);
  return installed;
}

const models::Spec* InstalledModels::best(std::string_view task, const Fits& fits) const {
  const models::Spec* best = nullptr;
  for (const models::Spec* spec : all(task))
    if (fits(*spec) && (best == nullptr || spec->preference > best->preference)) best = spec;
  return best;
}

Result<infer::Chosen> InstalledModels::picture_session(const models::Spec& spec, int threads, Rows rows) const {
  return session_on(config_.inference.device, spec, threads, rows);
}

Result<infer::Chosen> InstalledModels::session_on(const std::string& device, const models::Spec& spec, int threads,
                                                  Rows rows) const {
  if (!spec.server.empty())
    return fail(ErrorCode::kUnsupported, fmt::format("the model {} runs on a server", spec.name));
  IE_CHECK(try_added(spec));
  infer::SessionOptions options;
  options.threads = threads > 0 ? threads : threads_in_a_run(config_);
  options.budget = budget_;
  options.rows_between_clearings = config_.processing.clear_cache_frequency * config_.analysis.ml_models.batch_size;
  const InferenceConfig& wanted = config_.inference;
  const bool asked = config_.origins.contains("analysis.ml_models.batch_size");
  const auto many = [&] { return asked ? config_.analysis.ml_models.batch_size : kept_batch(spec, store_, config_); };
  return infer::choose_device(spec, store_, options,
                              {device, wanted.precision, config_.analysis.ml_models.use_tensorrt, wanted.require_gpu,
                               config_.analysis.ml_models.tensorrt_precision},
                              canary_of(spec),
                              {inference_folder(), rows == Rows::kMany ? many() : 1, engine_, measures_later_});
}

Result<infer::Chosen> InstalledModels::cpu_session(const models::Spec& spec, const infer::MakeCanaries& canaries,
                                                   int threads, const std::string& precision) const {
  IE_CHECK(try_added(spec));
  infer::SessionOptions options;
  options.threads = threads;
  return infer::choose_precision(spec, store_, options, canaries, inference_folder(),
                                 precision.empty() ? config_.inference.precision : precision);
}

Result<infer::Chosen> InstalledModels::session_on_cpu(const models::Spec& spec) const {
  return cpu_session(spec, canary_of(spec), threads_in_a_run(config_), "auto");
}

// Models that come with the program are identified by their checksums.
Status InstalledModels::try_added(const models::Spec& spec) const {
  if (!spec.file.starts_with(join_path(paths_.added, ""))) return {};
  IE_TRY(const std::string runtime, infer::runtime_version());
  infer::ModelTrial trial;
  trial.key = runtime;
  trial.memory_folder = inference_folder();
  for (const models::FileSpec& file : spec.files) {
    trial.key += "|" + file.name + file.sha256;
    trial.bytes += file.bytes;
    if (lower_extension(file.name) == ".onnx") trial.files.push_back(join_path(store_.found_in(spec), file.name));
  }
  return infer::try_model(trial);
}

Result<infer::Compared> InstalledModels::compare(const models::Spec& spec, const std::string& calibrated) const {
  infer::SessionOptions options;
  options.threads = threads_in_a_run(config_);
  return infer::compare_calibrated(spec, store_, options, canary_of(spec), calibrated);
}

Result<vision::ImageEmbedder> InstalledModels::image_embedder(const models::Spec& spec, int threads) const {
  const InferenceConfig& wanted = config_.inference;
  const bool free = wanted.device == "auto" && !wanted.require_gpu;
  IE_TRY(infer::Chosen chosen, session_on(free ? "cpu" : wanted.device, spec, threads, Rows::kOne));
  return vision::ImageEmbedder::create(spec, std::move(chosen.session));
}

Result<vision::TextEmbedder> InstalledModels::text_embedder(const models::Spec& spec) const {
  if (spec.text.tokenizer.empty())
    return fail(ErrorCode::kNotFound, fmt::format("the model {} has no text encoder", spec.name));
  IE_CHECK(try_added(spec));
  const models::Spec tower = vision::text_tower(spec);
  infer::SessionOptions options;
  options.threads = static_cast<int>(config_.worker_count());
  const std::string folder = store_.found_in(spec);
  IE_TRY(auto tokenizer, preprocess::Tokenizer::create(spec.text.tokenizer, join_path(folder, spec.text.vocabulary)));
  const auto canaries = [&](const infer::Session& session) { return vision::text_canaries(spec, session, *tokenizer); };
  IE_TRY(infer::Chosen chosen, infer::choose_precision(tower, store_, options, canaries, inference_folder()));
  return vision::TextEmbedder::create(spec, std::move(chosen.session), std::move(tokenizer));
}

}  // namespace image_engine::pipeline
