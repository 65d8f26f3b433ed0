#include "benchmark/batches.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "benchmark/net.h"
#include "benchmark/pictures.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/text.h"
#include "infer/canaries.h"
#include "infer/provider.h"
#include "models/registry.h"
#include "pipeline/kept_batch.h"
#include "vision/graph_checks.h"

namespace image_engine::benchmark {
namespace {

using models::Spec;

constexpr std::int64_t kSizes[] = {1, 2, 4, 8, 12, 16, 20, 24, 32, 64, 128, 256};
constexpr std::int64_t kMostOnCpu = 64;
constexpr int kBatchRounds = 3;
constexpr double kNearly = 0.95;

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double pages = 0;
  file >> pages >> pages;
  return pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

class BatchesBench {
 public:
  BatchesBench(const BatchesBenchmark& options, models::Registry registry)
      : options_(options), registry_(std::move(registry)), store_(options.paths.root, options.paths.packed) {}

  Result<BatchesReport> run() {
    IE_CHECK(choose_model());
    IE_CHECK(load_pictures());
    choose_device();
    const std::int64_t most = options_.most > 0 ? options_.most : on_gpu() ? kSizes[std::size(kSizes) - 1] : kMostOnCpu;
    std::vector<std::int64_t> sizes;
    std::ranges::copy_if(kSizes, std::back_inserter(sizes), [&](std::int64_t size) { return size <= most; });
    Progress progress("Batches", sizes.size() * kBatchRounds * report_.images, options_.progress);
    for (const std::int64_t size : sizes) {
      IE_TRY(const bool goes_on, measure(size, progress));
      if (!goes_on) break;
    }
    IE_CHECK(choose_best());
    return std::move(report_);
  }

 private:
  Status choose_model() {
    if (!options_.model.empty()) {
      IE_TRY(spec_, measurable(registry_, store_, options_.model));
    } else {
      const MlModelsConfig& wanted = options_.config.analysis.ml_models;
      for (const auto& [task, name] :
           {std::pair("embedding", wanted.embedding_model), std::pair("objects", wanted.object_model),
            std::pair("scene", wanted.scene_model)}) {
        if (name == "none") continue;
        IE_TRY(const models::Choice choice, models::choose(registry_, store_, task, name));
        if (spec_ = choice.spec; spec_ != nullptr) break;
      }
      if (spec_ == nullptr)
        return fail(ErrorCode::kNotFound, "no model that analyzes pictures is installed: image-engine models pull");
    }
    report_.model = spec_->name;
    report_.machine = this_machine();
    return {};
  }

  Status load_pictures() {
    IE_TRY(const preprocess::Plan plan, vision::plan_of(*spec_));
    IE_TRY(samples_, load_samples({options_.images, options_.limit, preprocess::wanted_edge(plan), options_.progress,
                                   options_.stop},
                                  options_.config));
    report_.folder = samples_.folder;
    report_.images = samples_.pictures.size();
    return {};
  }

  void choose_device() {
    report_.device = options_.config.inference.device;
    if (report_.device != "auto") return;
    const bool tensorrt =
        options_.config.analysis.ml_models.use_tensorrt &&
        (infer::check_provider(infer::Provider::kTensorRt) || infer::check_provider(infer::Provider::kTensorRtRtx));
    const bool cuda = infer::check_provider(infer::Provider::kCuda).has_value();
    report_.device = tensorrt ? "tensorrt" : cuda ? "cuda" : "cpu";
  }

  [[nodiscard]] bool on_gpu() const { return report_.device != "cpu"; }

  [[nodiscard]] bool is_measured(std::int64_t batch) const {
    return !report_.rows.empty() && report_.rows.back().batch == batch;
  }

  // Whether a larger size is worth trying.
  Result<bool> measure(std::int64_t size, Progress& progress) {
    BatchRow row;
    row.batch = size;
    row.images = report_.images;
    const Status done = fill(row, progress);
    if (!done) {
      const bool memory = done.error().code == ErrorCode::kOutOfMemory;
      if (done.error().code == ErrorCode::kInterrupted || (report_.rows.empty() && !memory)) return fail(done.error());
      row.note = (memory ? "out of memory: " : "") + to_utf8(done.error().message);
      row.total = row.memory_mb = 0;
      row.batch = size;
    } else if (row.batch != size) {
      row.note = fmt::format("the model takes {} at a time, no other number", row.batch);
      if (is_measured(row.batch)) {
        report_.rows.back().note = row.note;
        return false;
      }
    }
    report_.rows.push_back(row);
    return row.note.empty();
  }

  Status fill(BatchRow& row, Progress& progress) {
    const NetRequest request{options_.paths, options_.config, report_.device, options_.config.inference.precision,
                             row.batch};
    // The first run on a GPU searches its best settings, in memory that is then freed.
    std::optional<int> gpu;
    if (on_gpu()) {
      IE_TRY(const BenchmarkNet first, BenchmarkNet::load(*spec_, request));
      gpu = first.gpu();
    }
    const double before = free_memory(gpu);
    IE_TRY(const BenchmarkNet net, BenchmarkNet::load(*spec_, request));
    row.batch = net.batch();
    if (is_measured(row.batch)) return {};
    std::vector<double> seconds;
    for (int round = 0; round < kBatchRounds; ++round) {
      IE_TRY(const double one, net.pass(samples_, [&](std::size_t pictures) {
        progress.add(pictures);
        return !options_.stop.stop_requested();
      }));
      seconds.push_back(one);
    }
    row.total = infer::median(std::move(seconds));
    row.memory_mb = std::max(0.0, gpu ? before - free_memory(gpu) : resident_bytes()) / kMegabyte;
    return {};
  }

  Status choose_best() {
    double most = 0;
    for (const BatchRow& row : report_.rows)
      if (row.total > 0) most = std::max(most, row.images_per_second());
    for (const BatchRow& row : report_.rows)
      if (row.total > 0 && row.images_per_second() >= kNearly * most) {
        report_.best = row.batch;
        break;
      }
    if (report_.best == 0 || !on_gpu()) return {};
    const Status kept = pipeline::keep_batch(*spec_, store_, options_.config, report_.best,
                                             fmt::format("benchmark batch-size: {:.0f} pictures/s at most", most));
    report_.remembered = kept.has_value();
    if (!kept) log_warning("the best number of pictures cannot be stored: {}", printable(kept.error().message));
    return {};
  }

  const BatchesBenchmark& options_;
  models::Registry registry_;
  models::Store store_;
  const Spec* spec_ = nullptr;
  SamplePictures samples_;
  BatchesReport report_;
};

}  // namespace

Result<BatchesReport> benchmark_batches(const BatchesBenchmark& options) {
  IE_TRY(models::Registry registry, models::Registry::load(options.paths.shipped, options.paths.added));
  return BatchesBench(options, std::move(registry)).run();
}

}  // namespace image_engine::benchmark
