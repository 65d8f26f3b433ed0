// The models of this machine, and how they are made ready to run.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/memory_budget.h"
#include "core/result.h"
#include "infer/choose_device.h"
#include "models/places.h"
#include "models/registry.h"
#include "models/store.h"
#include "store/types.h"
#include "vision/embedder.h"

namespace image_engine::pipeline {

class InstalledModels {
 public:
  // Fails when the registry of models cannot be read. `places` and `config` are copied.
  // `engine`: built by TensorRT of one of them, which takes it where that can be; told in one line where it cannot.
  static Result<InstalledModels> open(const models::Places& places, const Config& config,
                                      const std::string& engine = {});

  // The installed model for a task, or a server's that is named. kNotFound says what would install one,
  // kInvalidArgument that `wanted` is none. Specs live as long as this.
  [[nodiscard]] Result<const models::Spec*> find(std::string_view task, const std::string& wanted) const;
  // The model, installed or a server's, whose records of a stage have this key; null when there is none.
  [[nodiscard]] const models::Spec* find(std::string_view task, const store::StageKey& key) const;

  // All of a task that are installed.
  [[nodiscard]] std::vector<const models::Spec*> all(std::string_view task) const;

  // The graph that analyzes pictures, on the device and at the precision that suit this machine and the configuration;
  // `threads` inside one run, 0: what the pipeline's workers leave.
  enum class Rows : std::uint8_t { kOne, kMany };  // pictures in a run
  [[nodiscard]] Result<infer::Chosen> picture_session(const models::Spec& spec, int threads = 0,
                                                      Rows rows = Rows::kOne) const;
  // The text tower. kNotFound when the model has none.
  [[nodiscard]] Result<vision::TextEmbedder> text_embedder(const models::Spec& spec) const;
  // For a few pictures, one at a time: on the CPU unless the configuration names a device, as a GPU takes longer
  // to start than the CPU to look.
  [[nodiscard]] Result<vision::ImageEmbedder> image_embedder(const models::Spec& spec, int threads = 0) const;

  // How an int8 graph that was calibrated for the model does in its place, on the CPU.
  [[nodiscard]] Result<infer::Compared> compare(const models::Spec& spec, const std::string& calibrated) const;

  [[nodiscard]] const models::Store& store() const { return store_; }
  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] const models::Places& places() const { return places_; }

 private:
  [[nodiscard]] Result<infer::Chosen> session_on(const std::string& device, const models::Spec& spec, int threads,
                                                 Rows rows) const;
  [[nodiscard]] Status try_added(const models::Spec& spec) const;
  InstalledModels(models::Places places, Config config, models::Registry registry);
  models::Places places_;
  Config config_;
  models::Registry registry_;
  models::Store store_;
  std::string engine_;
  std::shared_ptr<MemoryBudget> budget_;  // of all runs on the CPU
};

// What is found out about models on this machine, and made of them for it.
std::string inference_folder();

// The key of a stage that this model does.
store::StageKey model_key(const char* stage, const models::Spec& spec);

}  // namespace image_engine::pipeline
