// How far a model's outputs at one precision are from those at another.
#pragma once

#include <span>
#include <string>

#include "core/result.h"
#include "models/spec.h"
#include "types/tensor.h"

namespace image_engine::infer {

// The worst of all tensors compared.
struct Agreement {
  double cosine = 1;      // of all of a tensor's elements as one vector; two of zeros agree
  double mean_error = 0;  // mean absolute difference
  void take_worse(const Agreement& other);
};

// kCorrupt where `other` has another number of tensors, another type or shape, or a number that is not finite.
Result<Agreement> agreement(std::span<const Tensor> reference, std::span<const Tensor> other);

// The same where the order of rows means nothing: in tensors [pictures, rows, numbers], each number's values in a
// picture are compared in order of size. A detector that picks its rows by score swaps those that are nearly equal.
Result<Agreement> agreement_in_any_order(std::span<const Tensor> reference, std::span<const Tensor> other);

// Of outputs of the spec's model: in any order where its task has no order.
Result<Agreement> agreement_of(const models::Spec& spec, std::span<const Tensor> reference,
                               std::span<const Tensor> other);

// kInvalidArgument says what the gate demands and what was found. NaN passes no gate.
Status check_gate(const Agreement& found, const models::Gate& gate);

}  // namespace image_engine::infer
