// Makes a query to the store of terms and operators (docs/search.md).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "core/text.h"
#include "search/grammar.h"
#include "search/groups.h"
#include "search/search.h"
#include "search/values.h"

namespace image_engine::search {
namespace {

using store::Condition;
using store::Filter;
using store::TextField;

using ParseValue = Result<Condition> (*)(const Term&, const SearchOptions&);

template <typename T>
Result<Condition> as_condition(Result<T> value) {
  if (!value) return fail(std::move(value).error());
  return Condition(std::move(*value));
}

Result<Condition> after(const Term& term, const SearchOptions&) {
  IE_TRY(auto range, parse_time_range(term.value));
  range.to.reset();
  return Condition(range);
}

Result<Condition> before(const Term& term, const SearchOptions&) {
  IE_TRY(auto range, parse_time_range(term.value));
  range.from.reset();
  return Condition(range);
}

Result<Condition> taken_at(const Term& term, const SearchOptions&) { return as_condition(parse_taken(term.value)); }
Result<Condition> year(const Term& term, const SearchOptions&) { return as_condition(parse_year(term.value)); }
Result<Condition> month(const Term& term, const SearchOptions&) { return parse_month(term.value); }
Result<Condition> near(const Term& term, const SearchOptions& options) {
  return parse_near(term.value, options.find_places);
}
Result<Condition> rating(const Term& term, const SearchOptions&) { return as_condition(parse_rating(term.value)); }
Result<Condition> type(const Term& term, const SearchOptions&) { return as_condition(parse_type(term.value)); }
Result<Condition> state(const Term& term, const SearchOptions&) { return as_condition(parse_state(term.value)); }
Result<Condition> path(const Term& term, const SearchOptions&) { return Condition(store::PathCondition{term.value}); }

Result<Condition> objects(const Term& term, const SearchOptions&) { return as_condition(parse_objects(term.value)); }
Result<Condition> products(const Term& term, const SearchOptions&) { return as_condition(parse_products(term.value)); }
Result<Condition> people(const Term& term, const SearchOptions&) { return as_condition(parse_people(term.value)); }
Result<Condition> vehicle(const Term& term, const SearchOptions&) { return as_condition(parse_vehicle(term.value)); }

Result<Condition> subject(const Term& term, const SearchOptions&) { return as_condition(parse_subject(term.value)); }

struct Field {
  std::string_view name;
  ParseValue parse;             // null: a text field
  TextField text;               // of a text field
  std::string_view stage = {};  // of the pipeline, that fills it; empty: none
};
constexpr Field kFields[] = {
    {"tag", nullptr, TextField::kKeywords},  // also by rules
    {"keyword", nullptr, TextField::kKeywords},
    {"camera", nullptr, TextField::kCamera},
    {"lens", nullptr, TextField::kLens},
    {"place", nullptr, TextField::kPlace},
    {"title", nullptr, TextField::kTitle},
    {"description", nullptr, TextField::kDescription},
    {"creator", nullptr, TextField::kCreator},
    {"name", nullptr, TextField::kName},
    {"object", objects, TextField::kObjects, "objects"},             // a count, else text
    {"product", products, TextField::kProducts, "retail_products"},  // likewise
    {"people", people, TextField::kObjects, "objects"},
    {"vehicle", vehicle, TextField::kObjects, "objects"},
    {"subject", subject, TextField::kAny},
    {"scene", nullptr, TextField::kScene, "scene"},
    {"action", nullptr, TextField::kAction, "actions"},
    {"said", nullptr, TextField::kSaid, store::kSpeechStage},
    {"sound", nullptr, TextField::kSound, "sounds"},
    {"text", nullptr, TextField::kText, "text"},
    {"caption", nullptr, TextField::kCaption, "description"},
    {"person", nullptr, TextField::kPeople},  // also names in tags
    {"path", path, TextField::kAny},
    {"type", type, TextField::kAny},
    {"rating", rating, TextField::kAny},
    {"after", after, TextField::kAny},
    {"before", before, TextField::kAny},
    {"on", taken_at, TextField::kAny},
    {"date", taken_at, TextField::kAny},
    {"taken", taken_at, TextField::kAny},
    {"year", year, TextField::kAny},
    {"month", month, TextField::kAny},
    {"near", near, TextField::kAny},
    {"state", state, TextField::kAny},
};

Result<const Field*> find_field(std::string_view name) {
  const std::string lower = ascii_lower(name);
  const auto* field = std::ranges::find(kFields, std::string_view(lower), &Field::name);
  if (field != std::end(kFields)) return field;
  std::array<std::string_view, std::size(kFields)> names{};
  std::ranges::transform(kFields, names.begin(), &Field::name);
  const std::string_view nearest = nearest_name(lower, names);
  const std::string hint =
      nearest.empty() ? "quote it to search for the words" : "did you mean " + std::string(nearest) + ":";
  return fail(ErrorCode::kInvalidArgument, "there is no search field " + lower + ": " + hint);
}

// Words of four characters or more also match as prefixes.
constexpr size_t kPrefixCharacters = 4;

// Of "it's", which the index has as two words, the second.
std::string_view last_word(std::string_view value) {
  const auto is_of_word = [](char c) {
    return static_cast<unsigned char>(c) >= 0x80 || std::isalnum(static_cast<unsigned char>(c)) != 0;
  };
  size_t end = value.size();
  while (end > 0 && !is_of_word(value[end - 1])) --end;
  size_t begin = end;
  while (begin > 0 && is_of_word(value[begin - 1])) --begin;
  return value.substr(begin, end - begin);
}

store::TextCondition text_condition(TextField field, const Term& term) {
  const bool open = term.value.ends_with('*') || character_count(last_word(term.value)) >= kPrefixCharacters;
  return {field, term.value, open && !term.quoted && (!term.negated || term.value.ends_with('*'))};
}

// What a plain word means besides its letters: a year, or things that detectors know by other names.
std::optional<Condition> also_meant(const Term& term) {
  if (term.quoted) return std::nullopt;
  constexpr std::string_view kFirstYear = "1826", kLastYear = "2099";  // of the first photograph
  const bool is_year =
      term.value.size() == 4 && std::ranges::all_of(term.value, [](char c) { return c >= '0' && c <= '9'; });
  if (is_year && term.value >= kFirstYear && term.value <= kLastYear) return Condition(*parse_time_range(term.value));
  if (auto things = things_called(term.value)) return Condition(std::move(*things));
  return std::nullopt;
}

// The rule of that name or a keyword; nullopt without a rule. A quoted value is only a keyword.
Result<std::optional<Condition>> tag_by_rule(const Term& term, const SearchOptions& options) {
  if (term.quoted || !options.tag_rules) return std::nullopt;
  IE_TRY(const TagRules* rules, options.tag_rules());
  const std::vector<store::Sign>* signs = rules == nullptr ? nullptr : rules->find(term.value);
  if (signs == nullptr) return std::nullopt;
  store::TagCondition tag{ascii_lower(term.value), {text_condition(TextField::kKeywords, term)}};
  tag.signs.insert(tag.signs.end(), signs->begin(), signs->end());
  return Condition(std::move(tag));
}

// The condition of a term with a field.
Result<Condition> field_condition(const Term& term, const SearchOptions& options,
                                  std::vector<AnalysedField>& analysed) {
  IE_TRY(const Field* field, find_field(term.field));
  if (term.value.empty())
    return fail(ErrorCode::kInvalidArgument, std::string(field->name) + ": needs a value right after the colon");
  if (field->name == "tag") {
    IE_TRY(std::optional<Condition> tag, tag_by_rule(term, options));
    if (tag) return std::move(*tag);
  }
  if (!field->stage.empty()) analysed.push_back({field->text, field->stage});
  const bool may_count = field->parse == objects || field->parse == products;
  const bool counts = may_count && !term.quoted && term.value.find_first_of("<>=") != std::string::npos;
  if (field->parse == nullptr || (may_count && !counts)) return Condition(text_condition(field->text, term));
  return field->parse(term, options);
}

// English words that do not describe a picture, or that describe all.
constexpr std::string_view kFunctionWords[] = {
    "a",   "an",   "and",  "are",   "as",     "at",      "by",       "for",   "from",   "in",    "is",   "it",
    "its", "my",   "of",   "on",    "or",     "our",     "some",     "that",  "the",    "their", "this", "to",
    "was", "were", "with", "photo", "photos", "picture", "pictures", "image", "images", "pic",   "pics",
};

// Without a letter of any script, a digit or an emoji.
bool is_sign(const Term& term) {
  return std::ranges::none_of(term.value, [](char c) {
    return static_cast<unsigned char>(c) >= 0x80 || std::isalnum(static_cast<unsigned char>(c)) != 0;
  });
}

// Whether it may describe a picture: no sign alone, nor a word such as "the".
bool has_content(const Term& term) {
  if (is_sign(term)) return false;
  return term.quoted || std::ranges::find(kFunctionWords, ascii_lower(term.value)) == std::end(kFunctionWords);
}

// One alternative of the query, as it is put together.
struct Draft {
  std::vector<store::Word> telling, others;
  std::vector<Filter> filters;
  std::string text;  // for models

