// The characters of a text recognition model, and decoding of its probabilities.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"

namespace image_engine::vision {

// By class: the blank first (an empty text), then those of the graph's metadata `character` or of the file that the
// option `characters` names (beside the spec; one a line), then a space. kInvalidArgument: the file cannot be read;
// kCorrupt, with a message that continues "model NAME: ": there are none, or they are not UTF-8.
Result<std::vector<std::string>> read_characters(const models::Spec& spec, const infer::Session& session);

// Greedy CTC (Graves et al., 2006): the likeliest class of each step, without repeats and blanks. `steps`: rows of
// characters.size() probabilities.
struct Glyph {
  std::size_t at = 0;  // in the text, bytes
  double centre = 0;   // 0…1, of all steps
};
struct Decoded {
  std::string text;
  float confidence = 0;       // the mean over the characters; 0 if there are none
  std::vector<Glyph> glyphs;  // of the characters
};
Decoded decode_ctc(std::span<const float> steps, std::span<const std::string> characters);

}  // namespace image_engine::vision
