// Hides faces, people, text, licence plates, screens or all but the people in photos, so that it cannot be undone: the
// pixels are replaced by black, or by mean colours of squares, which are also all that the blur is made of.
#include <image_engine/plugin.h>

#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "shared/cutout.h"

namespace {

using shipped::Area;
using shipped::ColourField;

enum Parameter : std::uint32_t { kTarget, kStyle, kKeep, kMargin };

// How coarse squares are: that many along the longer edge of what is hidden.
struct Target {
  const char* name;
  const char* what;  // of IE_EXT_DETECT; null: the mask of people
  std::uint32_t squares;
};
// Four across a face with its margins leave fewer than three of the face: of six, blurred, a detector still took one
// for a face. A person's face is a twelfth of them or more. Text can be found again by trying letters until their
// mosaic fits: a line becomes one square, and so does a plate.
constexpr Target kTargets[] = {{"faces", "face", 4},           {"people", "person", 12}, {"text", "text", 1},
                               {"plates", "licence plate", 1}, {"screens", "screen", 4}, {"background", nullptr, 16}};
constexpr std::uint32_t kLeastSquare = 8;  // pixels

struct Box {
  double x = 0, y = 0, width = 0, height = 0;
  [[nodiscard]] bool holds(double at_x, double at_y) const {
    return at_x >= x && at_y >= y && at_x < x + width && at_y < y + height;
  }
};

// "x,y,width,height; …"; nothing if it is no such list.
std::optional<std::vector<Box>> boxes_of(const char* text) {
  std::vector<Box> boxes;
  const char* at = text;
  while (at[std::strspn(at, " ;")] != 0) {
    at += std::strspn(at, " ;");
    double numbers[4];
    for (double& number : numbers) {
      char* end = nullptr;
      number = std::strtod(at, &end);
      if (end == at || !std::isfinite(number)) return std::nullopt;
      at = end + std::strspn(end, " ");
      if (&number != &numbers[3] && *at++ != ',') return std::nullopt;
    }
    if (*at != 0 && *at != ';') return std::nullopt;
    if (numbers[2] <= 0 || numbers[3] <= 0) return std::nullopt;
    boxes.push_back({numbers[0], numbers[1], numbers[2], numbers[3]});
  }
  return boxes;
}

bool is_kept(const std::vector<Box>& keep, double x, double y) {
  return std::any_of(keep.begin(), keep.end(), [&](const Box& box) { return box.holds(x, y); });
}

// The region with its margin, as far as it is in the picture; whole pixels.
Area area_of(const ie_region& region, double margin, const ie_picture& photo) {
  const double beside = std::max(2.0, margin * std::min(region.width, region.height));
  const auto edge = [](double at, std::uint32_t most) {
    return static_cast<std::uint32_t>(std::clamp(at, 0.0, static_cast<double>(most)));
  };
  const std::uint32_t left = edge(std::floor(region.x - beside), photo.width);
  const std::uint32_t top = edge(std::floor(region.y - beside), photo.height);
  const std::uint32_t right = edge(std::ceil(region.x + region.width + beside), photo.width);
  const std::uint32_t bottom = edge(std::ceil(region.y + region.height + beside), photo.height);
  return {left, top, right - left, bottom - top};
}

std::uint32_t square_of(const Area& area, std::uint32_t squares) {
  return std::max((std::max(area.width, area.height) + squares - 1) / squares, kLeastSquare);
}

enum class Style { kMosaic, kSolid, kBlur };

Style style_of(const std::string& name) {
  if (name == "solid") return Style::kSolid;
  return name == "blur" ? Style::kBlur : Style::kMosaic;
}

// Replaces the area's pixels for which hidden(x, y); the squares' colours are means of these alone.
template <typename Hidden>
void hide(const ie_picture& photo, const ie_picture& out, const Area& area, Style style, std::uint32_t squares,
          Hidden hidden) {
  const ColourField field(photo, area, square_of(area, squares), [&](auto x, auto y) { return hidden(x, y) ? 1 : 0; });
  for (std::uint32_t y = area.y; y < area.y + area.height; ++y)
    for (std::uint32_t x = area.x; x < area.x + area.width; ++x) {
      if (!hidden(x, y)) continue;
      const bool blur = style == Style::kBlur;
      const shipped::Colour colour =
          style == Style::kSolid ? shipped::Colour() : (blur ? field.smooth(x, y) : field.square(x, y));
      shipped::put(shipped::pixel(out, x, y), colour);
    }
}

ie_status hide_found(const ie_call* call, const ie_picture& photo, const ie_picture& out, const Target& target,
                     const std::vector<Box>& keep) {
  const auto* detect = static_cast<const ie_ext_detect*>(call->extension(call, IE_EXT_DETECT));
  if (detect == nullptr) {
    call->message(call, "this engine does not say where things are (" IE_EXT_DETECT " is not offered)");
    return IE_UNSUPPORTED;
  }
  const ie_region* regions = nullptr;
  std::uint32_t count = 0, kept = 0;
  const ie_status status = detect->detect(call, &photo, target.what, &regions, &count);
  if (status != IE_OK) return status;
  std::vector<Area> areas;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto& region =
        *reinterpret_cast<const ie_region*>(reinterpret_cast<const char*>(regions) + i * regions->size);
    if (is_kept(keep, region.x + region.width / 2, region.y + region.height / 2))
      ++kept;
    else
      areas.push_back(area_of(region, call->number(call, kMargin), photo));
  }
  // The largest, whose squares are the coarsest, come last: over those of others.
  std::sort(areas.begin(), areas.end(),
            [](const Area& a, const Area& b) { return std::max(a.width, a.height) < std::max(b.width, b.height); });
  for (const Area& area : areas)
    if (area.width > 0 && area.height > 0)
      hide(photo, out, area, style_of(call->text(call, kStyle)), target.squares, [](auto, auto) { return true; });
  const std::string found = count == 0 ? "none found: look whether that is so"
                                       : std::to_string(count - kept) + " hidden, " + std::to_string(kept) + " kept";
  call->message(call, (std::string(target.name) + ": " + found).c_str());
  return IE_OK;
}

