// ONNX Runtime as the runtime that rewriting a graph needs (graph/runtime.h).
#pragma once

#include "graph/runtime.h"

namespace image_engine::infer {

// On the CPU, with one thread. Thread-safe. Its calls return kNotFound where ONNX Runtime is missing, kInterrupted and
// kTimeout as the runs of a model do (run_watch.h).
class GraphRuntime final : public graph::Runtime {
 public:
  // `operators`: a library of operators that checked models may have (infer/ops); empty: none.
  explicit GraphRuntime(std::string operators = {}) : operators_(std::move(operators)) {}
  [[nodiscard]] Result<std::string> fold(const std::string& model) const override;
  [[nodiscard]] Result<std::vector<graph::TensorFacts>> infer(const std::string& model) const override;
  [[nodiscard]] Status check(const std::string& model) const override;

 private:
  std::string operators_;
};

}  // namespace image_engine::infer
