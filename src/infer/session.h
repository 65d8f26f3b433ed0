// Runs models. The interface hides the runtime.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/memory_budget.h"
#include "core/result.h"
#include "infer/provider.h"
#include "types/tensor.h"

namespace image_engine::infer {

struct TensorInfo {
  std::string name;
  ElementType type = ElementType::kFloat32;
  std::vector<std::int64_t> shape;  // −1: any
  std::string rows;                 // the name of the first dimension, if it is free and named
};

// How TensorRT builds an engine for a model or finds a cached one. Batches are of the first dimension.
struct TensorRtOptions {
  std::string precision = "fp16";                          // fp32, fp16, int8
  std::uint64_t workspace_bytes = std::uint64_t{4} << 30;  // most memory of a layer
  std::int64_t least_batch = 1, best_batch = 8, most_batch = 16;
  std::string cache_folder;        // of engines and timings; created when absent
  std::string cache_prefix;        // of its file names
  std::vector<TensorInfo> inputs;  // the model's, for the range of batches; empty: found as runs need them
};

struct SessionOptions {
  // Threads inside one run. 1 is best when several runs are concurrent, as in the pipeline.
  int threads = 1;
  // Rows after which a run on the CPU frees the memory that the runtime keeps for the next one; 0: never. GPU memory is
  // kept.
  std::int64_t rows_between_clearings = 0;
  // The shared memory budget of all runs on the CPU; null: no limit. A run waits for its share.
  std::shared_ptr<MemoryBudget> budget;
  // Fixes named symbolic dimensions ("batch", 1), so that the runtime can plan memory once.
  std::vector<std::pair<std::string, std::int64_t>> fixed_dimensions;

  // The graph has nodes of operators of ours (made_graphs.h), whose library is loaded; kNotFound where there is none.
  bool own_operators = false;

  // Ends its loading and its runs, as the limits of runs do (run_watch.h).
  std::stop_token stop;

  Provider provider = Provider::kCpu;
  int device = 0;  // which GPU

  // The rest is for GPUs only. If the first dimension of every input is fixed, in the file or by fixed_dimensions, runs
  // of fewer rows are padded and those of more rows are split.
  int lanes = 1;                    // concurrent runs, each with its own weights; one computes while another copies
  bool cuda_graph = false;          // records a run once and replays it; needs fixed shapes and no node on the CPU
  bool nhwc = false;                // channels-last convolutions: faster for some models
  bool fuse_convolutions = false;   // with the addition after them: useful only with nhwc
  bool search_convolutions = true;  // times cuDNN's algorithms at the first run, instead of its heuristics
  bool tf32 = true;                 // multiplies float32 with a 10-bit mantissa where GPUs can
  std::optional<TensorRtOptions> tensorrt;
};

// What actually runs a session.
struct Placement {
  std::string device = "cpu";                // "cpu", "cuda:0"
  std::string precision;                     // of a session that took over; empty: as chosen
  std::string provider = "CPU";              // for people
  std::map<std::string, std::size_t> nodes;  // of the graph, by provider; empty: not determined
  std::size_t rows = 0;                      // of every run, padded or split; 0: any number
  [[nodiscard]] bool whole() const { return nodes.size() <= 1; }
};
// "CUDA 310, CPU 12"
std::string nodes_text(const Placement& placement);

// Runs with inputs that stay on the GPU, to time only the model's computation. One thread at a time.
class ResidentRun {
 public:
  virtual ~ResidentRun() = default;
  // One run, until the GPU has finished. Errors as run().
  [[nodiscard]] virtual Status compute() = 0;
  // `times` runs in a row, waiting once at the end.
  [[nodiscard]] virtual Status compute(int times) = 0;
};

// A loaded model. run() is thread-safe.
class Session {
 public:
  // Loads an ONNX file. External data is read only from the model's own folder. The provider runs the nodes that it
  // supports and the CPU the rest: see placement(). Errors: kNotFound (file, or the runtime library, with the remedy),
  // kCorrupt (not a model, data outside its folder), kUnsupported (an operator or opset that the runtime lacks),
  // kOutOfMemory; those of check_provider().
  static Result<std::unique_ptr<Session>> create(const std::string& file, const SessionOptions& options);
  virtual ~Session() = default;

  [[nodiscard]] virtual const std::vector<TensorInfo>& inputs() const = 0;
  [[nodiscard]] virtual const std::vector<TensorInfo>& outputs() const = 0;
  [[nodiscard]] virtual Placement placement() const = 0;
  // The value of a custom metadata key of the file, at most 16 MiB; nullopt if absent.
  [[nodiscard]] virtual std::optional<std::string> metadata(const std::string& /*key*/) const { return std::nullopt; }

  // `inputs` in the order of inputs(); their rows may be on GPUs. Those that are not on the one of placement() are
  // copied through the host's memory. kKilled: such a row is lost with its GPU. Returns the named outputs (all of
  // outputs() when empty), in that order. float16 outputs come as kFloat32. Errors: kInvalidArgument (wrong count, type
  // or shape; names the input), kOutOfMemory, kInternal.
  [[nodiscard]] virtual Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                                        std::span<const std::string> outputs = {}) const = 0;

  // Copies `inputs` to the GPU. kUnsupported on the CPU.
  [[nodiscard]] virtual Result<std::unique_ptr<ResidentRun>> resident(std::span<const Tensor> /*inputs*/) const {
    return fail(ErrorCode::kUnsupported, "the CPU's memory is where inputs are");
  }
};

// While it is held, no GPU's work is recorded: others than sessions allocate or map memory of a GPU only with it. The
// lock of a session's thread, which may hold it for the time of a run.
std::shared_lock<std::shared_mutex> no_recording();

// Loads the library. "1.31.1", or why it cannot be loaded.
Result<std::string> runtime_version();

}  // namespace image_engine::infer
