// Checks of a model's spec and graph, shared by all that run models.
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

// The plan that a spec's input section describes. kInvalidArgument names the invalid value; kUnsupported: it is
// of several frames (actions.h).
Result<preprocess::Plan> plan_of(const models::Spec& spec);

// The other functions return kCorrupt where nothing else is said, with messages that continue "model NAME: ".

// The index of the picture among the graph's inputs. Only one named `besides` may exist as well.
Result<std::size_t> find_picture(const models::Spec& spec, const std::vector<infer::TensorInfo>& inputs,
                                 std::string_view besides = {});
// Checks that the graph's input accepts the plan's tensor of one picture.
Status check_input(const preprocess::Plan& plan, const infer::TensorInfo& input);
// Checks that the graph has these outputs.
Status check_outputs(const std::vector<std::string>& wanted, const std::vector<infer::TensorInfo>& outputs);
// The graph's output of that name; an empty name: its only one.
Result<std::string> find_output(const std::vector<std::string>& wanted, const std::vector<infer::TensorInfo>& outputs);
// Checks that an output has a row for each of `items` pictures or texts, and only finite numbers.
Status check_output(const Tensor& tensor, std::size_t items);

// A head's option that is yes or no; no where it is absent. kInvalidArgument: neither.
Result<bool> yes_or_no(const models::Spec& spec, const char* name);

// "[1,3,?,?]", −1 being "?".
std::string shape_text(const std::vector<std::int64_t>& shape);
bool all_finite(std::span<const float> values);
tl::unexpected<Error> name_model(const std::string& model, Error error);

}  // namespace image_engine::vision
