// Compares models: on each device and precision of this machine, and in other programs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"

namespace image_engine::benchmark {

struct ModelRow {
  std::string key;  // of the models' files, the way, the photos, the machine; in hex
  std::string model, backend, precision;
  std::int64_t batch = 0;  // pictures in a run
  std::size_t images = 0;
  // Seconds for one pass over all images: the median of `rounds`, and (most − least) / median. 0 rounds: not measured.
  int rounds = 0;
  double total = 0, spread = 0;
  double warmup = 0;  // seconds to load and run the first batch
  std::optional<double> gpu_memory_mb, deviation;
  std::string note;  // for a person: why nothing was measured, if so

  [[nodiscard]] bool measured() const { return rounds > 0; }
  [[nodiscard]] double images_per_second() const { return static_cast<double>(images) / total; }
};

struct Machine {
  std::string cpu;
  unsigned cores = 0;
  std::vector<std::string> gpus;
  std::string runtime;  // ONNX Runtime's version
};
Machine this_machine();

struct Preparation {
  std::string model;
  double preprocess_ms = 0;  // per photo
};

struct Comparison {
  std::string model1, model2;
  std::string what;  // this and the rest as in LabelAgreement
  std::size_t compared = 0;
  double agreement = 0;
};

struct ModelsReport {
  Machine machine;
  std::string folder;
  std::size_t images = 0, unreadable = 0;
  double decode_ms = 0;
  std::vector<Preparation> preparation;
  std::vector<ModelRow> rows;
  std::optional<Comparison> comparison;
  bool complete = false;
};

struct ModelsBenchmark {
  Config config;
  models::InstallPaths paths;
  // Names of the registry, or several joined by + that analyze each picture one after the other. Empty: all installed
  // ones, and the combination that analyze would use.
  std::vector<std::string> models;
  bool compare = false;  // the first two of `models` side by side
  std::string images;    // as SampleRequest::folder
  std::size_t limit = 100;
  std::int64_t batch = 8;
  std::string peers;            // a Python with ONNX Runtime or PyTorch; empty: none
  std::vector<ModelRow> known;  // of an earlier run: measured rows with the same key are not measured again
  // Called after each step, so that no measurement is lost; its error ends the run.
  std::function<Status(const ModelsReport&)> keep = [](const ModelsReport&) -> Status { return {}; };
  bool progress = false;  // on stderr
  std::stop_token stop;
};

// This program's measurements of a model alternate, round after round. Errors: kInterrupted, kInvalidArgument (an
// unknown name, with the nearest; a model of another kind), kNotFound (no model is installed; no photo). A combination
// that does not work becomes a row with a note.
Result<ModelsReport> benchmark_models(const ModelsBenchmark& options);

// The row that a model's other rows are compared with: PyTorch's fp32, else ours on the CPU; null without either.
const ModelRow* baseline_of(const std::vector<ModelRow>& rows, const std::string& model);

}  // namespace image_engine::benchmark