  void add_word(const Term& term) {
    const store::Word condition{text_condition(TextField::kAny, term), also_meant(term)};
    // Quoted text is required; it also counts for the ranking.
    if (term.quoted) filters.push_back({store::TextCondition(condition), false});
    (has_content(term) ? telling : others).push_back(condition);
    if (!text.empty()) text += ' ';
    text += !term.quoted && term.value.ends_with('*') ? term.value.substr(0, term.value.size() - 1) : term.value;
  }
  void append(const Draft& more) {
    telling.insert(telling.end(), more.telling.begin(), more.telling.end());
    others.insert(others.end(), more.others.begin(), more.others.end());
    filters.insert(filters.end(), more.filters.begin(), more.filters.end());
    if (!text.empty() && !more.text.empty()) text += ' ';
    text += more.text;
  }
  // Words such as "the" rank only if there are no others.
  [[nodiscard]] store::Alternative alternative() const {
    store::Alternative one;
    one.words = telling.empty() ? others : telling;
    one.filters = filters;
    return one;
  }
};

bool is_plain_word(const Node& node) {
  return node.kind == NodeKind::kTerm && node.term.field.empty() && !node.term.negated;
}

class Builder {
 public:
  explicit Builder(const SearchOptions& options) : options_(options) {}

  // What the node finds, as alternatives: one for each choice among words, which models are asked about. Fields joined
  // by OR are one condition.
  Result<std::vector<Draft>> alternatives(const Node& node) {
    if (node.kind == NodeKind::kAll) return all(node);
    if (node.kind == NodeKind::kAny) return any(node);
    Draft draft;
    if (is_plain_word(node)) {
      IE_CHECK(count());
      note_sign(node.term);
      draft.add_word(node.term);
    } else {
      IE_TRY(draft.filters.emplace_back(), filter(node));
    }
    return std::vector<Draft>{std::move(draft)};
  }

