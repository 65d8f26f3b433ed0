#include "benchmark/models.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "benchmark/net.h"
#include "benchmark/peers.h"
#include "benchmark/pictures.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/progress.h"
#include "core/text.h"
#include "gpu/cuda.h"
#include "infer/canaries.h"
#include "infer/provider.h"
#include "models/provenance.h"
#include "models/registry.h"
#include "models/store.h"
#include "pipeline/installed_models.h"
#include "pipeline/measured_rates.h"
#include "pipeline/model_stages.h"
#include "vision/graph_checks.h"

namespace image_engine::benchmark {
namespace {

using Clock = std::chrono::steady_clock;
using models::Spec;
using pipeline::InstalledModels;

constexpr int kModelRounds = 3;

// In this program. All others are compared with the first.
struct WayHere {
  std::string_view backend, device, precision;
};
constexpr WayHere kWays[] = {
    {"image-engine-cpu", "cpu", "fp32"},           {"image-engine-cpu", "cpu", "int8"},
    {"image-engine-cuda", "cuda", "fp32"},         {"image-engine-cuda", "cuda", "fp16"},
    {"image-engine-tensorrt", "tensorrt", "fp16"}, {"image-engine-tensorrt", "tensorrt", "int8"}};

// Any one of these must be usable.
struct ProviderRow {
  std::string_view backend;
  infer::Provider provider;
};
constexpr ProviderRow kProviderRows[] = {{"image-engine-cpu", infer::Provider::kCpu},
                                         {"image-engine-cuda", infer::Provider::kCuda},
                                         {"image-engine-tensorrt", infer::Provider::kTensorRt},
                                         {"image-engine-tensorrt", infer::Provider::kTensorRtRtx}};

// Combinations that are measured as a whole if their models are installed.
constexpr std::string_view kAnalyzers[] = {"clip-vit-b-32+detr-resnet-50", "clip-vit-b-32+dfine-s",
                                           "clip-vit-b-32+yolov8n"};

// One model, or several that analyze each picture one after the other.
struct Subject {
  std::string name;
  std::vector<const Spec*> specs;
};

class ModelsBench {
 public:
  ModelsBench(const ModelsBenchmark& options, models::Registry registry)
      : options_(options), registry_(std::move(registry)), store_(options.paths.root, options.paths.packed) {}

  Result<ModelsReport> run() {
    IE_CHECK(choose_subjects());
    IE_CHECK(load_pictures());
    IE_CHECK(measure_preparation());
    choose_ways();
    progress_.emplace("Benchmark", steps(), options_.progress);
    progress_->append_text([this] { return doing_; });
    if (options_.compare) {
      IE_CHECK(measure_group({subjects_.data(), 2}));
    } else {
      for (const Subject& subject : subjects_) IE_CHECK(measure_group({&subject, 1}));
    }
    for (const Subject& subject : subjects_) IE_CHECK(measure_peers(subject));
    if (options_.compare) IE_CHECK(compare());
    report_.complete = true;
    IE_CHECK(options_.keep(report_));
    return std::move(report_);
  }

 private:
  struct Runner {
    const Subject* subject = nullptr;
    WayHere way;
    ModelRow row;
    std::vector<BenchmarkNet> nets;
    std::vector<double> seconds;
  };

  static Error interruption() { return {ErrorCode::kInterrupted, "interrupted"}; }

  bool is_installed(const Spec& spec) const { return store_.presence(spec) == models::Presence::kInstalled; }

  Result<Subject> subject_of(std::string_view names) const {
    Subject subject{std::string(names), {}};
    for (std::size_t begin = 0; begin <= names.size();) {
      const std::size_t end = std::min(names.find('+', begin), names.size());
      IE_TRY(const Spec* const spec, measurable(registry_, store_, names.substr(begin, end - begin)));
      subject.specs.push_back(spec);
      begin = end + 1;
    }
    return subject;
  }

  // The models that analyze would use for a picture; empty when that is one or none.
  Result<std::string> analyzer_here() const {
    IE_TRY(const InstalledModels models, InstalledModels::open(options_.paths, options_.config));
    const MlModelsConfig& wanted = options_.config.analysis.ml_models;
    std::vector<std::string> names;
    const auto add = [&](std::string_view task, const std::string& name) -> const Spec* {
      const auto found = name == "none" ? Result<const Spec*>(nullptr) : models.find(task, name);
      if (!found || *found == nullptr) return nullptr;
      names.push_back((*found)->name);
      return *found;
    };
    const Spec* const embedding = add("embedding", wanted.embedding_model);
    if (!pipeline::names_scenes(models, embedding)) add("scene", wanted.scene_model);
    add("objects", wanted.object_model);
    return names.size() > 1 ? fmt::format("{}", fmt::join(names, "+")) : std::string();
  }

