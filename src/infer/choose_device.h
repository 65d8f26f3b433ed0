// Chooses where a model runs: the first of the machine's providers whose outputs are correct, with its fastest
// settings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "infer/choose.h"
#include "infer/provider.h"

namespace image_engine::infer {

// What the user asked for.
struct Preference {
  std::string device = "auto";              // auto, cpu, cuda, cuda:N, tensorrt
  std::string precision = "auto";           // auto, fp32, fp16, int8
  bool use_tensorrt = false;                // `auto` tries TensorRT first
  bool require_gpu = false;                 // fail without a GPU
  std::string tensorrt_precision = "fp16";  // the first that TensorRT tries where `precision` is auto
};

// What to try on that provider, in this order.
std::vector<std::string> precisions_to_try(Provider provider, const Preference& preference);
// kInvalidArgument lists the valid values.
Status check_device(std::string_view device);
// The number in "cuda:1"; 0 where it has none.
int device_number(std::string_view device);
// CUDA's numbers of the GPUs that a device but `cpu` means: the one that it names, which need not be there, or the
// first and those of its kind. kNotFound: there is none.
Result<std::vector<int>> gpus_for(std::string_view device);

// The inputs of a choice, beside the model.
struct InferenceContext {
  std::string memory_folder;  // for measurements, and graphs made for GPUs
  // Rows of a run; 0: the fastest number.
  std::int64_t batch = 1;
  std::string engine;  // named by the user, for any model
  // On a GPU without measurements: the first settings that pass are used, and the others are measured in the
  // background, for the next time.
  bool measure_later = false;
};

// Tries in this order: the model's prebuilt engine (prebuilt.h; not for `cpu` and `cuda`), TensorRT, TensorRT for RTX,
// CUDA fp16, CUDA fp32, the CPU by choose_precision(). On a GPU, the batch (if `batch` is 0), convolution layout,
// algorithm search, CUDA graphs and operators of ours (graph/chains.h) are measured once and stored by (model, GPU,
// driver, runtime, preference); an unfinished measurement in the background ends with the session; the next session
// uses the fastest settings so far, and measures the others. A GPU's outputs must meet the precision's gate against the
// CPU's fp32, or the default gate of the task (docs/models.md). Chosen::reason names each rejected provider and the
// reason. A session that runs out of GPU memory continues with half the rows; one whose operators of ours fail
// continues without them, which is remembered; one whose GPU is lost falls back to the CPU; each logs this once.
// Without a GPU number, all GPUs of the first one's kind share the runs. Errors: as choose_precision(); kUnsupported: a
// GPU is required and none is usable, with all reasons.
Result<Chosen> choose_device(const models::Spec& spec, const models::Store& store, const SessionOptions& options,
                             const Preference& preference, const MakeCanaries& canaries,
                             const InferenceContext& context);

}  // namespace image_engine::infer
