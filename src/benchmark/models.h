// Models beside each other: in each way that this machine has to run them, and in others' programs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/places.h"

namespace image_engine::benchmark {

struct ModelRow {
  std::string key;  // of the models' files, the way, the photos, the machine; in hex
  std::string model, backend, precision;
  std::int64_t batch = 0;  // pictures in a run
  std::size_t images = 0;
  // Of one pass over all images, seconds: the median of `rounds`, and (most − least) / median. 0 rounds: not measured.
  int rounds = 0;
  double total = 0, spread = 0;
  double warmup = 0;  // seconds to load and compute the first batch
  std::optional<double> gpu_memory_mb, deviation;
  std::string note;  // for a person; why nothing was measured where nothing was

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
  double preprocess_ms = 0;  // a photo
};

struct Comparison {
  std::string model1, model2;
  std::string what;  // this and the rest as LabelAgreement
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
  models::Places places;
  // Names of the registry, or several joined by + that analyze each picture one after the other. None: all installed
  // ones, and those that analyze would analyze pictures with.
  std::vector<std::string> models;
  bool compare = false;  // the first two of `models` side by side
  std::string images;    // as SampleRequest::folder
  std::size_t limit = 100;
  std::int64_t batch = 8;
  std::string peers;            // a Python that has ONNX Runtime or PyTorch; empty: none
  std::vector<ModelRow> known;  // of an earlier run: measured rows with the same key are not measured again
  // Told after each step, so that what is measured is not lost; its error ends the run.
  std::function<Status(const ModelsReport&)> keep = [](const ModelsReport&) -> Status { return {}; };
  bool progress = false;  // on stderr
  std::stop_token stop;
};

// What is measured of a model in this program is measured in turns, round after round. Errors: kInterrupted,
// kInvalidArgument (a name that is none, with the nearest; a model of another kind), kNotFound (no model is installed;
// no photo). What a model cannot do is a row with a note.
Result<ModelsReport> benchmark_models(const ModelsBenchmark& options);

// The row that others of its model are set beside: PyTorch's fp32, else ours on the CPU; null without either.
const ModelRow* baseline_of(const std::vector<ModelRow>& rows, const std::string& model);

}  // namespace image_engine::benchmark
