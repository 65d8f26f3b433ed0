#include "vision/text_lines.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "vision/graph_checks.h"
#include "vision/text_spaces.h"

namespace image_engine::vision {
namespace {

// The defaults of rapidocr-onnxruntime 1.4.4, the reference of our tests.
constexpr std::size_t kLinesAWidth = 6;  // this many are padded to the widest, which affects the result
constexpr double kUprightRatio = 1.5;    // of height to width; higher cuts are rotated
// Our own limit on time and memory.
constexpr double kMostLineRatio = 100;  // of a line's width to its height; the rest is squeezed
// Text read with this confidence is upright.
constexpr float kSure = 0.9F;

double ratio_of(const Image& image) { return double{1} * image.width / image.height; }

std::uint32_t line_width(const TextPart& part, const Image& cut, std::uint32_t most) {
  return static_cast<std::uint32_t>(std::clamp(std::ceil(part.height * ratio_of(cut)), 1.0, double(most)));
}

// A cut resized to the height of the part's input; the rest of `width` is grey.
Tensor input_of(const TextPart& part, const Image& cut, std::uint32_t width) {
  const Image line = resize_linear(view_of(cut), line_width(part, cut, width), part.height);
  Tensor input = Tensor::zeros(ElementType::kFloat32, {1, 3, std::int64_t{part.height}, std::int64_t{width}});
  fill_planes(view_of(line), part.normalisation, width, input.as<float>());
  return input;
}

bool is_upright(CutSize size) { return double{1} * size.height / size.width >= kUprightRatio; }

}  // namespace

Image line_of(const ImageView& picture, const Quad& box) {
  const CutSize size = cut_size(box);
  if (size.width == 0 || size.height == 0) return {};
  return is_upright(size) ? turned_left(cut(picture, box)) : cut(picture, box);
}

std::vector<double> shared_ratios(std::span<const Quad> found) {
  std::vector<std::pair<double, std::size_t>> lines;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const CutSize size = cut_size(found[i]);
    if (size.width == 0 || size.height == 0) continue;
    const double ratio = double{1} * size.width / size.height;
    lines.emplace_back(is_upright(size) ? 1 / ratio : ratio, i);
  }
  std::ranges::sort(lines);
  std::vector<double> ratios(found.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t widest = std::min(i / kLinesAWidth * kLinesAWidth + kLinesAWidth, lines.size()) - 1;
    ratios[lines[i].second] = lines[widest].first;
  }
  return ratios;
}

Result<bool> LineReader::is_upside_down(const Image& line) const {
  IE_TRY(const Tensor output, run_text_part(orient, input_of(orient, line, orient.width)));
  if (output.count() != 2) return wrong_text_output("two directions for each line", output);
  const float none = output.as<float>()[0], over = output.as<float>()[1];
  return over > none && over > turned_over;
}

Result<Decoded> LineReader::recognise(const Image& line, double ratio) const {
  ratio = std::max({ratio, double{1} * reader.width / reader.height, ratio_of(line)});
  const auto width = static_cast<std::uint32_t>(reader.height * std::min(ratio, kMostLineRatio));
  IE_TRY(const Tensor output, run_text_part(reader, input_of(reader, line, width)));
  const auto& shape = output.shape;
  if (shape.size() != 3 || static_cast<std::size_t>(shape[2]) != characters.size())
    return fail(ErrorCode::kCorrupt, "its output " + shape_text(shape) + " is not of the " +
                                         std::to_string(characters.size()) + " classes that its characters make");
  Decoded decoded = decode_ctc(output.as<float>(), characters);
  for (Glyph& glyph : decoded.glyphs) glyph.centre *= double{1} * width * line.width / line_width(reader, line, width);
  add_spaces(view_of(line), decoded);
  return decoded;
}

Result<std::optional<TextLine>> LineReader::read(Image image, const Quad& box, double ratio) const {
  if (image.pixels.empty()) return std::nullopt;
  const bool upright = is_upright(cut_size(box));
  IE_TRY(Decoded decoded, recognise(image, ratio));
  bool turned = false;
  if (decoded.confidence < kSure) {
    IE_TRY(turned, is_upside_down(image));
    if (turned) {
      turn_over(image);
      IE_TRY(decoded, recognise(image, ratio));
    }
  }
  if (decoded.text.empty()) return std::nullopt;
  TextLine line{std::move(decoded.text), decoded.confidence, box};
  std::ranges::rotate(line.polygon, line.polygon.begin() + (upright ? 1 : 0) + (turned ? 2 : 0));
  return line;
}

}  // namespace image_engine::vision
