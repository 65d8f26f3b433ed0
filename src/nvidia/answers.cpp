#include "nvidia/answers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "nvidia/read_json.h"

namespace image_engine::nvidia {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestName = 200;
constexpr std::size_t kLongestText = 20'000;
constexpr std::size_t kMostDominant = 5;
constexpr std::size_t kLeastSize = 2, kMostSize = 65'536;  // of vectors

// A product as returned: x, y, width, height in pixels of the sent picture, or as fractions of it.
struct RawProduct {
  std::string name;
  double confidence = 0;
  std::array<double, 4> box{};
};

// The result of reading a list of products.
struct Read {
  std::vector<RawProduct> products;
  bool understood = true;  // it was empty, or at least one entry had the expected members
};

std::optional<double> number(const json* value) {
  if (value == nullptr || !value->is_number()) return std::nullopt;
  const double read = value->get<double>();
  return std::isfinite(read) ? std::optional(read) : std::nullopt;
}

bool is_box(const json* value) { return value != nullptr && value->is_array() && value->size() == 4; }

void add(std::vector<RawProduct>& products, const std::string& name, const json* confidence, const json& box) {
  RawProduct raw{cleaned(name, kLongestName), number(confidence).value_or(-1)};
  if (raw.name.empty() || raw.confidence < 0 || raw.confidence > 1) return;
  for (std::size_t i = 0; i < raw.box.size(); ++i) {
    const auto side = number(&box[i]);
    if (!side) return;
    raw.box[i] = *side;
  }
  products.push_back(std::move(raw));
}

// [{class, confidence, bbox: [x, y, width, height]}]
Read read_predictions(const json& list) {
  Read read{{}, list.empty()};
  for (const json& entry : list) {
    const std::string* name = text_member(entry, "class");
    const json* box = member(entry, "bbox");
    if (name == nullptr || !is_box(box)) continue;
    read.understood = true;
    add(read.products, *name, member(entry, "confidence"), *box);
  }
  return read;
}

// [{phrase, bboxes: [[x, y, width, height], …], confidence: […]}]
Read read_groups(const json& list) {
  Read read{{}, list.empty()};
  for (const json& group : list) {
    const std::string* name = text_member(group, "phrase");
    const json *boxes = member(group, "bboxes"), *confidences = member(group, "confidence");
    if (name == nullptr || boxes == nullptr || confidences == nullptr || !boxes->is_array() || !confidences->is_array())
      continue;
    read.understood = true;
    for (std::size_t i = 0; i < std::min(boxes->size(), confidences->size()); ++i)
      if (is_box(&(*boxes)[i])) add(read.products, *name, &(*confidences)[i], (*boxes)[i]);
  }
  return read;
}

// The message of a chat's first choice; nullptr: not a chat.
const json* first_message(const json& document) {
  const json* choices = member(document, "choices");
  return choices != nullptr && choices->is_array() && !choices->empty() ? member(choices->front(), "message") : nullptr;
}

Result<std::vector<RawProduct>> raw_products(const json& document) {
  const json* message = first_message(document);
  const json* content = message != nullptr ? member(*message, "content") : nullptr;
  const struct {
    const json* list;
    Read (*read)(const json& list);
    const char* complaint;
  } kForms[] = {
      {member(document, "predictions"), read_predictions, "none of its predictions has 'class' and 'bbox'"},
      {content != nullptr ? member(*content, "boundingBoxes") : nullptr, read_groups,
       "none of its boundingBoxes has 'phrase', 'bboxes' and 'confidence'"},
  };
  for (const auto& form : kForms) {
    if (form.list == nullptr || !form.list->is_array()) continue;
    Read read = form.read(*form.list);
    if (!read.understood) return fail(ErrorCode::kCorrupt, form.complaint);
    return std::move(read.products);
  }
  return fail(ErrorCode::kCorrupt, "it has no list of 'predictions'");
}

// In pixels of the original, clipped to it; nullopt: the box is outside.
std::optional<Box> placed(const std::array<double, 4>& raw, bool in_parts, const Scale& scale) {
  const double width = scale.full_width, height = scale.full_height;
  const double across = in_parts ? width : width / scale.width, down = in_parts ? height : height / scale.height;
  const double left = std::clamp(raw[0] * across, 0.0, width), top = std::clamp(raw[1] * down, 0.0, height);
  const double right = std::clamp((raw[0] + raw[2]) * across, 0.0, width);
  const double bottom = std::clamp((raw[1] + raw[3]) * down, 0.0, height);
  const Box box{static_cast<float>(left), static_cast<float>(top), static_cast<float>(right - left),
                static_cast<float>(bottom - top)};
  return box.width > 0 && box.height > 0 ? std::optional(box) : std::nullopt;
}

std::vector<std::string> most_frequent(const std::vector<Product>& surest_first) {
  struct Name {
    std::string name;
    std::size_t count = 0;
  };
  std::vector<Name> names;  // ordered by their surest one
  for (const Product& product : surest_first) {
    auto found = std::ranges::find(names, product.name, &Name::name);
    if (found == names.end()) found = names.insert(found, {product.name});
    ++found->count;
  }
  std::ranges::stable_sort(names, std::ranges::greater{}, &Name::count);
  std::vector<std::string> result;
  for (std::size_t i = 0; i < std::min(names.size(), kMostDominant); ++i) result.push_back(names[i].name);
  return result;
}

// A message's text: a string, or parts of which some are text.
std::string text_of(const json& content) {
  if (const auto* text = content.get_ptr<const std::string*>()) return *text;
  std::string joined;
  if (!content.is_array()) return joined;
  for (const json& part : content)
    if (const std::string* text = text_member(part, "text")) joined.append(joined.empty() ? "" : " ").append(*text);
  return joined;
}

// The final answer of a reasoning model. For some models the opening mark is in the prompt.
Result<std::string> without_thoughts(std::string text) {
  constexpr std::string_view kOpen = "<think>", kClose = "</think>";
  if (const std::size_t close = text.find(kClose); close != std::string::npos)
    return text.substr(close + kClose.size());
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start != std::string::npos && text.compare(start, kOpen.size(), kOpen) == 0)
    return fail(ErrorCode::kCorrupt, "its max_tokens ended during its reasoning");
  return text;
}

