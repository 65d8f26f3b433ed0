// Reads text in pictures, with a model of three steps: detection, orientation, recognition.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "types/image.h"

namespace image_engine::vision {

struct Point {
  float x = 0, y = 0;  // pixels of the upright photo
};
struct TextLine {
  std::string text;              // UTF-8
  float confidence = 0;          // 0…1, mean of its characters'
  std::array<Point, 4> polygon;  // top left, top right, bottom right, bottom left, as the text is read
};

// Sessions of the spec's parts: `detect` (DB: Liao et al., Real-time Scene Text Detection with Differentiable
// Binarization, 2020), `orient` (0 or 180 degrees), `read` (CTC over the characters in the graph's metadata or in the
// file that its option `characters` names).
struct TextSessions {
  std::shared_ptr<infer::Session> detect, orient, read;
};

class TextReader {
 public:
  // Errors: kInvalidArgument (the spec), kCorrupt (a graph, or its characters are missing or not as many as it has
  // classes).
  static Result<TextReader> create(const models::Spec& spec, TextSessions sessions);

  // Decodes the photo again with a longer edge of at least `edge` pixels, if it is that large; the picture that was
  // given with it is no longer valid then.
  using Larger = std::function<Result<ImageView>(std::uint32_t edge)>;

  // A cheap check of a small picture (longer edge about 640): whether it may contain readable text. Looks for large
  // letters at half the size, for small ones where strokes are, and for those that are too small to be seen, where
  // their texture is, in `larger` or, without it, in the enlarged picture (text_places.h). Errs towards yes;
  // docs/accuracy.md has its miss rate. Always yes if the detector's option `look` is 0. `only_large`: only the first
  // of these, at a quarter of the cost. Thread-safe.
  [[nodiscard]] Result<bool> may_have_text(const ImageView& small, bool only_large = false,
                                           const Larger& larger = {}) const;

  // Where text is, whether it can be read or not: as read(), but without reading. In pixels of `picture`. Thread-safe.
  [[nodiscard]] Result<std::vector<std::array<Point, 4>>> find(const ImageView& picture) const;

  // The text of `picture` in reading order (top to bottom, then left to right within a line, as PaddleOCR sorts). At
  // most kMostLines. Large pictures are searched at the detector's short edge, and at their own size only where lines
  // are small or the texture is that of small letters (text_places.h); small lines are read from `larger`, if given.
  // `full_width` and `full_height`: of the photo; polygons are in its pixels. Thread-safe.
  [[nodiscard]] Result<std::vector<TextLine>> read(const ImageView& picture, std::uint32_t full_width,
                                                   std::uint32_t full_height, const Larger& larger = {}) const;

  // The longer edge that a picture should have for read().
  [[nodiscard]] std::uint32_t wanted_edge() const;

 private:
  TextReader() = default;
  struct State;
  std::shared_ptr<const State> state_;
};
inline constexpr std::size_t kMostLines = 1000;

}  // namespace image_engine::vision
