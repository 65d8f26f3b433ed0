// What rewriting a graph needs of an inference runtime. src/infer implements it with ONNX Runtime.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"

namespace image_engine::graph {

// A dimension of a tensor: a size, a named free one, or unknown.
struct Dimension {
  std::int64_t size = -1;  // −1: not known
  std::string name;        // of a free dimension
  // Whether they are certainly equal.
  bool operator==(const Dimension& other) const {
    return size == other.size && (is_known() || (!name.empty() && name == other.name));
  }
  [[nodiscard]] bool is_known() const { return size >= 0; }
};
using Shape = std::vector<Dimension>;

struct TensorFacts {
  std::string name;
  int kind = 0;  // TensorProto::DataType
  std::optional<Shape> shape;
};

class Runtime {
 public:
  Runtime() = default;
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  virtual ~Runtime() = default;
  // The model with everything that constants and known shapes determine computed. Takes and returns a serialised
  // ModelProto. Errors: kCorrupt, kUnsupported, kOutOfMemory, those of writing a temporary file: kIo where it may be
  // that.
  [[nodiscard]] virtual Result<std::string> fold(const std::string& model) const = 0;
  // The types and shapes of the model's outputs that are tensors.
  [[nodiscard]] virtual Result<std::vector<TensorFacts>> infer(const std::string& model) const = 0;
  // Whether it can load the model.
  [[nodiscard]] virtual Status check(const std::string& model) const = 0;
};

}  // namespace image_engine::graph
