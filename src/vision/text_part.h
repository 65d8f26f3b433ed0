// One graph of a reader of text: the detector, or what reads a line.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "vision/text_pixels.h"

namespace image_engine::vision {

struct TextPart {
  std::shared_ptr<infer::Session> session;
  std::string output;
  Normalisation normalisation;
  std::uint32_t width = 0, height = 0;  // of its input, where it is not of any size
};

// Checks the spec and the graph's input [1, 3, height, width]. Errors: kInvalidArgument (the spec, no session),
// kCorrupt (the graph); messages continue "model NAME: ".
Result<TextPart> text_part(const models::Spec& spec, std::shared_ptr<infer::Session> session, bool any_size);

// The part's output. kCorrupt: it is missing, or not of finite numbers. Thread-safe.
Result<Tensor> run_text_part(const TextPart& part, const Tensor& input);

// kCorrupt: "its output … is no WHAT".
tl::unexpected<Error> wrong_text_output(std::string_view what, const Tensor& output);

}  // namespace image_engine::vision
