// The operators of this library, as ONNX Runtime takes them.
#pragma once

#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
#undef ORT_API_MANUAL_INIT

#include <span>

#include "infer/ops/deformable.h"
#include "infer/ops/depthwise.h"
#include "infer/ops/norm.h"
#include "infer/ops/pictures.h"

namespace image_engine::infer {

// Kernels of a provider of ONNX Runtime's; null: the CPU.
struct OperatorProvider {
  const char* name;
  RunChain run;
  RunDepthwise run_depthwise;
  RunDeformable run_deformable;
  RunLast run_last;
  RunWindow run_window;
  RunNorm run_norm;
};

// Adds them to a session's options, for each provider. An error is the caller's to release.
OrtStatus* add_operators(OrtSessionOptions* options, const OrtApiBase* api,
                         std::span<const OperatorProvider> providers);

}  // namespace image_engine::infer
