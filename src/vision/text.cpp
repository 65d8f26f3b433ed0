#include "vision/text.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <string_view>

#include "core/text.h"
#include "vision/graph_checks.h"
#include "vision/text_boxes.h"
#include "vision/text_characters.h"
#include "vision/text_lines.h"
#include "vision/text_part.h"
#include "vision/text_pixels.h"
#include "vision/text_places.h"

namespace image_engine::vision {
namespace {

// The defaults of rapidocr-onnxruntime 1.4.4, the reference of our tests.
constexpr std::uint32_t kStep = 32;       // the detector's edges are multiples of it
constexpr std::uint32_t kLeastEdge = 30;  // of a picture; a smaller one is enlarged
constexpr std::uint32_t kWidest = 8;      // width / height above which rows are added
// Our own limits on time and memory.
constexpr double kMostRatio = 100;   // of a picture's edges: text in narrower ones is unreadable
constexpr double kMostPixels = 4e6;  // of the detector's input: half a gigabyte to compute with
// may_have_text(): docs/accuracy.md, "Text in pictures".
constexpr std::uint32_t kPreviewEdge = 448;  // the detector's short edge; overridden by the option `look`
constexpr float kPreviewThreshold = 0.3F;
constexpr std::size_t kPreviewPixels = 9;  // fewer are in no box
constexpr std::size_t kMostTried = 4;      // this many boxes are text without reading them
constexpr double kWholePicture = 2. / 3;   // of the short edge: a box this large hides its content
constexpr float kTriedConfidence = 0.3F;
constexpr float kLetterConfidence = 0.75F;  // of a single character: round things resemble an O
constexpr double kCloser = 3.2;             // a second look's pixels for one of the small picture
constexpr double kCloserPixels = 2.5e5;     // of all its places together: less close where there are more
constexpr double kLineRatio = 3;            // of a line's width to its height: what a second look needs to see
// read() of large pictures.
constexpr double kSmallLine = 24;       // height of a box in the detector's input below which it looks closer
constexpr double kLeastTilt = 1.5;      // pixels of the first map
constexpr double kSmallToRead = 32;     // pixels: lines of lower boxes are read from a larger picture
constexpr std::uint32_t kEnlarged = 2;  // its longer edge, of the usual one

std::uint32_t to_step(double edge) {
  const double steps = std::nearbyint(std::trunc(edge) / kStep);
  return static_cast<std::uint32_t>(std::max(steps, 1.0)) * kStep;
}

// A resized picture or the original.
struct Shown {
  Image own;
  ImageView view;

  void take(Image image) {
    own = std::move(image);
    view = {own.width, own.height, own.pixels};
  }
};

// Resizes by a ratio, with edges rounded to the detector's step.
void resize_by(Shown& shown, double ratio) {
  const std::uint32_t width = to_step(shown.view.width * ratio), height = to_step(shown.view.height * ratio);
  if (width != shown.view.width || height != shown.view.height) shown.take(resize_linear(shown.view, width, height));
}

TextMap text_map(const Tensor& map) {
  return {static_cast<std::uint32_t>(map.shape[3]), static_cast<std::uint32_t>(map.shape[2]), map.as<float>()};
}

// Whether the middle of `inner` is in the smallest upright rectangle around `outer`.
bool covers(const Quad& outer, const Quad& inner) {
  const float x = (inner[0].x + inner[2].x) / 2, y = (inner[0].y + inner[2].y) / 2;
  const auto [left, right] = std::ranges::minmax(outer, {}, &Point::x);
  const auto [top, bottom] = std::ranges::minmax(outer, {}, &Point::y);
  return left.x <= x && x <= right.x && top.y <= y && y <= bottom.y;
}

bool is_one_character(std::string_view utf8) { return character_count(utf8) == 1; }

// The rows to add above and below low or wide pictures.
std::uint32_t rows_beside(const ImageView& view) {
  if (view.height > kLeastEdge && view.width <= std::uint64_t{kWidest} * view.height) return 0;
  const std::uint32_t wanted = std::max(view.width / kWidest, kLeastEdge) * 2;
  return (wanted > view.height ? wanted - view.height : view.height - wanted) / 2;
}

}  // namespace

struct TextReader::State {
  std::string model;
  TextPart detect;
  LineReader lines;
  std::uint32_t least_edge = 0, longest = 0;  // of the detector's input: its short edge; and of the picture
  std::uint32_t preview_edge = 0;             // 0: no preview
  BoxOptions boxes;
  float least_confidence = 0;  // of a line

