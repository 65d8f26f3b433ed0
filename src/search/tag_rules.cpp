#include "search/tag_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::search {
namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 20;
constexpr std::size_t kMostSigns = 10'000;  // of all rules
constexpr std::size_t kLongestName = 100;   // bytes
constexpr std::int64_t kMostCount = 1'000'000;

struct Least {
  double objects = 0.5, scenes = 0.25;
};

template <typename T>
std::optional<T> number(const YAML::Node& node) {
  const std::string text = node.IsScalar() ? node.Scalar() : "";
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Knows the file, for errors.
class Reader {
 public:
  using Rules = std::map<std::string, std::vector<store::Sign>, std::less<>>;
  explicit Reader(const std::string& file) : file_(file) {}

  Result<Rules> read(const YAML::Node& root) {
    constexpr std::array<std::string_view, 2> kKeys = {"confidence", "tags"};
    IE_CHECK(check_keys(root, "the file", kKeys));
    if (const YAML::Node least = root["confidence"]; least.IsDefined()) IE_CHECK(read_least(least));
    const YAML::Node tags = root["tags"];
    if (!tags.IsDefined() || !tags.IsMap()) return fault(root.Mark(), "must hold `tags`, each a name and its signs");
    Rules rules;
    for (const auto& child : tags) {
      IE_TRY(const std::string name, read_tag(child.first));
      auto [rule, is_new] = rules.try_emplace(name);
      if (!is_new) return fault(child.first.Mark(), fmt::format("the tag \"{}\" is there twice", printable(name)));
      IE_CHECK(read_rule(child.second, child.first.Mark(), rule->second));
    }
    return rules;
  }

  tl::unexpected<Error> fault(const YAML::Mark& mark, std::string_view what) const {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}:{}: {}", printable(file_), mark.is_null() ? 1 : mark.line + 1, what));
  }

 private:
  // A map with only these keys, each once.
  Status check_keys(const YAML::Node& node, std::string_view what, std::span<const std::string_view> known) const {
    if (!node.IsMap()) return fault(node.Mark(), fmt::format("{} must hold keys and values", what));
    std::set<std::string> seen;
    for (const auto& child : node) {
      const std::string key = child.first.IsScalar() ? child.first.Scalar() : "";
      if (std::ranges::find(known, key) == known.end()) {
        const std::string_view nearest = nearest_name(std::string_view(key).substr(0, kLongestName), known);
        return fault(child.first.Mark(), fmt::format("unknown key \"{}\"; {}", printable(key),
                                                     nearest.empty() ? fmt::format("known: {}", fmt::join(known, ", "))
                                                                     : fmt::format("did you mean \"{}\"?", nearest)));
      }
      if (!seen.insert(key).second) return fault(child.first.Mark(), fmt::format("`{}` is there twice", key));
    }
    return {};
  }

  Result<std::string> read_name(const YAML::Node& node, std::string_view what) const {
    // An empty node has the position of the next one.
    if (node.IsNull()) return fault(node.Mark(), fmt::format("{} here or right above is empty", what));
    if (!node.IsScalar()) return fault(node.Mark(), fmt::format("{} must be text", what));
    const std::string& text = node.Scalar();
    const bool control = std::ranges::any_of(text, [](unsigned char c) { return c < ' ' || c == 0x7f; });
    if (text.empty() || control || text.size() > kLongestName)
      return fault(node.Mark(), fmt::format("{} must be one line of 1 to {} bytes", what, kLongestName));
    return text;
  }

  // The name as it can be written after `tag:`.
  Result<std::string> read_tag(const YAML::Node& node) const {
    IE_TRY(const std::string name, read_name(node, "a tag"));
    if (name.find_first_of(" \"") != std::string::npos)
      return fault(node.Mark(), fmt::format("the tag \"{}\" must be one word", printable(name)));
    return ascii_lower(name);
  }

  Result<double> read_confidence(const YAML::Node& node) const {
    const auto value = number<double>(node);
    if (!value || !(*value >= 0 && *value <= 1)) return fault(node.Mark(), "a confidence is a number from 0 to 1");
    return *value;
  }

  Status read_least(const YAML::Node& node) {
    constexpr std::array<std::string_view, 2> kKeys = {"objects", "scenes"};
    IE_CHECK(check_keys(node, "`confidence`", kKeys));
    if (const YAML::Node value = node["objects"]; value.IsDefined()) {
      IE_TRY(least_.objects, read_confidence(value));
    }
    if (const YAML::Node value = node["scenes"]; value.IsDefined()) {
      IE_TRY(least_.scenes, read_confidence(value));
    }
    return {};
  }

  using ReadItem = Result<store::Sign> (Reader::*)(const YAML::Node&) const;

  Status read_rule(const YAML::Node& rule, const YAML::Mark& mark, std::vector<store::Sign>& signs) {
    constexpr std::array<std::string_view, 5> kKeys = {"objects", "scenes", "countries", "countries_except",
                                                       "position"};
    if (!rule.IsMap())
      return fault(mark, "a tag needs signs: objects, scenes, countries, countries_except or position");
    IE_CHECK(check_keys(rule, "a tag", kKeys));
    for (const auto& [key, read_item] :
         {std::pair<const char*, ReadItem>("objects", &Reader::read_object), {"scenes", &Reader::read_scene}}) {
      const YAML::Node list = rule[key];
      if (!list.IsDefined()) continue;
      if (!list.IsSequence()) return fault(list.Mark(), fmt::format("`{}` must be a list", key));
      for (const auto& item : list) {
        IE_TRY(store::Sign sign, (this->*read_item)(item));
        IE_CHECK(add(item, std::move(sign), signs));
      }
    }
    for (const auto& [key, except] : {std::pair("countries", false), std::pair("countries_except", true)}) {
      const YAML::Node list = rule[key];
      if (!list.IsDefined()) continue;
      IE_TRY(store::CountryCondition countries, read_countries(list, key));
      countries.except = except;
      IE_CHECK(add(list, std::move(countries), signs));
    }
    if (const YAML::Node position = rule["position"]; position.IsDefined()) {
      if (!position.IsScalar() || position.Scalar() != "true")
        return fault(position.Mark(), "`position` can only be true: where it was taken is known");
      IE_CHECK(add(position, store::CountryCondition{}, signs));
    }
    if (signs.empty()) return fault(mark, "a tag needs a sign: an object, a scene, a country or a position");
    return {};
  }

  Status add(const YAML::Node& node, store::Sign sign, std::vector<store::Sign>& signs) {
    if (++signs_ > kMostSigns) return fault(node.Mark(), fmt::format("more than {} signs", kMostSigns));
    signs.push_back(std::move(sign));
    return {};
  }

  // The name of an item, and the value after its colon.
  struct Item {
    std::string name;
    std::optional<YAML::Node> value;
  };
  Result<Item> read_item(const YAML::Node& node, std::string_view what) const {
    if (!node.IsMap()) {
      IE_TRY(std::string name, read_name(node, what));
      return Item{std::move(name), {}};
    }
    if (node.size() != 1) return fault(node.Mark(), fmt::format("{} is a name, or `name: confidence`", what));
    IE_TRY(std::string name, read_name(node.begin()->first, what));
    return Item{std::move(name), node.begin()->second};
  }

  // `car`, `car: 0.7` or `person: {count: 5, confidence: 0.6}`.
  Result<store::Sign> read_object(const YAML::Node& node) const {
    IE_TRY(const Item item, read_item(node, "an object"));
    store::ObjectsCondition object;
    object.name = item.name;
    object.confidence = least_.objects;
    if (!item.value) return object;
    if (!item.value->IsMap()) {
      IE_TRY(object.confidence, read_confidence(*item.value));
      return object;
    }
    constexpr std::array<std::string_view, 2> kKeys = {"confidence", "count"};
    IE_CHECK(check_keys(*item.value, "an object", kKeys));
    if (const YAML::Node value = (*item.value)["confidence"]; value.IsDefined()) {
      IE_TRY(object.confidence, read_confidence(value));
    }
    if (const YAML::Node value = (*item.value)["count"]; value.IsDefined()) {
      const auto count = number<std::int64_t>(value);
      if (!count || *count < 1 || *count > kMostCount)
        return fault(value.Mark(), fmt::format("a count is an integer from 1 to {}", kMostCount));
      object.least = *count;
    }
    return object;
  }

  // `beach` or `beach: 0.4`.
  Result<store::Sign> read_scene(const YAML::Node& node) const {
    IE_TRY(const Item item, read_item(node, "a scene"));
    store::SceneCondition scene{item.name, least_.scenes};
    if (item.value) {
      IE_TRY(scene.confidence, read_confidence(*item.value));
    }
    return scene;
  }

  Result<store::CountryCondition> read_countries(const YAML::Node& list, std::string_view key) const {
    if (!list.IsSequence() || list.size() == 0)
      return fault(list.Mark(), fmt::format("`{}` must be a list of countries, such as [DE, FR]", key));
    if (list.size() > kMostSigns) return fault(list.Mark(), fmt::format("more than {} countries", kMostSigns));
    store::CountryCondition countries;
    for (const auto& item : list) {
      const std::string code = item.IsScalar() ? item.Scalar() : "";
      const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
      if (code.size() != 2 || !std::ranges::all_of(code, is_letter))
        return fault(item.Mark(),
                     fmt::format("\"{}\" is not a country: write two letters, such as DE", printable(code)));
      countries.codes.push_back(code);
      for (char& c : countries.codes.back())
        if (c >= 'a') c = static_cast<char>(c - 'a' + 'A');
    }
    return countries;
  }

  const std::string& file_;
  Least least_;
  std::size_t signs_ = 0;
};

}  // namespace

Result<TagRules> TagRules::read(const std::string& file) {
  const Result<std::string> text = read_file(file, kLargestFile);
  if (!text) return fail(text.error().code, printable(file) + ": " + text.error().message);
  if (!is_utf8(*text)) return fail(ErrorCode::kInvalidArgument, printable(file) + ": is not UTF-8");
  Reader reader(file);
  try {
    TagRules rules;
    IE_TRY(rules.rules_, reader.read(YAML::Load(*text)));
    return rules;
  } catch (const YAML::Exception& error) {
    return reader.fault(error.mark, "invalid YAML: " + printable(error.msg));
  }
}

const std::vector<store::Sign>* TagRules::find(std::string_view name) const {
  const auto rule = rules_.find(ascii_lower(name));
  return rule == rules_.end() ? nullptr : &rule->second;
}

std::vector<std::string_view> TagRules::names() const {
  std::vector<std::string_view> names;
  for (const auto& [name, signs] : rules_) names.emplace_back(name);
  return names;
}

}  // namespace image_engine::search
