#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "gpu/cuda.h"
#include "gpu/nvml.h"
#include "infer/engine.h"
#include "models/digest.h"

namespace image_engine::infer {
namespace {

// The version of the library that check_provider() has loaded: 101401 is 10.14.1. "" if unknown.
std::string tensorrt_version() {
  void* library = ::dlopen("libnvinfer.so.10", RTLD_NOW | RTLD_NOLOAD);
  if (library == nullptr) return "";
  const auto version = reinterpret_cast<std::int32_t (*)()>(::dlsym(library, "getInferLibVersion"));
  if (version == nullptr) return "";
  const std::int32_t number = version();
  return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
}

}  // namespace

Result<EngineIdentity> engine_identity(const std::string& model, const SessionOptions& options) {
  IE_TRY(const auto devices, gpu::cuda_devices());
  const auto device = std::ranges::find(devices, options.device, &gpu::CudaDevice::index);
  if (device == devices.end())
    return fail(ErrorCode::kNotFound, fmt::format("there is no GPU of number {}", options.device));
  IE_CHECK(check_provider(Provider::kTensorRt));
  IE_TRY(const int cuda, gpu::driver_cuda_version());
  const TensorRtOptions wanted = options.tensorrt.value_or(TensorRtOptions{});
  EngineIdentity identity;
  IE_TRY(identity.model_sha256, models::sha256_of(model));
  identity.dimensions = options.fixed_dimensions;
  identity.precision = wanted.precision;
  identity.least_batch = wanted.least_batch;
  identity.best_batch = wanted.best_batch;
  identity.most_batch = wanted.most_batch;
  identity.workspace_bytes = wanted.workspace_bytes;
  identity.gpu = printable(device->name);
  identity.compute_capability = fmt::format("{}.{}", device->major, device->minor);
  if (const auto nvml = gpu::Nvml::open()) identity.driver = nvml->driver().version;
  identity.cuda = fmt::format("{}.{}", cuda / 1000, cuda % 1000 / 10);
  identity.tensorrt = tensorrt_version();
  IE_TRY(identity.runtime, runtime_version());
  return identity;
}

}  // namespace image_engine::infer