  // The detector's probabilities for the picture, resized by `ratio`.
  [[nodiscard]] Result<Tensor> map_of(const ImageView& picture, double ratio) const {
    const double pixels = ratio * picture.width * ratio * picture.height;
    if (pixels > kMostPixels) ratio *= std::sqrt(kMostPixels / pixels);
    Shown shown{{}, picture};
    resize_by(shown, ratio);
    const std::int64_t width = shown.view.width, height = shown.view.height;
    Tensor input = Tensor::zeros(ElementType::kFloat32, {1, 3, height, width});
    fill_planes(shown.view, detect.normalisation, shown.view.width, input.as<float>());
    IE_TRY(Tensor map, run_text_part(detect, input));
    if (map.shape != std::vector<std::int64_t>{1, 1, height, width}) return wrong_text_output("map of its input", map);
    return map;
  }

  [[nodiscard]] Result<std::vector<Quad>> find(const ImageView& picture) const {
    const double shorter = std::min(picture.width, picture.height);
    IE_TRY(const Tensor map, map_of(picture, shorter < least_edge ? least_edge / shorter : 1));
    std::vector<Quad> found = find_boxes(text_map(map), boxes, picture.width, picture.height);
    sort_for_reading(found);
    return found;
  }

  // As find(), at the detector's short edge; then at the picture's own size where lines are small or may be. A pixel of
  // the first map is several of the picture's: a tilt of one is that of the map.
  [[nodiscard]] Result<std::vector<Quad>> find_closer(const ImageView& picture) const {
    const double ratio = double{1} * least_edge / std::min(picture.width, picture.height);
    if (ratio >= 1) return find(picture);
    IE_TRY(const Tensor map, map_of(picture, ratio));
    BoxOptions of_reduced = boxes;
    of_reduced.least_tilt = kLeastTilt;
    std::vector<Quad> found = find_boxes(text_map(map), of_reduced, picture.width, picture.height);
    std::vector<Area> areas = text_texture(picture);
    std::ranges::copy(areas_of_small(found, kSmallLine / ratio, picture), std::back_inserter(areas));
    for (const Area& area : joined(std::move(areas), picture)) {
      IE_TRY(const std::vector<Quad> closer, find_in(picture, area, 1));
      std::erase_if(found, [&](const Quad& box) { return lies_in(box, area); });
      std::ranges::copy_if(closer, std::back_inserter(found), [&, whole = found](const Quad& box) {
        return std::ranges::none_of(whole, [&](const Quad& other) { return covers(other, box); });
      });
    }
    sort_for_reading(found);
    return found;
  }

  // As map_of() of a part of the picture.
  [[nodiscard]] Result<Tensor> map_in(const ImageView& picture, const Area& area, double ratio) const {
    if (area.width == picture.width && area.height == picture.height) return map_of(picture, ratio);
    return map_of(view_of(crop(picture, area.x, area.y, area.width, area.height)), ratio);
  }

  // The boxes of a part's map, in the picture's pixels.
  [[nodiscard]] std::vector<Quad> boxes_in(const Tensor& map, const Area& area) const {
    std::vector<Quad> found = find_boxes(text_map(map), boxes, area.width, area.height);
    for (Quad& box : found)
      for (Point& at : box) at.x += static_cast<float>(area.x), at.y += static_cast<float>(area.y);
    return found;
  }

  [[nodiscard]] Result<std::vector<Quad>> find_in(const ImageView& picture, const Area& area, double ratio) const {
    IE_TRY(const Tensor map, map_in(picture, area, ratio));
    return boxes_in(map, area);
  }