  Status choose_subjects() {
    for (const std::string& name : options_.models) {
      IE_TRY(Subject subject, subject_of(name));
      subjects_.push_back(std::move(subject));
    }
    if (!subjects_.empty()) return {};
    for (const Spec& spec : registry_.specs())
      if (takes_pictures(spec) && is_installed(spec)) subjects_.push_back({spec.name, {&spec}});
    if (subjects_.empty())
      return fail(ErrorCode::kNotFound, "no model that analyzes pictures is installed: image-engine models pull");
    IE_TRY(const std::string here, analyzer_here());
    std::vector<std::string> analyzers(std::begin(kAnalyzers), std::end(kAnalyzers));
    if (std::ranges::find(analyzers, here) == analyzers.end() && !here.empty()) analyzers.push_back(here);
    for (const std::string& name : analyzers)
      if (auto subject = subject_of(name)) subjects_.push_back(std::move(*subject));
    return {};
  }

  Status load_pictures() {
    SampleRequest request{options_.images, options_.limit, 0, options_.progress, options_.stop};
    for (const Subject& subject : subjects_)
      for (const Spec* spec : subject.specs) {
        IE_TRY(const preprocess::Plan plan, vision::plan_of(*spec));
        request.edge = std::max(request.edge, preprocess::wanted_edge(plan));
      }
    IE_TRY(samples_, load_samples(request, options_.config));
    report_.machine = this_machine();
    report_.folder = samples_.folder;
    report_.images = samples_.pictures.size();
    report_.unreadable = samples_.unreadable;
    report_.decode_ms = samples_.decode_ms;
    return {};
  }

  NetRequest request_for(const WayHere& way) const {
    return {options_.paths, options_.config, std::string(way.device), std::string(way.precision), options_.batch};
  }

  Status measure_preparation() {
    for (const Subject& subject : subjects_)
      for (const Spec* spec : subject.specs) {
        if (std::ranges::find(report_.preparation, spec->name, &Preparation::model) != report_.preparation.end())
          continue;
        IE_TRY(const double milliseconds, preprocess_ms(*spec, samples_));
        report_.preparation.push_back({spec->name, milliseconds});
        if (options_.stop.stop_requested()) return fail(interruption());
      }
    return {};
  }

  // All of them, or those that the user asked for and the one to compare with.
  void choose_ways() {
    const InferenceConfig& wanted = options_.config.inference;
    const std::string_view kind = std::string_view(wanted.device).substr(0, wanted.device.find(':'));
    for (const WayHere& way : kWays) {
      const bool device = kind == "auto" || kind == way.device;
      const bool precision = wanted.precision == "auto" || wanted.precision == way.precision;
      if (&way == std::begin(kWays) || (device && precision))
        ways_.push_back(
            {way.backend, kind == way.device ? std::string_view(wanted.device) : way.device, way.precision});
    }
  }

  // Why the machine cannot; empty if it can.
  std::string why_not(const WayHere& way) {
    const auto known = why_not_.find(way.backend);
    if (known != why_not_.end()) return known->second;
    std::vector<std::string> reasons;
    bool usable = false;
    for (const ProviderRow& row : kProviderRows) {
      if (row.backend != way.backend) continue;
      const Status checked = infer::check_provider(row.provider);
      if (checked)
        usable = true;
      else
        reasons.push_back(fmt::format("{}: {}", infer::provider_name(row.provider), checked.error().message));
    }
    return why_not_[way.backend] = usable ? "" : fmt::format("{}", fmt::join(reasons, "; "));
  }

  // Why the subject cannot be run that way; empty: it may be tried.
  std::string why_not(const Subject& subject, const WayHere& way) {
    if (std::string reason = why_not(way); !reason.empty()) return reason;
    const auto has_precision = [&](const Spec* spec) {
      return std::ranges::find(spec->variants, way.precision, &models::Variant::precision) != spec->variants.end();
    };
    return way.device == "cpu" && !std::ranges::all_of(subject.specs, has_precision)
               ? fmt::format("there is no {} of it for the CPU", way.precision)
               : "";
  }

  [[nodiscard]] std::uint64_t steps() {
    std::size_t passes = 0;
    for (const Subject& subject : subjects_) {
      for (const WayHere& way : ways_) passes += why_not(subject, way).empty() ? kModelRounds + 1 : 0;
      if (!options_.peers.empty() && subject.specs.size() == 1) passes += peer_ways().size();
    }
    return passes * report_.images;
  }

