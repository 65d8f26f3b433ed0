#include "pipeline/kept_batch.h"

#include <fmt/format.h>

#include <algorithm>

#include "gpu/cuda.h"
#include "infer/precision_memory.h"
#include "infer/provider.h"
#include "pipeline/installed_models.h"

namespace image_engine::pipeline {
namespace {

// Empty without a GPU.
std::string gpus_text(const Config& config) {
  const auto devices = gpu::cuda_devices();
  if (!devices) return {};
  std::string text = fmt::format("batch {} {} {}", config.inference.device, config.inference.precision,
                                 config.analysis.ml_models.use_tensorrt);
  for (const gpu::CudaDevice& device : *devices) text += fmt::format("\n{} {}", device.name, device.memory_bytes);
  return text;
}

}  // namespace

std::int64_t kept_batch(const models::Spec& spec, const models::Store& store, const Config& config) {
  const std::string gpus = gpus_text(config);
  if (gpus.empty()) return 0;
  const auto runtime = infer::runtime_version();
  if (!runtime) return 0;
  const auto known =
      infer::PrecisionMemory(inference_folder()).find(infer::precision_key(spec, store, {}, *runtime + "\n" + gpus));
  return known ? std::max<std::int64_t>(known->settings.batch, 0) : 0;
}

Status keep_batch(const models::Spec& spec, const models::Store& store, const Config& config, std::int64_t batch,
                  const std::string& reason) {
  IE_TRY(const std::string runtime, infer::runtime_version());
  const std::string key = infer::precision_key(spec, store, {}, runtime + "\n" + gpus_text(config));
  infer::Remembered found;
  found.precision = config.inference.precision;
  found.reason = reason;
  found.settings.batch = batch;
  return infer::PrecisionMemory(inference_folder()).keep(key, spec.name, found);
}

}  // namespace image_engine::pipeline