  // Whether one of a few boxes contains readable text; many boxes are not tried.
  [[nodiscard]] Result<bool> may_be_text(const ImageView& picture, std::span<const Quad> found) const {
    const auto is_whole = [&](const Quad& box) {
      const CutSize size = cut_size(box);
      return std::min(size.width, size.height) > kWholePicture * std::min(picture.width, picture.height);
    };
    if (found.size() >= kMostTried || std::ranges::any_of(found, is_whole)) return true;
    for (const Quad& box : found) {
      IE_TRY(const auto line, lines.read(line_of(picture, box), box));
      if (line && line->confidence >= (is_one_character(line->text) ? kLetterConfidence : kTriedConfidence))
        return true;
    }
    return false;
  }

  // Whether the detector sees text in these places of the picture, resized by `ratio`.
  [[nodiscard]] Result<bool> sees_text(const ImageView& small, std::span<const Area> places, double ratio) const {
    std::vector<Quad> found;
    for (const Area& place : places) {
      IE_TRY(const Tensor map, map_in(small, place, ratio));
      const auto over = std::ranges::count_if(map.as<float>(), [](float p) { return p > kPreviewThreshold; });
      if (static_cast<std::size_t>(over) < kPreviewPixels) continue;
      const std::vector<Quad> boxes_here = boxes_in(map, place);
      if (boxes_here.empty()) return true;  // it sees something that is no box
      std::ranges::copy(boxes_here, std::back_inserter(found));
    }
    return may_be_text(small, found);
  }

  // Large letters at half the size, small ones where strokes are; all at once where that is most of the picture.
  [[nodiscard]] Result<bool> may_have_text(const ImageView& small, bool only_large, const Larger& larger) const {
    const double ratio = double{1} * preview_edge / std::min(small.width, small.height);
    const Area whole{0, 0, small.width, small.height};
    if (only_large) return sees_text(small, {&whole, 1}, ratio / 2);
    const std::vector<Area> places = stroke_places(small);
    if (places.empty() || places.front().width < whole.width || places.front().height < whole.height) {
      IE_TRY(const bool large, sees_text(small, {&whole, 1}, ratio / 2));
      if (large) return true;
    }
    IE_TRY(const bool text, sees_text(small, places, ratio));
    return text ? text : may_have_small_text(small, larger);
  }