  // `python`: what runs a peer.
  ModelRow row_of(const Subject& subject, std::string_view backend, std::string_view precision,
                  const std::string& python = {}) const {
    ModelRow row;
    row.model = subject.name;
    row.backend = backend;
    row.precision = precision;
    row.batch = options_.batch;
    row.images = report_.images;
    const Machine& machine = report_.machine;
    std::string text =
        fmt::format("{}\n{} {}\n{}\n{}\n{} {} {} {}\n{}", IE_VERSION, backend, python, precision, options_.batch,
                    machine.cpu, machine.cores, machine.runtime, fmt::join(machine.gpus, " "), samples_hash(samples_));
    for (const Spec* spec : subject.specs) {
      text += "\n" + models::spec_params(*spec);
      if (const auto installed = models::read_provenance(store_.found_in(*spec)))
        for (const models::InstalledFile& file : installed->files)
          text += fmt::format("\n{} {}", file.name, file.sha256);
    }
    row.key = hash128(text).hex();
    return row;
  }

  // Whether an earlier run measured it: then the row is its.
  bool is_known(ModelRow& row) const {
    const auto known = std::ranges::find_if(
        options_.known, [&](const ModelRow& other) { return other.key == row.key && other.measured(); });
    if (known == options_.known.end()) return false;
    ModelRow found = *known;
    found.model = row.model;  // the file may contain anything
    found.backend = row.backend;
    found.precision = row.precision;
    row = std::move(found);
    return true;
  }

  // The model's answers in fp32 on the CPU.
  Result<const std::vector<Answer>*> right_answers(const Spec& spec) {
    if (const auto known = right_.find(spec.name); known != right_.end()) return &known->second;
    IE_TRY(const BenchmarkNet net, BenchmarkNet::load(spec, request_for(kWays[0])));
    IE_TRY(auto answers, net.answers(samples_, [&](std::size_t) { return !options_.stop.stop_requested(); }));
    return &(right_[spec.name] = std::move(answers));
  }

  Status load(Runner& runner) {
    // The first run on a GPU searches its best settings.
    std::optional<int> gpu;
    if (runner.way.device != "cpu")
      for (const Spec* spec : runner.subject->specs) {
        IE_TRY(const BenchmarkNet net, BenchmarkNet::load(*spec, request_for(runner.way)));
        gpu = net.gpu();
      }
    const double before = free_memory(gpu);
    const Clock::time_point start = Clock::now();
    std::vector<std::string> reasons;
    std::int64_t batch = 0;
    for (const Spec* spec : runner.subject->specs) {
      IE_TRY(BenchmarkNet net, BenchmarkNet::load(*spec, request_for(runner.way)));
      IE_CHECK(net.example(samples_));
      batch = std::max(batch, net.batch());
      if (gpu) reasons.push_back(net.reason());
      runner.nets.push_back(std::move(net));
    }
    runner.row.batch = batch;
    runner.row.warmup = std::chrono::duration<double>(Clock::now() - start).count();
    runner.row.note = fmt::format("{}", fmt::join(reasons, "; "));
    runner.row.gpu_memory_mb = std::max(0.0, before - free_memory(gpu)) / kMegabyte;
    return {};
  }

  Status pass(Runner& runner) {
    doing_ = fmt::format("{} {} {}", runner.row.model, runner.row.backend, runner.row.precision);
    double seconds = 0;
    for (const BenchmarkNet& net : runner.nets) {
      const bool last = &net == &runner.nets.back();
      IE_TRY(const double one, net.pass(samples_, [&](std::size_t pictures) {
        if (last) progress_->add(pictures);
        return !options_.stop.stop_requested();
      }));
      seconds += one;
    }
    runner.seconds.push_back(seconds);
    return {};
  }

  Status find_deviation(Runner& runner) {
    double worst = 0;
    const bool right_itself = runner.way.backend == kWays[0].backend && runner.way.precision == kWays[0].precision;
    if (!right_itself)
      for (const BenchmarkNet& net : runner.nets) {
        IE_TRY(const std::vector<Answer>* const right, right_answers(net.spec()));
        IE_TRY(const auto answers, net.answers(samples_, [&](std::size_t) { return !options_.stop.stop_requested(); }));
        worst = std::max(worst, deviation_of(*right, answers));
      }
    progress_->add(report_.images);
    runner.row.deviation = worst;
    return {};
  }

  // A failure becomes a row with the reason; only an interruption ends the run.
  Status note(Runner& runner, const Error& error) {
    if (error.code == ErrorCode::kInterrupted) return fail(error);
    runner.row.note = to_utf8(error.message);
    runner.nets.clear();
    runner.seconds.clear();
    runner.row.warmup = 0;
    runner.row.gpu_memory_mb.reset();
    runner.row.deviation.reset();
    return {};
  }

  void summarise(Runner& runner) {
    std::vector<double>& seconds = runner.seconds;
    if (seconds.empty()) return;
    std::ranges::sort(seconds);
    runner.row.rounds = static_cast<int>(seconds.size());
    runner.row.total = infer::median(seconds);
    runner.row.spread = (seconds.back() - seconds.front()) / runner.row.total;
  }

