// What can run a model on this machine, and why the rest cannot.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::infer {

// In the order in which they are tried; the CPU is there always.
enum class Provider : std::uint8_t { kTensorRt, kTensorRtRtx, kCuda, kCpu };
inline constexpr Provider kProviders[] = {Provider::kTensorRt, Provider::kTensorRtRtx, Provider::kCuda, Provider::kCpu};

std::string_view provider_name(Provider provider);          // for people: "TensorRT for RTX"
std::string_view provider_runtime_name(Provider provider);  // ONNX Runtime's: "CUDAExecutionProvider"
// Of one of ONNX Runtime's names, as it is for people; itself where it is unknown here.
std::string provider_name(std::string_view runtime_name);

// Loads what a provider needs. An error is one line that says what is missing and what to do: kNotFound (a library, a
// driver, a GPU), kUnsupported (one that is too old, a build of ONNX Runtime without it, a GPU that it does not
// take). The answer is found once and kept; may be called from many threads.
Status check_provider(Provider provider);

// "CUDA 13.0, driver for CUDA 13.1: NVIDIA H100 80GB HBM3" where it is usable, else why not.
struct ProviderState {
  Provider provider = Provider::kCpu;
  bool usable = false;
  std::string detail;
};
std::vector<ProviderState> provider_states();

}  // namespace image_engine::infer