  std::vector<AnalysedField> analysed;  // fields in the query that stages fill
  std::vector<std::string> notes;       // see ParsedQuery
  bool asks_for_subjects = false;

 private:
  void note_sign(const Term& term) {
    if (term.value.empty() || !is_sign(term)) return;
    const std::string_view advice = term.value == "-" ? ": to exclude a word, write no blank after it" : "";
    notes.push_back(fmt::format("{} alone is no word and counts for nothing{}", printable(term.value), advice));
  }

  // Of each child one alternative, in every combination.
  Result<std::vector<Draft>> all(const Node& node) {
    std::vector<Draft> drafts(1);
    for (const Node& child : node.children) {
      if (child.kind == NodeKind::kTerm && child.term.field.empty() && child.term.value.empty()) continue;
      IE_TRY(const std::vector<Draft> more, alternatives(child));
      std::vector<Draft> product;
      for (const Draft& draft : drafts)
        for (const Draft& one : more) product.emplace_back(draft).append(one);
      drafts = std::move(product);
      IE_CHECK(check(drafts));
    }
    return drafts;
  }

  Result<std::vector<Draft>> any(const Node& node) {
    std::vector<Draft> drafts;
    store::AnyCondition fields;
    for (const Node& child : node.children) {
      IE_TRY(std::vector<Draft> more, alternatives(child));
      for (Draft& draft : more) {
        if (draft.telling.empty() && draft.others.empty())
          fields.alternatives.push_back(std::move(draft.filters));
        else
          drafts.push_back(std::move(draft));
      }
      IE_CHECK(check(drafts));
    }
    if (!fields.alternatives.empty()) drafts.emplace_back().filters.push_back({std::move(fields), false});
    return drafts;
  }