  // Letters that small are seen at their places in a larger picture: there the shape of a line must do. `small` is not
  // valid afterwards.
  [[nodiscard]] Result<bool> may_have_small_text(const ImageView& small, const Larger& larger) const {
    const std::vector<Area> places = text_texture(small);
    if (places.empty()) return false;
    IE_TRY(const ImageView picture, larger ? larger(longest) : Result<ImageView>(small));
    const double by = double{1} * picture.width / small.width;
    std::vector<Area> there;
    for (const Area& place : places) there.push_back(enlarged(place, by, picture));
    there = joined(std::move(there), picture);
    double pixels = 0;
    for (const Area& area : there) pixels += double{1} * area.width * area.height;
    const double ratio = std::min(kCloser / by, std::sqrt(kCloserPixels / pixels));
    for (const Area& area : there) {
      IE_TRY(const std::vector<Quad> found, find_in(picture, area, ratio));
      const auto is_line = [](const Quad& box) {
        const CutSize size = cut_size(box);
        return size.width >= kLineRatio * size.height;
      };
      if (std::ranges::any_of(found, is_line)) return true;
    }
    return false;
  }
};

Result<TextReader> TextReader::create(const models::Spec& spec, TextSessions sessions) {
  auto state = std::make_shared<State>();
  state->model = spec.name;
  const auto made = [&]() -> Status {
    IE_TRY(const models::Spec detect, models::part_of(spec, "detect"));
    IE_TRY(const models::Spec orient, models::part_of(spec, "orient"));
    IE_TRY(const models::Spec reader, models::part_of(spec, "read"));
    IE_TRY(state->detect, text_part(detect, std::move(sessions.detect), true));
    IE_TRY(state->lines.orient, text_part(orient, std::move(sessions.orient), false));
    IE_TRY(state->lines.reader, text_part(reader, std::move(sessions.read), false));
    state->least_edge = detect.input.resize_edge, state->longest = detect.input.longest;
    if (state->least_edge < kStep || state->least_edge > state->longest || state->longest > preprocess::kLargestEdge)
      return fail(ErrorCode::kInvalidArgument,
                  "its spec's detector needs a resize_edge of 32 or more and a longest of " +
                      std::to_string(preprocess::kLargestEdge) + " or less");
    IE_TRY(const double threshold, models::number_option(detect, "threshold", 0.3));
    IE_TRY(const double box_threshold, models::number_option(detect, "box_threshold", 0.5));
    IE_TRY(state->boxes.unclip, models::number_option(detect, "unclip", 1.6));
    IE_TRY(const double preview, models::number_option(detect, "look", kPreviewEdge));
    IE_TRY(const double turned_over, models::number_option(orient, "threshold", 0.9));
    IE_TRY(const double least_confidence, models::number_option(reader, "threshold", 0.5));
    if (!(state->boxes.unclip > 0 && state->boxes.unclip <= 10))
      return fail(ErrorCode::kInvalidArgument, "its spec's option unclip must be more than 0 and at most 10");
    if (!(preview == 0 || (preview >= kStep && preview <= state->longest)))
      return fail(ErrorCode::kInvalidArgument, "its spec's option look must be 0 or a short edge of " +
                                                   std::to_string(kStep) + " pixels up to its longest");
    state->preview_edge = static_cast<std::uint32_t>(preview);
    state->boxes.threshold = static_cast<float>(threshold);
    state->boxes.box_threshold = static_cast<float>(box_threshold);
    state->boxes.most = kMostLines;
    state->lines.turned_over = static_cast<float>(turned_over);
    state->least_confidence = static_cast<float>(least_confidence);
    IE_TRY(state->lines.characters, read_characters(reader, *state->lines.reader.session));

    // Errors that shapes do not reveal occur here once, not on every photo.
    Image grey{kStep * 2, kStep, {}};
    grey.pixels.assign(grey.row_bytes() * grey.height, 128);
    IE_CHECK(state->map_of(view_of(grey), 1));
    IE_CHECK(state->lines.is_upside_down(grey));
    IE_CHECK(state->lines.recognise(grey));
    return {};
  }();
  if (!made) return name_model(spec.name, made.error());
  TextReader reader;
  reader.state_ = std::move(state);
  return reader;
}

namespace {

Status check_whole(const ImageView& picture) {
  if (picture.width == 0 || picture.height == 0 ||
      picture.pixels.size() != std::size_t{picture.width} * picture.height * 3)
    return fail(ErrorCode::kInvalidArgument, "the picture is empty or incomplete");
  return {};
}

bool is_narrow(const ImageView& picture) {
  const double longer = std::max(picture.width, picture.height), shorter = std::min(picture.width, picture.height);
  return longer > kMostRatio * shorter;
}

}  // namespace

Result<bool> TextReader::may_have_text(const ImageView& small, bool only_large, const Larger& larger) const {
  IE_CHECK(check_whole(small));
  if (is_narrow(small)) return false;
  if (state_->preview_edge == 0) return true;
  auto found = state_->may_have_text(small, only_large, larger);
  if (!found) return name_model(state_->model, std::move(found).error());
  return *found;
}

namespace {

// A picture as the detector gets it, and the way back to the photo's pixels.
struct FittedPicture {
  Shown shown;
  std::uint32_t rows = 0;  // that were added above and below
  double across = 1, down = 1;
  double width = 0, height = 0;

