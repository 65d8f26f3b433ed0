#include "infer/provider.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>

#include "core/file.h"
#include "core/text.h"
#include "gpu/cuda.h"
#include "infer/onnx_runtime.h"
#include "infer/tensorrt_rtx.h"

namespace image_engine::infer {
namespace {

// TensorRT for RTX supports Ampere's consumer GPUs and later (its support matrix), not Volta, Turing, A100 or Hopper.
bool takes_rtx(const gpu::CudaDevice& device) {
  const int capability = device.major * 10 + device.minor;
  return capability == 86 || capability == 89 || capability >= 120;
}

Status check_library(const char* name, std::string_view advice) {
  if (::dlopen(name, RTLD_NOW | RTLD_GLOBAL) != nullptr) return {};
  return fail(ErrorCode::kNotFound, fmt::format("{} not found: {}", name, advice));
}

Status check_built_in(Provider provider) {
  if (!runtime()) return fail(runtime().error());
  const std::vector<std::string> built_in = Ort::GetAvailableProviders();
  if (std::ranges::find(built_in, provider_runtime_name(provider)) != built_in.end()) return {};
  return fail(ErrorCode::kUnsupported,
              fmt::format("this ONNX Runtime is for CPUs: `make setup GPU=1` brings one with {}, or set "
                          "IMAGE_ENGINE_ONNXRUNTIME to the libonnxruntime.so of the Python package onnxruntime-gpu",
                          provider_name(provider)));
}

Status check_cuda() {
  IE_TRY([[maybe_unused]] const auto devices, gpu::cuda_devices());
  IE_CHECK(check_built_in(Provider::kCuda));
  return gpu::load_cuda_libraries();
}

Status check_tensorrt() {
  IE_CHECK(check_cuda());
  IE_CHECK(check_built_in(Provider::kTensorRt));
  constexpr std::string_view kAdvice =
      "install NVIDIA's TensorRT 10 for CUDA 13 and make it known to the loader (docs/tensorrt.md)";
  IE_CHECK(check_library("libnvinfer.so.10", kAdvice));
  return check_library("libnvonnxparser.so.10", kAdvice);
}

Status check_tensorrt_rtx() {
  IE_CHECK(check_cuda());
  IE_TRY(const auto devices, gpu::cuda_devices());
  if (std::ranges::none_of(devices, takes_rtx))
    return fail(ErrorCode::kUnsupported,
                fmt::format("it supports RTX 30, 40 and 50 GPUs, and this is {}", devices.front().name));
  return check_rtx_plugin();
}

Status check_cpu() {
  if (!runtime()) return fail(runtime().error());
  return {};
}

struct ProviderFacts {
  Provider provider;
  std::string_view name, theirs;
  Status (*check)();
};
constexpr ProviderFacts kRows[] = {
    {Provider::kTensorRt, "TensorRT", "TensorrtExecutionProvider", check_tensorrt},
    {Provider::kTensorRtRtx, "TensorRT for RTX", "NvTensorRTRTXExecutionProvider", check_tensorrt_rtx},
    {Provider::kCuda, "CUDA", "CUDAExecutionProvider", check_cuda},
    {Provider::kCpu, "CPU", "CPUExecutionProvider", check_cpu}};

const ProviderFacts& row_of(Provider provider) { return *std::ranges::find(kRows, provider, &ProviderFacts::provider); }

std::string usable_detail(Provider provider) {
  if (provider == Provider::kCpu) return fmt::format("ONNX Runtime {}", printable(runtime()->version));
  const auto devices = gpu::cuda_devices();
  std::string text;
  for (const gpu::CudaDevice& device : *devices)
    text += fmt::format("{}{} ({}, compute capability {}.{})", text.empty() ? "" : ", ", device.name,
                        human_bytes(device.memory_bytes), device.major, device.minor);
  return text;
}

}  // namespace

std::string_view provider_name(Provider provider) { return row_of(provider).name; }
std::string_view provider_runtime_name(Provider provider) { return row_of(provider).theirs; }

std::string provider_name(std::string_view runtime_name) {
  const auto row = std::ranges::find(kRows, runtime_name, &ProviderFacts::theirs);
  return std::string(row == std::end(kRows) ? runtime_name : row->name);
}

// Each is checked separately and on demand: running on the CPU must not load a GPU's libraries.
Status check_provider(Provider provider) {
  static std::mutex mutex;
  static std::array<std::optional<Status>, std::size(kRows)> states;
  const ProviderFacts& row = row_of(provider);
  const std::lock_guard lock(mutex);
  std::optional<Status>& state = states[static_cast<std::size_t>(&row - kRows)];
  if (!state) state = row.check();
  return *state;
}

std::vector<ProviderState> provider_states() {
  std::vector<ProviderState> states;
  for (const Provider provider : kProviders) {
    const Status state = check_provider(provider);
    states.push_back({provider, state.has_value(), state ? usable_detail(provider) : state.error().message});
  }
  return states;
}

}  // namespace image_engine::infer
