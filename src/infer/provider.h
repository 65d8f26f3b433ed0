// The providers that can run models on this machine, and why others cannot.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::infer {

// In the order in which they are tried; the CPU is always available.
enum class Provider : std::uint8_t { kTensorRt, kTensorRtRtx, kCuda, kCpu };
inline constexpr Provider kProviders[] = {Provider::kTensorRt, Provider::kTensorRtRtx, Provider::kCuda, Provider::kCpu};

std::string_view provider_name(Provider provider);          // for people: "TensorRT for RTX"
std::string_view provider_runtime_name(Provider provider);  // ONNX Runtime's: "CUDAExecutionProvider"
// The name for people of one of ONNX Runtime's names; unknown names are returned unchanged.
std::string provider_name(std::string_view runtime_name);

// Loads the libraries that a provider needs. An error is one line that names what is missing and the remedy: kNotFound
// (a library, a driver, a GPU), kUnsupported (one that is too old, ONNX Runtime without the provider, an unsupported
// GPU). The result is cached. Thread-safe.
Status check_provider(Provider provider);

// `detail`: "CUDA 13.0, driver for CUDA 13.1: NVIDIA H100 80GB HBM3" if usable, else the reason.
struct ProviderState {
  Provider provider = Provider::kCpu;
  bool usable = false;
  std::string detail;
};
std::vector<ProviderState> provider_states();

}  // namespace image_engine::infer