  Status measure_group(std::span<const Subject> subjects) {
    std::vector<Runner> runners;
    for (const Subject& subject : subjects)
      for (const WayHere& way : ways_) {
        Runner runner{&subject, way, row_of(subject, way.backend, way.precision), {}, {}};
        if (options_.stop.stop_requested()) return fail(interruption());
        if (runner.row.note = why_not(subject, way); !runner.row.note.empty()) {
          runners.push_back(std::move(runner));
          continue;
        }
        if (is_known(runner.row)) {
          progress_->add((kModelRounds + 1) * report_.images);
        } else if (const Status loaded = load(runner); !loaded) {
          IE_CHECK(note(runner, loaded.error()));
          progress_->add((kModelRounds + 1) * report_.images);
        }
        runners.push_back(std::move(runner));
      }
    for (int round = 0; round < kModelRounds; ++round)
      for (Runner& runner : runners)
        if (!runner.nets.empty())
          if (const Status done = pass(runner); !done) IE_CHECK(note(runner, done.error()));
    for (Runner& runner : runners) {
      if (!runner.nets.empty())
        if (const Status done = find_deviation(runner); !done) IE_CHECK(note(runner, done.error()));
      summarise(runner);
      report_.rows.push_back(runner.row);
    }
    return options_.keep(report_);
  }

  Status measure_peers(const Subject& subject) {
    if (subject.specs.size() > 1) return {};
    const Spec& spec = *subject.specs.front();
    std::optional<BenchmarkNet> net;
    for (const PeerWay& way : peer_ways()) {
      ModelRow row = row_of(subject, way.backend, way.precision, options_.peers);
      if (options_.stop.stop_requested()) return fail(interruption());
      if (!is_known(row)) {
        doing_ = fmt::format("{} {} {}", row.model, row.backend, row.precision);
        if (!net) {
          auto loaded = BenchmarkNet::load(spec, request_for(kWays[0]));
          if (!loaded) return {};  // its own rows have the reason
          net = std::move(*loaded);
        }
        row.batch = net->batch();
        const PeerRequest request{options_.peers, options_.paths, store_.variant_path(spec, spec.variants.front()),
                                  static_cast<int>(options_.config.worker_count()), options_.stop};
        IE_CHECK(measure_peer(way, request, *net, samples_, row));
      }
      progress_->add(options_.peers.empty() ? 0 : report_.images);
      report_.rows.push_back(std::move(row));
      if (!options_.peers.empty()) IE_CHECK(options_.keep(report_));
    }
    return {};
  }

  Status compare() {
    const Subject& one = subjects_[0];
    const Subject& other = subjects_[1];
    if (one.specs.size() > 1 || other.specs.size() > 1) return {};
    IE_TRY(const std::vector<Answer>* const ones, right_answers(*one.specs[0]));
    IE_TRY(const std::vector<Answer>* const others, right_answers(*other.specs[0]));
    if (const auto found = label_agreement(*one.specs[0], *ones, *other.specs[0], *others))
      report_.comparison = Comparison{one.name, other.name, found->what, found->compared, found->share};
    return {};
  }

  const ModelsBenchmark& options_;
  models::Registry registry_;
  models::Store store_;
  std::vector<Subject> subjects_;
  std::vector<WayHere> ways_;
  SamplePictures samples_;
  std::map<std::string, std::vector<Answer>> right_;  // by model
  std::optional<Progress> progress_;
  std::map<std::string_view, std::string> why_not_;  // by backend
  std::string doing_;
  ModelsReport report_;
};

}  // namespace

Machine this_machine() {
  Machine machine;
  machine.cpu = pipeline::cpu_name();
  machine.cores = std::thread::hardware_concurrency();
  if (const auto devices = gpu::cuda_devices())
    for (const gpu::CudaDevice& device : *devices) machine.gpus.push_back(to_utf8(device.name));
  if (const auto version = infer::runtime_version()) machine.runtime = *version;
  return machine;
}

const ModelRow* baseline_of(const std::vector<ModelRow>& rows, const std::string& model) {
  for (const std::string_view backend : {std::string_view("torch-eager"), kWays[0].backend})
    for (const ModelRow& row : rows)
      if (row.model == model && row.backend == backend && row.precision == "fp32" && row.measured()) return &row;
  return nullptr;
}

Result<ModelsReport> benchmark_models(const ModelsBenchmark& options) {
  IE_TRY(models::Registry registry, models::Registry::load(options.paths.shipped, options.paths.added));
  return ModelsBench(options, std::move(registry)).run();
}

}  // namespace image_engine::benchmark
