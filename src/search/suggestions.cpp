#include "search/suggestions.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/text.h"

namespace image_engine::search {
namespace {

using store::TextCondition;
using store::TextField;

// All texts of which some are asked for.
void add_texts(const std::vector<store::Filter>& filters, std::set<TextCondition>& texts) {
  for (const store::Filter& filter : filters) {
    if (filter.negated) continue;
    if (const auto* text = std::get_if<TextCondition>(&filter.condition)) texts.insert(*text);
    if (const auto* any = std::get_if<store::AnyCondition>(&filter.condition))
      for (const auto& alternative : any->alternatives) add_texts(alternative, texts);
  }
}

// The names of subjects that are asked for, as written.
void add_subjects(const std::vector<store::Filter>& filters, std::set<std::string>& names) {
  for (const store::Filter& filter : filters) {
    if (filter.negated) continue;
    if (const auto* subject = std::get_if<store::SubjectCondition>(&filter.condition))
      if (subject->names.size() == 1) names.insert(subject->names.front());
    if (const auto* any = std::get_if<store::AnyCondition>(&filter.condition))
      for (const auto& alternative : any->alternatives) add_subjects(alternative, names);
  }
}

// Of each name that no photo has, the nearest one that some have.
Status add_nearest_subjects(const store::CatalogueReader& catalogue, const store::AssetQuery& query,
                            std::vector<std::string>& notes) {
  std::set<std::string> asked;
  add_subjects(query.filters, asked);
  for (const store::Alternative& other : query.others) add_subjects(other.filters, asked);
  if (asked.empty()) return {};
  IE_TRY(const std::vector<std::string> known, catalogue.subject_names());
  const std::vector<std::string_view> names(known.begin(), known.end());
  for (const std::string& name : asked) {
    if (std::ranges::find(known, name, ascii_lower) != known.end()) continue;
    const std::string_view nearest = nearest_name(name, names);
    if (nearest.empty()) continue;
    notes.push_back(
        fmt::format("nothing has subject:{}: did you mean subject:{}?", printable(name), printable(nearest)));
  }
  return {};
}

std::set<TextCondition> texts_of(const store::AssetQuery& query) {
  std::set<TextCondition> texts;
  const auto add = [&](const store::Alternative& one) {
    texts.insert(one.words.begin(), one.words.end());
    add_texts(one.filters, texts);
  };
  add(query);
  for (const store::Alternative& other : query.others) add(other);
  return texts;
}

// "tag:dgo", as a person writes it.
std::string written(TextField field, std::string_view text) {
  if (field == TextField::kAny) return printable(text);
  return fmt::format("{}:{}", field == TextField::kKeywords ? "tag" : store::text_field_name(field), printable(text));
}

// Empty without one. Rules that cannot be read are the error of a search that uses them.
std::string near_rule(const TextCondition& text, const SearchOptions& options) {
  if (text.field != TextField::kKeywords || !options.tag_rules) return {};
  const Result<const TagRules*> rules = options.tag_rules();
  if (!rules || *rules == nullptr) return {};
  return std::string(nearest_name(ascii_lower(text.text), (*rules)->names()));
}

// Empty where no file's path has the text.
Result<std::string> path_hint(const store::CatalogueReader& catalogue, const TextCondition& text) {
  if (text.field != TextField::kAny && text.field != TextField::kName) return std::string();
  store::AssetQuery query;
  query.limit = 0;
  query.filters.push_back({store::PathCondition{text.text}, false});
  IE_TRY(const store::FoundAssets found, catalogue.find(query));
  if (found.total == 0) return std::string();
  return fmt::format("no word is or begins with {0}, but path:{0} finds it in the paths of {1}", printable(text.text),
                     human_count(found.total, "file"));
}

}  // namespace

Result<std::vector<std::string>> suggestions(const store::CatalogueReader& catalogue, const store::AssetQuery& query,
                                             const SearchOptions& options) {
  std::vector<std::string> notes;
  for (const TextCondition& text : texts_of(query)) {
    IE_TRY(const auto assets, catalogue.assets_with(text));
    if (!assets.empty()) continue;
    IE_TRY(std::string nearest, catalogue.nearest_word(text));
    if (nearest.empty()) nearest = near_rule(text, options);
    if (!nearest.empty()) {
      notes.push_back(fmt::format("nothing has {}: did you mean {}?", written(text.field, text.text),
                                  written(text.field, nearest)));
      continue;
    }
    IE_TRY(const std::string in_paths, path_hint(catalogue, text));
    if (!in_paths.empty()) notes.push_back(in_paths);
  }
  IE_CHECK(add_nearest_subjects(catalogue, query, notes));
  return notes;
}

}  // namespace image_engine::search
