// Running models. Nothing here shows which runtime does it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
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
  std::string rows;                 // the name of the first dimension, where it is open and has one
};

// How TensorRT builds an engine for a model, or finds one that it built. Batches are of the first dimension.
struct TensorRtOptions {
  std::string precision = "fp16";                          // fp32, fp16, int8
  std::uint64_t workspace_bytes = std::uint64_t{4} << 30;  // what a layer may use at most
  std::int64_t least_batch = 1, best_batch = 8, most_batch = 16;
  std::string cache_folder;        // of engines and timings; made when absent
  std::string cache_prefix;        // of the files' names there
  std::vector<TensorInfo> inputs;  // of the model, to tell the range of batches of; empty: found as runs ask
};

struct SessionOptions {
  // Threads inside one run. 1 is best when several pictures are run at once, which is what the pipeline does.
  int threads = 1;
  // Rows between runs that give back what the runtime keeps of memory for the next one; 0: never. On the CPU:
  // what a GPU computes on stays where it is.
  std::int64_t rows_between_clearings = 0;
  // What the memory of all runs on the CPU is taken from; null: no limit. A run waits for its share.
  std::shared_ptr<MemoryBudget> budget;
  // Fixes named symbolic dimensions ("batch", 1), so that the runtime can plan memory once.
  std::vector<std::pair<std::string, std::int64_t>> fixed_dimensions;

  Provider provider = Provider::kCpu;
  int device = 0;  // which GPU

  // The rest is of GPUs alone. Where the first dimension of every input is a number, in the file or by
  // fixed_dimensions, runs of fewer rows are filled up and those of more are done in turns.
  int lanes = 1;            // runs at once, each with the weights to itself; while one computes another copies
  bool cuda_graph = false;  // records the work of a run once and replays it; needs fixed shapes and no part on the CPU
  bool nhwc = false;        // convolutions with channels last: faster for some models
  bool fuse_convolutions = false;   // with what is added to them: of use with channels last alone
  bool search_convolutions = true;  // times cuDNN's algorithms at the first run, instead of asking its heuristics
  bool tf32 = true;                 // float32 products of 10 bits on GPUs that have them
  std::optional<TensorRtOptions> tensorrt;
};

// What really runs it.
struct Placement {
  std::string device = "cpu";                // "cpu", "cuda:0"
  std::string precision;                     // of what took over from another session; empty: as it was chosen
  std::string provider = "CPU";              // for people
  std::map<std::string, std::size_t> nodes;  // of the graph, by the provider that took them; empty: not asked for
  std::size_t rows = 0;                      // that every run has, filled up or cut; 0: as many as it is given
  [[nodiscard]] bool whole() const { return nodes.size() <= 1; }
};
// "CUDA 310, CPU 12"
std::string nodes_text(const Placement& placement);

// Runs with inputs that stay on the GPU: what a model's own computing takes. For one thread at a time.
class ResidentRun {
 public:
  virtual ~ResidentRun() = default;
  // Once more, until the GPU is done. Errors as run().
  [[nodiscard]] virtual Status compute() = 0;
  // `times` in a row, waiting once at the end.
  [[nodiscard]] virtual Status compute(int times) = 0;
};

// A loaded model. run() may be called from many threads at once.
class Session {
 public:
  // Loads an ONNX file. External data is only read from the model's own folder. The provider takes what it can of the
  // graph and the CPU the rest: placement() says.
  // Errors: kNotFound (file, or the runtime library: says what to install), kCorrupt (not a model, data outside its
  // folder), kUnsupported (an operator or opset that the runtime lacks), kOutOfMemory; those of
  // check_provider().
  static Result<std::unique_ptr<Session>> create(const std::string& file, const SessionOptions& options);
  virtual ~Session() = default;

  [[nodiscard]] virtual const std::vector<TensorInfo>& inputs() const = 0;
  [[nodiscard]] virtual const std::vector<TensorInfo>& outputs() const = 0;
  [[nodiscard]] virtual Placement placement() const = 0;
  // What the file says under this key of its own; nullopt: nothing. At most 16 MiB of it is read.
  [[nodiscard]] virtual std::optional<std::string> metadata(const std::string& /*key*/) const { return std::nullopt; }

  // `inputs` in the order of inputs(); gives the outputs named (all of outputs() when empty), in that order.
  // float16 outputs come as kFloat32. Errors: kInvalidArgument (wrong count, type or shape: says which), kOutOfMemory,
  // kInternal.
  [[nodiscard]] virtual Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                                        std::span<const std::string> outputs = {}) const = 0;

  // Copies `inputs` to the GPU. kUnsupported on the CPU.
  [[nodiscard]] virtual Result<std::unique_ptr<ResidentRun>> resident(std::span<const Tensor> /*inputs*/) const {
    return fail(ErrorCode::kUnsupported, "the CPU's memory is where inputs are");
  }
};

// "1.31.1", or why the library cannot be loaded. Loads it.
Result<std::string> runtime_version();

}  // namespace image_engine::infer
