// Running models. Nothing here shows which runtime does it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "types/tensor.h"

namespace image_engine::infer {

struct TensorInfo {
  std::string name;
  ElementType type = ElementType::kFloat32;
  std::vector<std::int64_t> shape;  // −1: any
};

struct SessionOptions {
  // Threads inside one run. 1 is best when several pictures are run at once, which is what the pipeline does.
  int threads = 1;
  // Fixes named symbolic dimensions ("batch", 1), so that the runtime can plan memory once.
  std::vector<std::pair<std::string, std::int64_t>> fixed_dimensions;
};

// What really runs it.
struct Placement {
  std::string device = "cpu";    // "cpu", "cuda:0"
  std::string provider = "CPU";  // for people
};

// A loaded model. run() may be called from many threads at once.
class Session {
 public:
  // Loads an ONNX file. External data is only read from the model's own folder.
  // Errors: kNotFound (file, or the runtime library: says what to install), kCorrupt (not a model, data outside its
  // folder), kUnsupported (an operator or opset that the runtime lacks), kOutOfMemory.
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
};

// "1.31.1", or why the library cannot be loaded. Loads it.
Result<std::string> runtime_version();

}  // namespace image_engine::infer
