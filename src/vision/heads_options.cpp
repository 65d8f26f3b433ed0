// A spec's head and its options.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "vision/heads_parts.h"

namespace image_engine::vision {
namespace {

constexpr float kGreatest = 1e5F;

bool read_number(std::string_view text, float least, float greatest, float& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= least && value <= greatest;
}

// Splits at any of these characters; omits empty parts.
std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}
constexpr std::string_view kBetween = ", ";

bool read_numbers(std::string_view text, std::vector<float>& values) {
  values.clear();
  for (const std::string_view part : split(text, kBetween))
    if (!read_number(part, 1e-6F, kGreatest, values.emplace_back())) return false;
  return !values.empty();
}

bool read_extent(std::string_view text, Extent& extent) {
  const std::size_t by = text.find('x');
  return by != std::string_view::npos && read_number(text.substr(0, by), 1e-6F, kGreatest, extent.width) &&
         read_number(text.substr(by + 1), 1e-6F, kGreatest, extent.height);
}

bool read_anchors_list(std::string_view text, std::vector<std::vector<Extent>>& levels) {
  levels.clear();
  for (const std::string_view level : split(text, ";")) {
    levels.emplace_back();
    for (const std::string_view part : split(level, kBetween))
      if (!read_extent(part, levels.back().emplace_back())) return false;
    if (levels.back().empty()) return false;
  }
  return !levels.empty();
}

bool read_ratios(std::string_view text, std::vector<Extent>& ratios) {
  ratios.clear();
  for (const std::string_view part : split(text, kBetween)) {
    Extent& ratio = ratios.emplace_back();
    float tall = 0;
    if (read_number(part, 1e-3F, 1e3F, tall))
      ratio = {1 / std::sqrt(tall), std::sqrt(tall)};
    else if (!read_extent(part, ratio))
      return false;
  }
  return !ratios.empty();
}

bool read_whole(std::string_view text, float least, float greatest, auto& value) {
  float number = 0;
  if (!read_number(text, least, greatest, number) || number != std::floor(number)) return false;
  value = static_cast<std::remove_reference_t<decltype(value)>>(number);
  return true;
}

template <typename T, std::size_t kCount>
bool read_name(std::string_view text, const std::pair<std::string_view, T> (&names)[kCount], T& value) {
  const auto found = std::ranges::find(names, text, [](const auto& entry) { return entry.first; });
  if (found == std::end(names)) return false;
  value = found->second;
  return true;
}
constexpr std::pair<std::string_view, Activation> kActivations[] = {
    {"sigmoid", Activation::kSigmoid}, {"softmax", Activation::kSoftmax}, {"none", Activation::kNone}};
constexpr std::pair<std::string_view, Background> kBackgrounds[] = {
    {"none", Background::kNone}, {"first", Background::kFirst}, {"last", Background::kLast}};
constexpr std::pair<std::string_view, Unit> kUnits[] = {{"pixels", Unit::kPixels}, {"fractions", Unit::kFractions}};
constexpr std::pair<std::string_view, Axes> kAxes[] = {{"xy", Axes::kXy}, {"yx", Axes::kYx}};
constexpr std::pair<std::string_view, Growth> kGrowths[] = {{"exp", Growth::kExponential}, {"square", Growth::kSquare}};
constexpr std::pair<std::string_view, AnchorOrder> kOrders[] = {{"ratios", AnchorOrder::kRatios},
                                                                {"scales", AnchorOrder::kScales}};
constexpr std::pair<std::string_view, bool> kAnswers[] = {{"yes", true}, {"no", false}};

struct Option {
  std::string_view name, wanted;
  bool (*read)(std::string_view text, HeadOptions& options);
};
using Text = std::string_view;
using To = HeadOptions;
constexpr Option kOptions[] = {
    {"threshold", "0…1", [](Text t, To& to) { return read_number(t, 0, 1, to.threshold); }},
    {"drawing_threshold", "0…1", [](Text t, To& to) { return read_number(t, 0, 1, to.drawing_threshold); }},
    {"nms", "0…1", [](Text t, To& to) { return read_number(t, 0, 1, to.nms); }},
    {"most", "a number 1…300", [](Text t, To& to) { return read_whole(t, 1, kMostObjects, to.most); }},
    {"activation", "sigmoid, softmax or none",
     [](Text t, To& to) { return read_name(t, kActivations, to.activation); }},
    {"background", "none, first or last", [](Text t, To& to) { return read_name(t, kBackgrounds, to.background); }},
    {"unit", "pixels or fractions", [](Text t, To& to) { return read_name(t, kUnits, to.unit); }},
    {"axes", "xy or yx", [](Text t, To& to) { return read_name(t, kAxes, to.axes); }},
    {"first_label", "a number 0…1000", [](Text t, To& to) { return read_whole(t, 0, 1000, to.first_label); }},
    {"objectness", "yes or no", [](Text t, To& to) { return read_name(t, kAnswers, to.objectness); }},
    {"anchors", "like 10x13 16x30; 30x61", [](Text t, To& to) { return read_anchors_list(t, to.anchors); }},
    {"sizes", "numbers above 0", [](Text t, To& to) { return read_numbers(t, to.sizes); }},
    {"scales", "numbers above 0", [](Text t, To& to) { return read_numbers(t, to.scales); }},
    {"ratios", "numbers above 0 or like 1.4x0.7", [](Text t, To& to) { return read_ratios(t, to.ratios); }},
    {"order", "ratios or scales", [](Text t, To& to) { return read_name(t, kOrders, to.order); }},
    {"strides", "numbers above 0", [](Text t, To& to) { return read_numbers(t, to.strides); }},
    {"centre", "0…1", [](Text t, To& to) { return read_number(t, 0, 1, to.centre); }},
    {"variances", "four numbers above 0",
     [](Text t, To& to) { return read_numbers(t, to.variances) && to.variances.size() == 4; }},
    {"scale_xy", "numbers above 0", [](Text t, To& to) { return read_numbers(t, to.scale_xy); }},
    {"growth", "exp or square", [](Text t, To& to) { return read_name(t, kGrowths, to.growth); }},
    {"bbox_norm", "a number above 0", [](Text t, To& to) { return read_number(t, 1e-3F, kGreatest, to.bbox_norm); }},
};
constexpr std::string_view kOfAll[] = {"threshold", "drawing_threshold", "nms", "most"};

bool takes(const HeadKind& head, std::string_view name) {
  return std::ranges::find(kOfAll, name) != std::end(kOfAll) ||
         std::ranges::find(head.options, name) != head.options.end();
}

std::string options_of(const HeadKind& head) {
  std::string text;
  for (const auto names : {std::span<const std::string_view>(kOfAll), head.options})
    for (const std::string_view name : names) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

}  // namespace

Result<const HeadKind*> find_head(const models::Spec& spec) {
  std::string names;
  for (const HeadKind& head : head_kinds()) {
    if (head.name == spec.head) return &head;
    names.append(names.empty() ? "" : ", ").append(head.name);
  }
  return fail(ErrorCode::kInvalidArgument, "model " + spec.name + ": no head '" + spec.head + "'; there are: " + names);
}

Result<HeadOptions> read_options(const models::Spec& spec, const HeadKind& head) {
  const auto refuse = [&](const std::string& what) {
    return fail(ErrorCode::kInvalidArgument, "model " + spec.name + ": " + what);
  };
  HeadOptions options{.threshold = head.threshold, .nms = head.nms, .unit = head.unit};
  options.variances.assign(head.variances.begin(), head.variances.end());
  for (const auto& [name, value] : spec.head_options) {
    const auto option = std::ranges::find(kOptions, std::string_view(name), &Option::name);
    if (!takes(head, name) || option == std::end(kOptions))
      return refuse("no option '" + name + "' of head " + spec.head + "; there are: " + options_of(head));
    if (!option->read(value, options))
      return refuse("option " + name + " is '" + value + "', not " + std::string(option->wanted));
  }
  if (takes(head, "anchors"))
    if (const auto sound = check_anchor_options(options); !sound) return refuse(sound.error().message);
  return options;
}

}  // namespace image_engine::vision