std::optional<std::vector<float>> read_vector(const json& numbers) {
  if (!numbers.is_array() || numbers.size() < kLeastSize || numbers.size() > kMostSize) return std::nullopt;
  std::vector<double> read;
  read.reserve(numbers.size());
  double squares = 0;
  for (const json& each : numbers) {
    const auto value = number(&each);
    if (!value) return std::nullopt;
    read.push_back(*value);
    squares += *value * *value;
  }
  const double length = std::sqrt(squares);
  if (!std::isfinite(length) || length <= 0) return std::nullopt;
  std::vector<float> vector(read.size());
  std::ranges::transform(read, vector.begin(), [&](double value) { return static_cast<float>(value / length); });
  return vector;
}

// One vector, a list of vectors, or a list of objects with one; nullopt: anything else.
std::optional<std::vector<std::vector<float>>> read_list(const json& raw) {
  std::vector<std::vector<float>> vectors;
  if (auto single = read_vector(raw)) {
    vectors.push_back(std::move(*single));
    return vectors;
  }
  if (!raw.is_array()) return std::nullopt;
  for (const json& each : raw) {
    const json* inner = each.is_object() ? member(each, "embedding") : &each;
    auto vector = inner != nullptr ? read_vector(*inner) : std::nullopt;
    if (!vector || (!vectors.empty() && vector->size() != vectors.front().size())) return std::nullopt;
    vectors.push_back(std::move(*vector));
  }
  return vectors;
}

}  // namespace

Result<RetailProducts> read_products(std::string_view body, const Scale& scale, double threshold, std::size_t most) {
  if (scale.width == 0 || scale.height == 0 || scale.full_width == 0 || scale.full_height == 0)
    return fail(ErrorCode::kInvalidArgument, "the picture's size is unknown");
  IE_TRY(const json document, read_json(body));
  IE_TRY(const std::vector<RawProduct> raw, raw_products(document));
  const bool in_parts = std::ranges::all_of(
      raw, [](const RawProduct& each) { return std::ranges::all_of(each.box, [](double side) { return side <= 1; }); });
  RetailProducts products;
  for (const RawProduct& each : raw) {
    const auto box = placed(each.box, in_parts, scale);
    if (box && each.confidence >= threshold) products.detections.push_back({each.name, each.confidence, *box});
  }
  std::ranges::stable_sort(products.detections, std::ranges::greater{}, &Product::confidence);
  if (products.detections.size() > most) products.detections.resize(most);
  products.dominant = most_frequent(products.detections);
  return products;
}

Result<Description> read_description(std::string_view body) {
  IE_TRY(const json document, read_json(body));
  const json* content = member(document, "text");
  const json* message = first_message(document);
  if ((content == nullptr || content->is_null()) && message != nullptr) content = member(*message, "content");
  if (content == nullptr) return fail(ErrorCode::kCorrupt, "it has neither 'text' nor a message");
  IE_TRY(const std::string text, without_thoughts(text_of(*content)));
  Description description{cleaned(text, kLongestText)};
  if (description.text.empty()) return fail(ErrorCode::kCorrupt, "its text is empty");
  return description;
}

Result<std::vector<std::vector<float>>> read_vectors(std::string_view body, std::size_t wanted) {
  IE_TRY(const json document, read_json(body));
  constexpr std::array kNames = {
      "data", "embeddings", "embedding", "image_embeddings", "image_embedding", "text_embeddings", "text_embedding"};
  std::string complaint = "it has no vectors";
  for (const char* name : kNames) {
    const json* raw = member(document, name);
    if (raw == nullptr) continue;
    auto vectors = read_list(*raw);
    if (vectors && vectors->size() == wanted) return std::move(*vectors);
    complaint = vectors ? "its '" + std::string(name) + "' has " + std::to_string(vectors->size()) + " vectors, not " +
                              std::to_string(wanted)
                        : "its '" + std::string(name) + "' is not a list of finite vectors of one size";
  }
  return fail(ErrorCode::kCorrupt, complaint);
}

json products_json(const RetailProducts& products) {
  const auto tenths = [](float pixels) { return std::round(double{pixels} * 10) / 10; };
  json detections = json::array();
  for (const Product& product : products.detections) {
    const Box& box = product.box;
    detections.push_back({{"class", product.name},
                          {"confidence", std::round(product.confidence * 1000) / 1000},
                          {"bbox", {tenths(box.x), tenths(box.y), tenths(box.width), tenths(box.height)}}});
  }
  return {{"detections", std::move(detections)},
          {"product_count", products.detections.size()},
          {"dominant_products", products.dominant}};
}

}  // namespace image_engine::nvidia
