// The models of this machine, and how they are loaded.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/memory_budget.h"
#include "core/result.h"
#include "infer/choose_device.h"
#include "models/install_paths.h"
#include "models/registry.h"
#include "models/store.h"
#include "store/types.h"
#include "vision/embedder.h"

namespace image_engine::pipeline {

class InstalledModels {
 public:
  // Fails when the registry of models cannot be read. `paths` and `config` are copied. `engine`: a TensorRT engine of
  // one of them, which uses it where possible; else one line reports why not.
  static Result<InstalledModels> open(const models::InstallPaths& paths, const Config& config,
                                      const std::string& engine = {});

  // On a GPU without measurements, sessions begin with the first settings that pass (infer::InferenceContext).
  void measure_later() { measures_later_ = true; }

  // The installed model for a task, or a server's if `wanted` names it. Errors name the command that installs one:
  // kNotFound for "auto"; kInvalidArgument where `wanted` names a model that is not installed, is for another task, or
  // that there is not. Specs live as long as this.
  [[nodiscard]] Result<const models::Spec*> find(std::string_view task, const std::string& wanted) const;
  // The model, installed or a server's, whose records have this key; null when there is none.
  [[nodiscard]] const models::Spec* find(std::string_view task, const store::StageKey& key) const;

  // Whether this is the name of a model of the task, installed or not.
  [[nodiscard]] bool has_task(std::string_view name, std::string_view task) const;

  // All installed models of a task.
  [[nodiscard]] std::vector<const models::Spec*> all(std::string_view task) const;
  // Of those that fit, the one with the highest preference; null: none is installed.
  using Fits = std::function<bool(const models::Spec&)>;
  [[nodiscard]] const models::Spec* best(std::string_view task, const Fits& fits) const;

  // A session of the graph that analyzes pictures, on the best device and precision for this machine and configuration;
  // `threads` inside one run, 0: the cores that the pipeline's workers leave.
  enum class Rows : std::uint8_t { kOne, kMany };  // pictures in a run
  [[nodiscard]] Result<infer::Chosen> picture_session(const models::Spec& spec, int threads = 0,
                                                      Rows rows = Rows::kOne) const;
  // On the CPU, at the precision that choose_precision() finds with these canaries; `precision`: only this one; empty:
  // as configured.
  [[nodiscard]] Result<infer::Chosen> cpu_session(const models::Spec& spec, const infer::MakeCanaries& canaries,
                                                  int threads, const std::string& precision = {}) const;
  // On the CPU, at the precision that is the fastest of those that agree with the first; for any model of pictures.
  [[nodiscard]] Result<infer::Chosen> session_on_cpu(const models::Spec& spec) const;
  // The text tower. kNotFound when the model has none.
  [[nodiscard]] Result<vision::TextEmbedder> text_embedder(const models::Spec& spec) const;
  // For a few pictures, one at a time: on the CPU unless the configuration names a device, as starting a GPU takes
  // longer than running on the CPU.
  [[nodiscard]] Result<vision::ImageEmbedder> image_embedder(const models::Spec& spec, int threads = 0) const;

  // Compares an int8 graph that was calibrated for the model with the model, on the CPU.
  [[nodiscard]] Result<infer::Compared> compare(const models::Spec& spec, const std::string& calibrated) const;

  [[nodiscard]] const models::Store& store() const { return store_; }
  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] const models::InstallPaths& paths() const { return paths_; }

 private:
  [[nodiscard]] Result<infer::Chosen> session_on(const std::string& device, const models::Spec& spec, int threads,
                                                 Rows rows) const;
  [[nodiscard]] Status try_added(const models::Spec& spec) const;
  InstalledModels(models::InstallPaths paths, Config config, models::Registry registry);
  models::InstallPaths paths_;
  Config config_;
  models::Registry registry_;
  models::Store store_;
  std::string engine_;
  bool measures_later_ = false;
  std::shared_ptr<MemoryBudget> budget_;  // of all runs on the CPU
};

// The folder for measurements of models and engines built from them on this machine.
std::string inference_folder();

// The key of a stage's records by this model.
store::StageKey model_key(const char* stage, const models::Spec& spec);

}  // namespace image_engine::pipeline