  static Status check(const std::vector<Draft>& drafts) {
    if (drafts.size() > store::kMostAlternatives)
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("OR between words makes more than {} different searches of this one: write fewer",
                              store::kMostAlternatives));
    return {};
  }

  Status count() {
    if (++terms_ > store::kMostWords)
      return fail(ErrorCode::kInvalidArgument,
                  "a search has at most " + std::to_string(store::kMostWords) + " words and fields");
    return {};
  }

  // What holds exactly where the node does: words are whole, and nothing of the meaning counts.
  Result<Filter> filter(const Node& node) {
    if (node.kind == NodeKind::kNot) {
      IE_TRY(Filter inner, filter(node.children.front()));
      inner.negated = !inner.negated;
      return inner;
    }
    if (node.kind == NodeKind::kTerm) {
      IE_CHECK(count());
      const bool negated = node.term.negated;
      if (node.term.field.empty()) {
        note_sign(node.term);
        Term whole = node.term;
        whole.negated = true;
        std::optional<Condition> also = also_meant(whole);
        Condition text = text_condition(TextField::kAny, whole);
        if (!also) return Filter{std::move(text), negated};
        return Filter{store::AnyCondition{{{{std::move(text), false}}, {{std::move(*also), false}}}}, negated};
      }
      IE_TRY(Condition condition, field_condition(node.term, options_, analysed));
      asks_for_subjects |= std::holds_alternative<store::SubjectCondition>(condition);
      return Filter{std::move(condition), negated};
    }
    store::AnyCondition condition;
    if (node.kind == NodeKind::kAny) {
      for (const Node& child : node.children) {
        IE_TRY(Filter one, filter(child));
        condition.alternatives.push_back({std::move(one)});
      }
    } else {
      IE_TRY(condition.alternatives, beside(node));
    }
    return Filter{std::move(condition), false};
  }

  // Terms beside each other: all but words must hold, and one of the words.
  Result<std::vector<std::vector<Filter>>> beside(const Node& node) {
    const auto is_loose = [](const Node& child) { return is_plain_word(child) && !child.term.quoted; };
    const bool tells = std::ranges::any_of(
        node.children, [&](const Node& child) { return is_loose(child) && has_content(child.term); });
    std::vector<Filter> required, words;
    for (const Node& child : node.children) {
      if (is_loose(child) && tells && !has_content(child.term)) continue;
      IE_TRY((is_loose(child) ? words : required).emplace_back(), filter(child));
    }
    std::vector<std::vector<Filter>> alternatives;
    for (Filter& word : words) {
      alternatives.push_back(required);
      alternatives.back().push_back(std::move(word));
    }
    if (words.empty()) alternatives.push_back(std::move(required));
    return alternatives;
  }

  const SearchOptions& options_;
  std::size_t terms_ = 0;
};

}  // namespace

Result<ParsedQuery> parse_query(std::string_view text, const SearchOptions& options) {
  IE_TRY(const Node root, parse_structure(text));
  Builder builder(options);
  IE_TRY(const std::vector<Draft> drafts, builder.alternatives(root));
  ParsedQuery parsed;
  parsed.query.limit = options.limit;
  parsed.query.offset = options.offset;
  parsed.query.most_moments = options.most_moments;
  parsed.query.include_missing = options.include_missing;
  parsed.analysed_fields = std::move(builder.analysed);
  parsed.notes = std::move(builder.notes);
  parsed.asks_for_subjects = builder.asks_for_subjects;
  for (const Draft& draft : drafts) {
    parsed.texts.push_back(draft.telling.empty() ? std::string() : draft.text);
    if (parsed.texts.size() == 1)
      static_cast<store::Alternative&>(parsed.query) = draft.alternative();
    else
      parsed.query.others.push_back(draft.alternative());
  }
  return parsed;
}

}  // namespace image_engine::search
