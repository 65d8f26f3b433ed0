// Reads single lines of text, that were found in a picture: orientation and recognition.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "types/image.h"
#include "vision/text.h"
#include "vision/text_characters.h"
#include "vision/text_part.h"
#include "vision/text_pixels.h"

namespace image_engine::vision {

// A box' content, turned so that its lines run from left to right or from right to left. Empty: no pixels.
Image line_of(const ImageView& picture, const Quad& box);

// By box, the ratio of width to height that it shares with those that are about as wide.
std::vector<double> shared_ratios(std::span<const Quad> boxes);

// Thread-safe; errors are those of run_text_part(), and kCorrupt for outputs of other shapes.
struct LineReader {
  TextPart orient, reader;
  float turned_over = 0;                // the least confidence that a line is upside down
  std::vector<std::string> characters;  // of read_characters()

  [[nodiscard]] Result<bool> is_upside_down(const Image& line) const;

  // `ratio`: of the input's width to its height, where the line's own and the part's are less.
  [[nodiscard]] Result<Decoded> recognise(const Image& line, double ratio = 0) const;

  // The text of line_of(…, box) and the box' corners in reading order. nullopt: no text. Orientation is only checked if
  // in doubt: upside down, hardly any text is read with confidence.
  [[nodiscard]] Result<std::optional<TextLine>> read(Image line, const Quad& box, double ratio = 0) const;
};

}  // namespace image_engine::vision
