// What the engine answers when a plugin asks it to run an installed model.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "infer/session.h"
#include "pipeline/installed_models.h"
#include "types/tensor.h"

namespace image_engine::pipeline {

// Not thread-safe.
class PluginModels {
 public:
  explicit PluginModels(Config config) : config_(std::move(config)) {}

  // Runs the model of that name on the device and at the precision that the engine itself would use; loads it at the
  // first call. All outputs, as 32-bit floats. kNotFound: it is not installed; kInvalidArgument: not these inputs.
  Result<std::vector<Tensor>> run(const std::string& name, std::span<const Tensor> inputs);

 private:
  Result<const infer::Session*> session(const std::string& name);

  Config config_;
  std::optional<InstalledModels> models_;
  std::map<std::string, std::unique_ptr<infer::Session>> sessions_;
};

}  // namespace image_engine::pipeline
