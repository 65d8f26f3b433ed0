#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "core/file.h"
#include "core/hash.h"
#include "core/text.h"
#include "vision/scenes.h"

namespace image_engine::vision {
namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 20;
constexpr std::size_t kMostPhrases = 20;  // of one label
constexpr std::size_t kMostPrompts = 100;
constexpr std::size_t kMostTexts = 200'000;  // phrases in prompts
constexpr std::size_t kLongestText = 300;    // bytes of a label, phrase or prompt

// Knows the file, for errors.
class Reader {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  Result<SceneLabels> read(const YAML::Node& root) const {
    if (!root.IsMap()) return fault(root.Mark(), "must hold `prompts` and `labels`");
    SceneLabels labels;
    std::set<std::string> seen;
    for (const auto& child : root) {
      const std::string key = child.first.IsScalar() ? child.first.Scalar() : "";
      if (!seen.insert(key).second)
        return fault(child.first.Mark(), fmt::format("`{}` is there twice", printable(key)));
      if (key == "prompts")
        IE_CHECK(read_prompts(child.second, labels));
      else if (key == "labels")
        IE_CHECK(read_labels(child.second, labels));
      else if (key == "background")
        IE_CHECK(read_texts(child.second, "phrase", kMostLabels, labels.background));
      else
        return fault(child.first.Mark(),
                     fmt::format("unknown key \"{}\"; known: prompts, labels, background", printable(key)));
    }
    if (labels.prompts.empty()) return fault(root.Mark(), "there are no prompts");
    if (labels.labels.empty()) return fault(root.Mark(), "there are no labels");
    std::size_t phrases = labels.background.size();
    for (const SceneLabels::Label& label : labels.labels) phrases += label.phrases.size();
    if (phrases * labels.prompts.size() > kMostTexts)
      return fault(root.Mark(), fmt::format("{} phrases in {} prompts are more than {} texts", phrases,
                                            labels.prompts.size(), kMostTexts));
    return labels;
  }

  tl::unexpected<Error> fault(const YAML::Mark& mark, std::string_view what) const {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}:{}: {}", printable(file_), mark.is_null() ? 1 : mark.line + 1, what));
  }

 private:
  Result<std::string> read_text(const YAML::Node& node, std::string_view what) const {
    // An empty node has the position of the next one.
    if (node.IsNull()) return fault(node.Mark(), fmt::format("a {} here or right above is empty", what));
    if (!node.IsScalar()) return fault(node.Mark(), fmt::format("a {} must be text", what));
    const std::string& text = node.Scalar();
    const bool blank = std::ranges::all_of(text, [](char c) { return c == ' '; });
    const bool control = std::ranges::any_of(text, [](unsigned char c) { return c < ' ' || c == 0x7f; });
    if (blank) return fault(node.Mark(), fmt::format("a {} is empty", what));
    if (control || text.size() > kLongestText)
      return fault(node.Mark(), fmt::format("a {} must be one line of at most {} bytes", what, kLongestText));
    return text;
  }

  Status read_texts(const YAML::Node& node, std::string_view what, std::size_t most,
                    std::vector<std::string>& texts) const {
    if (!node.IsSequence()) return fault(node.Mark(), fmt::format("expected a list, each item a {}", what));
    if (node.size() > most) return fault(node.Mark(), fmt::format("more than {}, each a {}", most, what));
    for (const auto& item : node) {
      IE_TRY(texts.emplace_back(), read_text(item, what));
    }
    return {};
  }

  Status read_prompts(const YAML::Node& node, SceneLabels& labels) const {
    IE_CHECK(read_texts(node, "prompt", kMostPrompts, labels.prompts));
    for (std::size_t i = 0; i < labels.prompts.size(); ++i)
      if (labels.prompts[i].find("{}") == std::string::npos)
        return fault(node[i].Mark(), fmt::format("the prompt \"{}\" lacks {{}}, which the label stands for",
                                                 printable(labels.prompts[i])));
    return {};
  }

  Status read_labels(const YAML::Node& node, SceneLabels& labels) const {
    if (!node.IsSequence()) return fault(node.Mark(), "`labels` must be a list");
    if (node.size() > kMostLabels) return fault(node.Mark(), fmt::format("more than {} labels", kMostLabels));
    std::set<std::string> seen;
    for (const auto& item : node) {
      IE_TRY(SceneLabels::Label label, read_label(item));
      if (!seen.insert(ascii_lower(label.name)).second)
        return fault(item.Mark(), fmt::format("the label \"{}\" is there twice", printable(label.name)));
      labels.labels.push_back(std::move(label));
    }
    return {};
  }

  // `beach`, `beach: a beach` or `beach: [a beach, …]`.
  Result<SceneLabels::Label> read_label(const YAML::Node& node) const {
    if (!node.IsMap()) {
      IE_TRY(const std::string name, read_text(node, "label"));
      return SceneLabels::Label{name, {name}};
    }
    if (node.size() != 1) return fault(node.Mark(), "a label is one name, or `name: phrase`, or `name: [phrase, …]`");
    SceneLabels::Label label;
    IE_TRY(label.name, read_text(node.begin()->first, "label"));
    const YAML::Node phrases = node.begin()->second;
    if (phrases.IsSequence()) {
      IE_CHECK(read_texts(phrases, "phrase", kMostPhrases, label.phrases));
    } else {
      IE_TRY(label.phrases.emplace_back(), read_text(phrases, "phrase"));
    }
    if (label.phrases.empty())
      return fault(node.Mark(), fmt::format("the label \"{}\" has an empty list of phrases", printable(label.name)));
    return label;
  }

  const std::string& file_;
};

}  // namespace

Result<SceneLabels> SceneLabels::read(const std::string& file) {
  const Result<std::string> text = read_file(file, kLargestFile);
  if (!text) return fail(text.error().code, printable(file) + ": " + text.error().message);
  if (!is_utf8(*text)) return fail(ErrorCode::kInvalidArgument, printable(file) + ": is not UTF-8");
  const Reader reader(file);
  try {
    return reader.read(YAML::Load(*text));
  } catch (const YAML::Exception& error) {
    return reader.fault(error.mark, "invalid YAML: " + printable(error.msg));
  }
}

std::string SceneLabels::hash() const {
  std::string all;
  const auto add = [&](const std::vector<std::string>& texts) {
    all += fmt::format("{}:", texts.size());
    for (const std::string& text : texts) all += fmt::format("{}:{}", text.size(), text);
  };
  add(prompts);
  for (const Label& label : labels) {
    add({label.name});
    add(label.phrases);
  }
  if (!background.empty()) add(background);
  return hash128(all).hex();
}

}  // namespace image_engine::vision