  [[nodiscard]] std::array<Point, 4> in_photo(std::array<Point, 4> polygon) const {
    for (Point& point : polygon)
      point = {static_cast<float>(std::clamp(point.x * across, 0.0, width)),
               static_cast<float>(std::clamp((double{point.y} - rows) * down, 0.0, height))};
    return polygon;
  }
};

FittedPicture fitted(const ImageView& picture, std::uint32_t longest, std::uint32_t full_width,
                     std::uint32_t full_height) {
  FittedPicture fit;
  Shown& shown = fit.shown;
  shown.view = picture;
  if (const double longer = std::max(picture.width, picture.height); longer > longest)
    resize_by(shown, longest / longer);
  if (const double shorter = std::min(shown.view.width, shown.view.height); shorter < kLeastEdge)
    resize_by(shown, kLeastEdge / shorter);
  fit.width = full_width, fit.height = full_height;
  fit.across = fit.width / shown.view.width, fit.down = fit.height / shown.view.height;
  fit.rows = rows_beside(shown.view);
  if (fit.rows > 0) shown.take(with_rows(shown.view, fit.rows));
  return fit;
}

}  // namespace

Result<std::vector<std::array<Point, 4>>> TextReader::find(const ImageView& picture) const {
  IE_CHECK(check_whole(picture));
  std::vector<std::array<Point, 4>> found;
  if (is_narrow(picture)) return found;
  const FittedPicture fit = fitted(picture, state_->longest, picture.width, picture.height);
  const Result<std::vector<Quad>> boxes = state_->find(fit.shown.view);
  if (!boxes) return name_model(state_->model, boxes.error());
  for (const Quad& box : *boxes) found.push_back(fit.in_photo(box));
  return found;
}

namespace {

// A box on the larger picture of the photo.
Quad on_larger(const FittedPicture& fit, const Quad& box, const ImageView& larger) {
  Quad moved = fit.in_photo(box);
  for (Point& at : moved)
    at = {static_cast<float>(at.x * larger.width / fit.width), static_cast<float>(at.y * larger.height / fit.height)};
  return moved;
}

// The lines of all boxes; small ones from a larger picture, if there is one. `fit` is not valid afterwards.
Result<std::vector<Image>> lines_of(const FittedPicture& fit, std::span<const Quad> boxes, std::uint32_t longest,
                                    const TextReader::Larger& larger) {
  std::vector<Image> lines(boxes.size());
  std::vector<std::size_t> small;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const CutSize size = cut_size(boxes[i]);
    lines[i] = line_of(fit.shown.view, boxes[i]);
    if (std::min(size.width, size.height) < kSmallToRead) small.push_back(i);
  }
  const bool is_reduced = fit.across > 1 && fit.down > 1;
  if (small.empty() || !larger || !is_reduced) return lines;
  IE_TRY(const ImageView again, larger(longest * kEnlarged));
  if (again.width * fit.across <= fit.width) return lines;  // no larger than before
  for (const std::size_t i : small) lines[i] = line_of(again, on_larger(fit, boxes[i], again));
  return lines;
}

}  // namespace

Result<std::vector<TextLine>> TextReader::read(const ImageView& picture, std::uint32_t full_width,
                                               std::uint32_t full_height, const Larger& larger) const {
  IE_CHECK(check_whole(picture));
  if (full_width == 0 || full_height == 0) return fail(ErrorCode::kInvalidArgument, "the photo is empty");
  std::vector<TextLine> lines;
  if (is_narrow(picture)) return lines;
  const FittedPicture fit = fitted(picture, state_->longest, full_width, full_height);

  const auto read = [&]() -> Status {
    IE_TRY(const std::vector<Quad> boxes, state_->find_closer(fit.shown.view));
    const std::vector<double> ratios = shared_ratios(boxes);
    IE_TRY(std::vector<Image> images, lines_of(fit, boxes, state_->longest, larger));
    for (std::size_t i = 0; i < boxes.size(); ++i) {
      IE_TRY(auto line, state_->lines.read(std::move(images[i]), boxes[i], ratios[i]));
      if (line && line->confidence >= state_->least_confidence) lines.push_back(std::move(*line));
    }
    return {};
  };
  if (const Status done = read(); !done) return name_model(state_->model, done.error());
  for (TextLine& line : lines) line.polygon = fit.in_photo(line.polygon);
  return lines;
}

std::uint32_t TextReader::wanted_edge() const { return state_->longest; }

}  // namespace image_engine::vision
