// What models are for: a row for each task that their specs may name.
#pragma once

#include <cstdint>
#include <string_view>

#include "models/spec.h"

namespace image_engine::models {

// What the benchmark compares of two models that analyze whole pictures.
enum class PictureAnswer : std::uint8_t {
  kNone,     // it does not analyze whole pictures: it is not measured
  kObjects,  // boxes with labels
  kVector,   // which pictures are near each other
  kLabel,    // the best label
};

inline constexpr char kPromptedTask[] = "prompted-segmentation";

struct Task {
  std::string_view name;           // as `task` has it in a spec
  double fp16_cosine = 0.999;      // least of outputs in fp16 to those in fp32, where the spec does not say
  double int8_cosine = 0.99;       // likewise
  bool rows_in_any_order = false;  // outputs are [pictures, rows, numbers], and the order of rows means nothing
  PictureAnswer answer = PictureAnswer::kNone;
  bool has_prompts = false;  // it is asked for what a person points at or names, and has no labels
};

// The row of that name; one with the defaults for tasks that have none. Thread-safe; it lives as long as the program.
const Task& task_of(std::string_view name);

// The gate of a precision when the model's spec has none.
Gate default_gate(std::string_view task, std::string_view precision);

}  // namespace image_engine::models
