// Compares a model's outputs at two precisions.
#pragma once

#include <span>
#include <string>

#include "core/result.h"
#include "models/spec.h"
#include "types/tensor.h"

namespace image_engine::infer {

// The worst values of all compared tensors.
struct Agreement {
  double cosine = 1;      // of a tensor's elements as one vector; 1 for two zero vectors
  double mean_error = 0;  // mean absolute difference
  void take_worse(const Agreement& other);
};

// kCorrupt where `other` has another number of tensors, another type or shape, or a number that is not finite.
Result<Agreement> agreement(std::span<const Tensor> reference, std::span<const Tensor> other);

// The same for outputs whose row order is arbitrary: in tensors [pictures, rows, numbers], each number's values in a
// picture are sorted first. A detector that orders rows by score may swap nearly equal ones.
Result<Agreement> agreement_in_any_order(std::span<const Tensor> reference, std::span<const Tensor> other);

// The agreement of outputs of the spec's model: in any order if its task has no order.
Result<Agreement> agreement_of(const models::Spec& spec, std::span<const Tensor> reference,
                               std::span<const Tensor> other);

// kInvalidArgument reports the required and the found value. NaN passes no gate.
Status check_gate(const Agreement& found, const models::Gate& gate);

}  // namespace image_engine::infer
