#include "cli/drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/hash.h"
#include "core/text.h"
#include "vision/outlines.h"

namespace image_engine::cli {
namespace {

using nlohmann::json;

constexpr Colour kBlack{0, 0, 0}, kWhite{255, 255, 255};
constexpr std::size_t kMostMarks = 1000;  // of each kind
constexpr std::size_t kLongest = 48;      // characters of a label
constexpr double kLeastScene = 0.15;      // as searched for
constexpr float kTint = 0.4F;             // opacity of a mask
constexpr double kMaskTolerance = 1;      // of its outline, places of the mask

Colour colour_of(const std::string& name) {
  // Bright enough for black text on them, and far apart in hue.
  constexpr std::array<Colour, 12> kColours = {{{255, 214, 10},
                                                {50, 215, 75},
                                                {100, 210, 255},
                                                {255, 105, 97},
                                                {255, 159, 10},
                                                {218, 143, 255},
                                                {102, 255, 204},
                                                {255, 130, 190},
                                                {181, 230, 29},
                                                {130, 170, 255},
                                                {240, 190, 140},
                                                {0, 229, 238}}};
  std::size_t sum = 0;
  for (const unsigned char c : hash128(name).hex()) sum = sum * 31 + c;
  return kColours[sum % kColours.size()];
}

std::string shortened(const std::string& text) {
  const std::string whole = printable(text);
  const std::string_view beginning = first_characters(whole, kLongest);
  return beginning.size() == whole.size() ? whole : std::string(beginning) + "…";
}

// A record's members may have any type: a wrong one counts as absent.
std::string text_of(const json& item, const char* key) {
  const auto at = item.is_object() ? item.find(key) : item.end();
  return at != item.end() && at->is_string() ? at->get<std::string>() : std::string();
}
double number_of(const json& item, const char* key) {
  const auto at = item.is_object() ? item.find(key) : item.end();
  return at != item.end() && at->is_number() ? at->get<double>() : 0;
}
double confidence_of(const json& item) { return number_of(item, "confidence"); }
std::string named(const json& item, const char* key) {
  return fmt::format("{} {:.2f}", shortened(text_of(item, key)), confidence_of(item));
}

std::optional<Box> box_of(const json& numbers) {
  if (!numbers.is_array() || numbers.size() != 4) return std::nullopt;
  std::array<float, 4> side{};
  for (std::size_t i = 0; i < 4; ++i) {
    if (!numbers[i].is_number()) return std::nullopt;
    side[i] = numbers[i].get<float>();
  }
  return Box{side[0], side[1], side[2], side[3]};
}

std::vector<Spot> corners_of(const json& polygon) {
  std::vector<Spot> corners;
  if (!polygon.is_array() || polygon.size() > 100) return {};
  for (const json& point : polygon) {
    if (!point.is_array() || point.size() != 2 || !point[0].is_number() || !point[1].is_number()) return {};
    corners.push_back({point[0].get<float>(), point[1].get<float>()});
  }
  return corners;
}

const json& list_of(const json& object, const char* key) {
  static const json kNone = json::array();
  const auto at = object.find(key);
  return at != object.end() && at->is_array() ? *at : kNone;
}

bool overlap(const Box& a, const Box& b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

// Outlines first and text last, so that no line crosses text.
class Drawing {
 public:
  Drawing(Canvas& canvas, const std::optional<Font>& font, std::uint32_t full_width, std::uint32_t full_height)
      : canvas_(canvas),
        font_(font),
        scale_x_(static_cast<float>(canvas.width()) / static_cast<float>(std::max(1U, full_width))),
        scale_y_(static_cast<float>(canvas.height()) / static_cast<float>(std::max(1U, full_height))) {
    const auto edge = static_cast<float>(std::max(canvas.width(), canvas.height()));
    line_ = std::max(1.5F, edge / 500);
    letter_ = std::max(12.0F, std::round(edge / 70));
  }

  // In pixels of the photo.
  void outline(std::vector<Spot> corners, const std::string& words, Colour colour, bool is_dark) {
    for (Spot& corner : corners) corner = {corner.x * scale_x_, corner.y * scale_y_};
    outline_on_canvas(std::move(corners), words, colour, is_dark);
  }

  // In pixels of the canvas. Without words there is no plate.
  void outline_on_canvas(std::vector<Spot> corners, const std::string& words, Colour colour, bool is_dark) {
    if (corners.size() < 3) return;
    for (const auto& [width, ink] : {std::pair(line_ * 2, kBlack), std::pair(line_, colour)})
      for (std::size_t i = 0; i < corners.size(); ++i)
        canvas_.line(corners[i], corners[(i + 1) % corners.size()], width, ink);
    const auto [left, right] = std::ranges::minmax(corners, {}, &Spot::x);
    const auto [top, bottom] = std::ranges::minmax(corners, {}, &Spot::y);
    if (words.empty()) return;
    plates_.push_back({{left.x, top.y, right.x - left.x, bottom.y - top.y}, words, colour, is_dark});
  }

  void corner(const std::string& words) { corner_.push_back(words); }

  void write() {
    if (!font_) return;
    const float height = letter_ + 2 * gap();
    auto y = static_cast<float>(canvas_.height());
    for (std::size_t i = corner_.size(); i-- > 0;) {
      y -= height;
      plate({0, y, font_->width(corner_[i], letter_) + 2 * gap(), height}, corner_[i], kWhite, true);
    }
    for (const Plate& item : plates_) {
      const Box place = free_place(item.about, font_->width(item.words, letter_) + 2 * gap(), height);
      plate(place, item.words, item.colour, item.is_dark);
    }
  }

 private:
  struct Plate {
    Box about;
    std::string words;
    Colour colour;
    bool is_dark;  // coloured text on black instead of black text on the colour
  };
  [[nodiscard]] float gap() const { return std::round(letter_ / 6); }

  // Above the box, below it, within it, or where earlier text leaves room; inside the picture.
  [[nodiscard]] Box free_place(const Box& about, float width, float height) const {
    const float right = std::max(0.0F, static_cast<float>(canvas_.width()) - width);
    const float lowest = std::max(0.0F, static_cast<float>(canvas_.height()) - height);
    const float x = std::clamp(about.x - line_, 0.0F, right);
    const float far = std::clamp(about.x + about.width - width + line_, 0.0F, right);
    const float bottom = about.y + about.height;
    const std::array<Spot, 6> wishes = {{{x, about.y - height},
                                         {x, about.y + line_},
                                         {x, bottom + line_},
                                         {far, about.y - height},
                                         {far, about.y + line_},
                                         {x, bottom - height - line_}}};
    for (const Spot& wish : wishes) {
      const Box place{wish.x, wish.y, width, height};
      if (wish.y >= 0 && wish.y <= lowest && is_free(place)) return place;
    }
    return {x, std::clamp(about.y - height, 0.0F, lowest), width, height};
  }

  [[nodiscard]] bool is_free(const Box& place) const {
    return std::ranges::none_of(taken_, [&](const Box& other) { return overlap(place, other); });
  }

  void plate(const Box& place, const std::string& words, Colour colour, bool is_dark) {
    canvas_.fill(place, is_dark ? kBlack : colour, is_dark ? 0.7F : 0.9F);
    canvas_.write(*font_, {place.x + gap(), place.y + gap()}, words, letter_, is_dark ? colour : kBlack);
    taken_.push_back(place);
  }

  Canvas& canvas_;
  const std::optional<Font>& font_;
  float scale_x_, scale_y_;
  float line_ = 0, letter_ = 0;
  std::vector<Plate> plates_;
  std::vector<std::string> corner_;
  std::vector<Box> taken_;
};

// As mask_of_counts(); a record's members may have any type.
std::optional<vision::Mask> mask_of(const json& item) {
  const auto at = item.is_object() ? item.find("segmentation") : item.end();
  if (at == item.end() || !at->is_object()) return std::nullopt;
  const json& size = list_of(*at, "size");
  const auto is_edge = [](const json& edge) { return edge.is_number_unsigned() && edge <= vision::kMostMaskPixels; };
  if (size.size() != 2 || !is_edge(size[0]) || !is_edge(size[1])) return std::nullopt;
  return vision::mask_of_counts(size[1].get<std::uint32_t>(), size[0].get<std::uint32_t>(), text_of(*at, "counts"));
}

// Draws masks, the largest first; returns their number.
std::size_t draw_masks(Canvas& canvas, Drawing& drawing, const json& list) {
  std::size_t drawn = 0;
  for (const json& item : list) {
    const std::optional<vision::Mask> mask = mask_of(item);
    if (!mask || drawn == kMostMarks) continue;
    const Colour colour = colour_of(text_of(item, "class"));
    canvas.tint(*mask, colour, kTint);
    const float x = static_cast<float>(canvas.width()) / static_cast<float>(mask->width),
                y = static_cast<float>(canvas.height()) / static_cast<float>(mask->height);
    std::string words = fmt::format("{} {:.0f} %", shortened(text_of(item, "class")), 100 * number_of(item, "share"));
    for (const vision::Polygon& polygon : vision::outlines(*mask, kMaskTolerance)) {
      std::vector<Spot> corners;
      for (std::size_t i = 0; i + 1 < polygon.size(); i += 2)
        corners.push_back({static_cast<float>(polygon[i]) * x, static_cast<float>(polygon[i + 1]) * y});
      drawing.outline_on_canvas(std::move(corners), std::exchange(words, ""), colour, false);
    }
    ++drawn;
  }
  return drawn;
}

// Draws the boxes of a list whose items have a bbox; returns their number.
std::size_t draw_boxes(Drawing& drawing, const json& list, const char* key) {
  std::size_t drawn = 0;
  for (const json& item : list) {
    const auto box = item.is_object() && item.contains("bbox") ? box_of(item["bbox"]) : std::nullopt;
    if (!box || drawn == kMostMarks) continue;
    const float right = box->x + box->width, bottom = box->y + box->height;
    drawing.outline({{box->x, box->y}, {right, box->y}, {right, bottom}, {box->x, bottom}}, named(item, key),
                    colour_of(text_of(item, key)), false);
    ++drawn;
  }
  return drawn;
}

}  // namespace

Drawn draw_findings(Canvas& canvas, const std::optional<Font>& font, const json& asset, std::uint32_t full_width,
                    std::uint32_t full_height, DrawMasks masks) {
  Drawing drawing(canvas, font, full_width, full_height);
  Drawn drawn;
  if (masks == DrawMasks::kYes) drawn.masks = draw_masks(canvas, drawing, list_of(asset, "masks"));
  drawn.objects = draw_boxes(drawing, list_of(asset, "objects"), "object");
  for (const json& item : list_of(asset, "text")) {
    if (!item.is_object() || drawn.texts == kMostMarks) continue;
    const std::vector<Spot> corners = corners_of(item.value("polygon", json::array()));
    if (corners.size() < 3) continue;
    drawing.outline(corners, shortened(text_of(item, "text")), kWhite, true);
    ++drawn.texts;
  }
  const auto scene = asset.find("scene");
  if (scene != asset.end() && scene->is_object())
    for (const json& guess : list_of(*scene, "top"))
      if (confidence_of(guess) >= kLeastScene) drawing.corner(named(guess, "label")), ++drawn.labels;
  const json& learned = list_of(asset, "learned");
  drawn.labels += draw_boxes(drawing, learned, "label");
  for (const json& label : learned)
    if (label.is_object() && !label.contains("bbox")) drawing.corner(named(label, "label")), ++drawn.labels;
  drawing.write();
  return drawn;
}

}  // namespace image_engine::cli
