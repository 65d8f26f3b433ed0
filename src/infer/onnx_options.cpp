#include <algorithm>
#include <unordered_map>

#include "core/cpu.h"
#include "core/file.h"
#include "infer/library.h"
#include "infer/onnx_runtime.h"
#include "infer/tensorrt.h"
#include "infer/tensorrt_rtx.h"

namespace image_engine::infer {
namespace {

// The names are those of ONNX Runtime's documentation of its CUDA provider.
void append_cuda(Ort::SessionOptions& theirs, const SessionOptions& options, void* stream) {
  Ort::CUDAProviderOptions cuda;
  cuda.Update({{"device_id", std::to_string(options.device)},
               {"arena_extend_strategy", "kSameAsRequested"},  // else a power of two: twice the memory at worst
               {"cudnn_conv_algo_search", options.search_convolutions ? "EXHAUSTIVE" : "HEURISTIC"},
               {"cudnn_conv_use_max_workspace", "1"},
               {"do_copy_in_default_stream", "1"},
               {"use_tf32", flag(options.tf32)},
               {"prefer_nhwc", flag(options.nhwc)},
               {"fuse_conv_bias", flag(options.fuse_convolutions)},
               {"enable_cuda_graph", flag(options.cuda_graph)}});
  if (stream != nullptr) cuda.UpdateWithValue("user_compute_stream", stream);
  theirs.AppendExecutionProvider_CUDA_V2(*cuda);
}

std::span<const TensorInfo> inputs_of(const SessionOptions& options) {
  return options.tensorrt ? std::span<const TensorInfo>(options.tensorrt->inputs) : std::span<const TensorInfo>();
}

// CUDA runs the nodes that TensorRT does not; only a graph of a single provider is recorded.
void append_behind(Ort::SessionOptions& theirs, SessionOptions options, void* stream) {
  options.cuda_graph = false;
  append_cuda(theirs, options, stream);
}

void append_tensorrt(Ort::SessionOptions& theirs, const SessionOptions& options, void* stream) {
  Ort::TensorRTProviderOptions tensorrt;
  const ProviderOptions named = tensorrt_provider_options(options, inputs_of(options));
  tensorrt.Update({named.begin(), named.end()});
  if (stream != nullptr) tensorrt.UpdateWithValue("user_compute_stream", stream);
  theirs.AppendExecutionProvider_TensorRT_V2(*tensorrt);
  append_behind(theirs, options, stream);
}

void append_rtx(Ort::SessionOptions& theirs, const SessionOptions& options, void* stream) {
  SessionOptions kept = options;
  if (kept.tensorrt && !make_folders(kept.tensorrt->cache_folder, 0700)) kept.tensorrt->cache_folder.clear();
  ProviderOptions named = rtx_provider_options(kept, inputs_of(options));
  if (stream != nullptr)
    named.insert(named.end(), {{"has_user_compute_stream", "1"},
                               {"user_compute_stream", std::to_string(reinterpret_cast<std::uintptr_t>(stream))}});
  append_rtx_plugin(theirs, options.device, named);
  append_behind(theirs, options, stream);
}

void append_nothing(Ort::SessionOptions&, const SessionOptions&, void*) {}

struct ProviderRow {
  Provider provider;
  void (*append)(Ort::SessionOptions&, const SessionOptions&, void* stream);
};
constexpr ProviderRow kAppenders[] = {{Provider::kTensorRt, append_tensorrt},
                                      {Provider::kTensorRtRtx, append_rtx},
                                      {Provider::kCuda, append_cuda},
                                      {Provider::kCpu, append_nothing}};

}  // namespace

Ort::SessionOptions session_options(const SessionOptions& options, void* stream) {
  Ort::SessionOptions theirs;
  theirs.SetIntraOpNumThreads(std::max(options.threads, 1));
  theirs.SetInterOpNumThreads(1);
  theirs.SetExecutionMode(ORT_SEQUENTIAL);
  theirs.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
  theirs.EnableMemPattern();
  theirs.EnableCpuMemArena();
  theirs.AddConfigEntry("session.load_model_format",
                        "ONNX");  // otherwise a file's first bytes may select another parser
  // The threads of a run spin while they wait for its next part, but not for the next run.
  theirs.AddConfigEntry("session.intra_op.allow_spinning", options.threads > 1 ? "1" : "0");
  if (options.threads > 1) theirs.AddConfigEntry("session.intra_op.spin_duration_us", "200");
  theirs.AddConfigEntry("session.inter_op.allow_spinning", "0");
  theirs.AddConfigEntry("session.set_denormal_as_zero", "1");
  // Int8 weights become uint8, whose kernel sums in 32 bits: exact everywhere, but slower than VNNI's.
  if (!cpu_has_vnni()) theirs.AddConfigEntry("session.x64quantprecision", "1");
  if (options.own_operators) theirs.RegisterCustomOpsLibrary(operators_library().c_str());
  for (const auto& [name, size] : options.fixed_dimensions)
    Ort::ThrowOnError(Ort::GetApi().AddFreeDimensionOverrideByName(theirs, name.c_str(), size));
  // Planned memory is allocated again while a graph is recorded, when allocation is forbidden.
  if (options.cuda_graph) theirs.DisableMemPattern();
  if (options.provider != Provider::kCpu) {
    theirs.AddConfigEntry("session.record_ep_graph_assignment_info", "1");
    theirs.AddConfigEntry("session.use_device_allocator_for_initializers",
                          "1");  // keeps the arena from rounding up weights
  }
  const auto row = std::ranges::find(kAppenders, options.provider, &ProviderRow::provider);
  if (row != std::end(kAppenders)) row->append(theirs, options, stream);
  return theirs;
}

}  // namespace image_engine::infer
