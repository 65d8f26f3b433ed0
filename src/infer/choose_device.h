// Where a model runs: the first of the machine's providers that gives the right numbers, at its fastest.
#pragma once

#include <string>
#include <string_view>

#include "infer/choose.h"

namespace image_engine::infer {

// What the user asked for.
struct Preference {
  std::string device = "auto";     // auto, cpu, cuda, cuda:N, tensorrt
  std::string precision = "auto";  // auto, fp32, fp16, int8
  bool use_tensorrt = false;       // `auto` asks TensorRT first
  bool require_gpu = false;        // no GPU is an error
};
// kInvalidArgument lists what may be said.
Status check_device(std::string_view device);

// What a choice is made with.
struct InferenceContext {
  std::string memory_folder;  // what was found, and graphs made for GPUs
  std::string tools, python;  // as models::ProductRequest
  // Rows that runs will have; 0: as many as is fastest.
  std::int64_t batch = 1;
  std::string engine;  // that the user named, of whichever model
};

// Tries, in the order of DESIGN: the model's engine that was built before (prebuilt.h; not with `cpu` and `cuda`),
// TensorRT, TensorRT for RTX, CUDA in halves, CUDA in floats, the CPU as choose_precision() has it. On a GPU,
// batch (when asked for), layout of convolutions, search of algorithms and recorded graphs are measured once and kept
// by (model, GPU, driver, runtime, preference). What a GPU computes must agree with the CPU's fp32 as the
// precision's gate demands, or the default of its task (docs/models.md). Chosen::reason names each provider that was
// passed over, and why. A session on a GPU that runs out of memory goes on with half the rows, one whose GPU is lost
// on the CPU; each says so once in the log. Without a number, all GPUs like the first share the runs. Errors: as
// choose_precision(); kUnsupported: a GPU is required and none will do, with all reasons.
Result<Chosen> choose_device(const models::Spec& spec, const models::Store& store, const SessionOptions& options,
                             const Preference& preference, const MakeCanaries& canaries,
                             const InferenceContext& context);

}  // namespace image_engine::infer
