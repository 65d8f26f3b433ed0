// A model that always gives the same outputs.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "infer/session.h"

namespace image_engine::vision {

inline Tensor floats(std::vector<std::int64_t> shape, float value = 0) {
  Tensor tensor = Tensor::zeros(ElementType::kFloat32, std::move(shape));
  for (float& element : tensor.as<float>()) element = value;
  return tensor;
}

class FakeSession : public infer::Session {
 public:
  std::vector<infer::TensorInfo> inputs_, outputs_;
  std::vector<Tensor> values_;  // of outputs_
  mutable std::vector<Tensor> seen_;

  void give(const std::string& name, Tensor value) {
    outputs_.push_back({name, value.type, value.shape});
    values_.push_back(std::move(value));
  }

  [[nodiscard]] const std::vector<infer::TensorInfo>& inputs() const override { return inputs_; }
  [[nodiscard]] const std::vector<infer::TensorInfo>& outputs() const override { return outputs_; }
  [[nodiscard]] infer::Placement placement() const override { return {}; }
  [[nodiscard]] Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                                std::span<const std::string> outputs) const override {
    seen_.assign(inputs.begin(), inputs.end());
    if (outputs.empty()) return values_;
    std::vector<Tensor> named;
    for (const std::string& name : outputs)
      for (std::size_t i = 0; i < outputs_.size(); ++i)
        if (outputs_[i].name == name) named.push_back(values_[i]);
    return named;
  }
};

}  // namespace image_engine::vision