ie_status hide_background(const ie_call* call, const ie_picture& photo, const ie_picture& out, const Target& target,
                          const std::vector<Box>& keep) {
  const ie_picture* mask = nullptr;
  const ie_status status = shipped::mask_of(call, &photo, "person", &mask);
  if (status != IE_OK) return status;
  // No pixel is mixed of both: what was under it could be computed from that.
  const auto hidden = [&](std::uint32_t x, std::uint32_t y) {
    return *shipped::pixel(*mask, x, y) < 128 && !is_kept(keep, x + 0.5, y + 0.5);
  };
  hide(photo, out, shipped::whole(photo), style_of(call->text(call, kStyle)), target.squares, hidden);
  return IE_OK;
}

ie_status run(void*, const ie_call* call) {
  const ie_picture& photo = *call->picture(call, 0);
  const std::optional<std::vector<Box>> keep = boxes_of(call->text(call, kKeep));
  if (!keep) {
    call->message(call, "keep takes boxes in the photo's pixels: x,y,width,height; …");
    return IE_UNSUPPORTED;
  }
  const ie_picture* out = call->new_picture(call, IE_RGB8, photo.width, photo.height);
  if (out == nullptr) return IE_OUT_OF_MEMORY;
  for (std::uint32_t y = 0; y < photo.height; ++y)
    std::memcpy(shipped::pixel(*out, 0, y), shipped::pixel(photo, 0, y), std::size_t{photo.width} * IE_RGB8);
  const std::string wanted = call->text(call, kTarget);
  for (const Target& target : kTargets) {
    if (wanted != target.name) continue;
    const ie_status status = target.what == nullptr ? hide_background(call, photo, *out, target, *keep)
                                                    : hide_found(call, photo, *out, target, *keep);
    return status == IE_OK ? call->give_picture(call, 0, out) : status;
  }
  return IE_UNSUPPORTED;
}

const ie_port kInputs[] = {{sizeof(ie_port), IE_PICTURE, "photo", "The photo", 0}};
const ie_port kOutputs[] = {
    {sizeof(ie_port), IE_PICTURE, "private", "The photo in which that is hidden", IE_SAME_SIZE}};
const char* const kTargetNames[] = {"faces", "people", "text", "plates", "screens", "background", nullptr};
const char* const kStyleNames[] = {"mosaic", "solid", "blur", nullptr};
const ie_parameter kParameters[] = {
    {sizeof(ie_parameter), IE_CHOICE, "target", "What is hidden; background: all but the people", 0, 0, 0, "faces",
     kTargetNames},
    {sizeof(ie_parameter), IE_CHOICE, "style", "Squares of one colour, black, or those squares blurred", 0, 0, 0,
     "mosaic", kStyleNames},
    {sizeof(ie_parameter), IE_TEXT, "keep",
     "Boxes in pixels, x,y,width,height; …: what has its middle there is not hidden", 0, 0, 0, "", nullptr},
    {sizeof(ie_parameter), IE_NUMBER, "margin", "Around what is found, as a part of its shorter edge", 0, 2, 0.35,
     nullptr, nullptr},
};

}  // namespace

IE_EXPORT const ie_plugin image_engine_plugin = {
    IE_ABI_VERSION,
    sizeof(ie_plugin),
    "privacy-blur",
    "1.0.0",
    "Apache-2.0",
    "Hides faces, people, text, plates, screens or the background so that it cannot be undone",
    kInputs,
    1,
    1,
    kOutputs,
    kParameters,
    sizeof kParameters / sizeof *kParameters,
    0,
    nullptr,
    nullptr,
    run,
    nullptr,
    nullptr};
