// What all readers of a model ask of its spec and its graph before they trust them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "preprocess/plan.h"
#include "types/tensor.h"

namespace image_engine::vision {

// The plan that a spec's input section describes. kInvalidArgument names the value that is none.
Result<preprocess::Plan> plan_of(const models::Spec& spec);

// The rest gives kCorrupt, in words that go on from "model NAME: ".

// The place of the picture among the graph's inputs. None but the one named `besides` may be there as well.
Result<std::size_t> find_picture(const models::Spec& spec, const std::vector<infer::TensorInfo>& inputs,
                                 std::string_view besides = {});
// That the graph's input takes what the plan makes of one picture.
Status check_input(const preprocess::Plan& plan, const infer::TensorInfo& input);
// That the graph has these outputs.
Status check_outputs(const std::vector<std::string>& wanted, const std::vector<infer::TensorInfo>& outputs);
// The graph's output of that name; an empty name: its only one.
Result<std::string> find_output(const std::vector<std::string>& wanted, const std::vector<infer::TensorInfo>& outputs);
// That an output holds as many finite numbers as its shape says, for that many pictures or texts.
Status check_output(const Tensor& tensor, std::size_t items);

// "[1,3,?,?]", −1 being "?".
std::string shape_text(const std::vector<std::int64_t>& shape);
bool all_finite(std::span<const float> values);
tl::unexpected<Error> name_model(const std::string& model, Error error);

}  // namespace image_engine::vision
