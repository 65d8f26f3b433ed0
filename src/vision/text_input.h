// Text as an input of a model's graph.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "infer/session.h"
#include "types/tensor.h"

namespace image_engine::vision {

inline constexpr std::string_view kTextIds = "input_ids";  // as exporters call a text's tokens

// Checks that it is one of input_ids, attention_mask and token_type_ids, and takes integers [n, tokens]. kCorrupt, with
// a message that continues "model NAME: ".
Status check_text_input(const infer::TensorInfo& input, std::size_t context);

// A row for each text: its ids and then `padding`; of attention_mask 1 where there are ids, of token_type_ids zeros.
// `length` is at least that of the longest. The input was checked.
Tensor text_input(const infer::TensorInfo& input, std::span<const std::vector<std::int64_t>> ids, std::size_t length,
                  std::int64_t padding);

}  // namespace image_engine::vision
