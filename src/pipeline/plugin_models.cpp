#include "pipeline/plugin_models.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "models/install_paths.h"
#include "models/registry.h"

namespace image_engine::pipeline {
namespace {

// Null if it is not installed, or not known.
const models::Spec* spec_named(const InstalledModels& models, const std::string& name) {
  const Result<models::Registry> registry = models::Registry::load(models.paths().shipped, models.paths().added);
  const Result<const models::Spec*> known = registry ? registry->find(name) : fail(registry.error());
  if (!known) return nullptr;
  for (const models::Spec* spec : models.all((*known)->task))
    if (spec->name == name) return spec;
  return nullptr;
}

template <typename T>
void convert(const Tensor& from, Tensor& to) {
  std::ranges::transform(from.as<T>(), to.as<float>().begin(), [](T value) { return static_cast<float>(value); });
}

Result<Tensor> as_floats(Tensor tensor) {
  Tensor floats = Tensor::zeros(ElementType::kFloat32, tensor.shape);
  switch (tensor.type) {
    case ElementType::kFloat32:
      return tensor;
    case ElementType::kInt64:
      convert<std::int64_t>(tensor, floats);
      return floats;
    case ElementType::kInt32:
      convert<std::int32_t>(tensor, floats);
      return floats;
    case ElementType::kUint8:
    case ElementType::kBool:
      convert<std::uint8_t>(tensor, floats);
      return floats;
    case ElementType::kFloat16:
      break;
  }
  return fail(ErrorCode::kUnsupported, "an output of the model is no number that a plugin can be given");
}

}  // namespace

Result<const infer::Session*> PluginModels::session(const std::string& name) {
  if (const auto found = sessions_.find(name); found != sessions_.end()) return found->second.get();
  if (!models_) {
    IE_TRY(models_, InstalledModels::open(models::find_install_paths(config_.models.folder), config_));
  }
  const models::Spec* spec = spec_named(*models_, name);
  if (spec == nullptr)
    return fail(ErrorCode::kNotFound,
                fmt::format("the model '{0}' is not installed: image-engine models pull {0}", printable(name)));
  IE_TRY(infer::Chosen chosen, models_->picture_session(*spec));
  return (sessions_[name] = std::move(chosen.session)).get();
}

Result<std::vector<Tensor>> PluginModels::run(const std::string& name, std::span<const Tensor> inputs) {
  IE_TRY(const infer::Session* loaded, session(name));
  IE_TRY(std::vector<Tensor> outputs, loaded->run(inputs));
  for (Tensor& output : outputs) {
    IE_TRY(output, as_floats(std::move(output)));
  }
  return outputs;
}

}  // namespace image_engine::pipeline
