// The grammar of docs/search.md.
#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "core/text.h"
#include "search/groups.h"
#include "search/search.h"
#include "search/values.h"

namespace image_engine::search {
namespace {

using store::Condition;
using store::TextField;

// One blank-separated piece: [-][field:]value, the value bare or in quotes.
struct Term {
  bool negated = false;
  std::string_view field;
  std::string value;
  bool quoted = false;
};

// Length of the blank at the front of `text`: ASCII white space, or U+3000, which East Asian keyboards type.
size_t blank_size(std::string_view text) {
  constexpr std::string_view kIdeographicSpace = "\xE3\x80\x80";
  if (text.starts_with(kIdeographicSpace)) return kIdeographicSpace.size();
  return !text.empty() && std::string_view(" \t\r\n\v\f").find(text[0]) != std::string_view::npos ? 1 : 0;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : rest_(text) {}

  std::optional<Term> next() {
    while (const size_t blank = blank_size(rest_)) rest_.remove_prefix(blank);
    if (rest_.empty()) return std::nullopt;
    Term term;
    if (rest_.size() > 1 && rest_[0] == '-' && blank_size(rest_.substr(1)) == 0) {
      term.negated = true;
      rest_.remove_prefix(1);
    }
    take_field(term);
    take_value(term);
    return term;
  }

 private:
  // ASCII letters followed by a colon; anything else ("12:30") is a word.
  void take_field(Term& term) {
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const auto end = std::ranges::find_if_not(rest_, is_letter);
    if (end == rest_.begin() || end == rest_.end() || *end != ':') return;
    const auto size = static_cast<size_t>(end - rest_.begin());
    term.field = rest_.substr(0, size);
    rest_.remove_prefix(size + 1);
  }

  void take_value(Term& term) {
    if (rest_.starts_with('"')) {
      rest_.remove_prefix(1);
      const size_t end = std::min(rest_.find('"'), rest_.size());  // an unclosed quote ends with the query
      term.value = rest_.substr(0, end);
      term.quoted = true;
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      return;
    }
    size_t end = 0;
    while (end < rest_.size() && rest_[end] != '"' && blank_size(rest_.substr(end)) == 0) ++end;
    term.value = rest_.substr(0, end);
    rest_.remove_prefix(end);
  }

  std::string_view rest_;
};

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

Result<Condition> on(const Term& term, const SearchOptions&) { return as_condition(parse_time_range(term.value)); }
Result<Condition> near(const Term& term, const SearchOptions& options) {
  return as_condition(parse_near(term.value, options.find_place));
}
Result<Condition> rating(const Term& term, const SearchOptions&) { return as_condition(parse_rating(term.value)); }
Result<Condition> type(const Term& term, const SearchOptions&) { return as_condition(parse_type(term.value)); }
Result<Condition> state(const Term& term, const SearchOptions&) { return as_condition(parse_state(term.value)); }
Result<Condition> path(const Term& term, const SearchOptions&) { return Condition(store::PathCondition{term.value}); }

Result<Condition> objects(const Term& term, const SearchOptions&) { return as_condition(parse_objects(term.value)); }
Result<Condition> products(const Term& term, const SearchOptions&) { return as_condition(parse_products(term.value)); }
Result<Condition> people(const Term& term, const SearchOptions&) { return as_condition(parse_people(term.value)); }
Result<Condition> vehicle(const Term& term, const SearchOptions&) { return as_condition(parse_vehicle(term.value)); }

struct Field {
  std::string_view name;
  ParseValue parse;       // null: a text field
  TextField text;         // of a text field
  bool analysed = false;  // filled by stages that analyze the picture
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
    {"object", objects, TextField::kObjects, true},     // a count, else text
    {"product", products, TextField::kProducts, true},  // likewise
    {"people", people, TextField::kObjects, true},
    {"vehicle", vehicle, TextField::kObjects, true},
    {"scene", nullptr, TextField::kScene, true},
    {"action", nullptr, TextField::kAction, true},
    {"said", nullptr, TextField::kSaid, true},
    {"sound", nullptr, TextField::kSound, true},
    {"text", nullptr, TextField::kText, true},
    {"caption", nullptr, TextField::kCaption, true},
    {"person", nullptr, TextField::kPeople, true},
    {"path", path, TextField::kAny},
    {"type", type, TextField::kAny},
    {"rating", rating, TextField::kAny},
    {"after", after, TextField::kAny},
    {"before", before, TextField::kAny},
    {"on", on, TextField::kAny},
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

Status add_field(const Term& term, const SearchOptions& options, ParsedQuery& parsed) {
  IE_TRY(const Field* field, find_field(term.field));
  if (term.value.empty())
    return fail(ErrorCode::kInvalidArgument, std::string(field->name) + ": needs a value right after the colon");
  if (field->name == "tag") {
    IE_TRY(std::optional<Condition> tag, tag_by_rule(term, options));
    if (tag) {
      parsed.query.filters.push_back({std::move(*tag), term.negated});
      return {};
    }
  }
  if (field->analysed) parsed.analysed_fields.push_back(field->text);
  const bool may_count = field->parse == objects || field->parse == products;
  const bool counts = may_count && !term.quoted && term.value.find_first_of("<>=") != std::string::npos;
  if (field->parse == nullptr || (may_count && !counts)) {
    parsed.query.filters.push_back({text_condition(field->text, term), term.negated});
    return {};
  }
  IE_TRY(auto condition, field->parse(term, options));
  parsed.query.filters.push_back({std::move(condition), term.negated});
  return {};
}

// English function words, which do not describe a picture.
constexpr std::string_view kFunctionWords[] = {
    "a",  "an", "and", "are", "as",   "at",   "by",  "for",   "from", "in", "is",  "it",   "its",  "my",
    "of", "on", "or",  "our", "some", "that", "the", "their", "this", "to", "was", "were", "with",
};

// Whether it may describe a picture: it contains a letter of any script or a digit, and is not a word such as "the".
bool has_content(const Term& term) {
  const auto describes = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
  };
  if (std::ranges::none_of(term.value, describes)) return false;
  return term.quoted || std::ranges::find(kFunctionWords, ascii_lower(term.value)) == std::end(kFunctionWords);
}

class Words {
 public:
  void add(const Term& term, ParsedQuery& parsed) {
    const store::TextCondition condition = text_condition(TextField::kAny, term);
    // Quoted text is required; it also counts for the ranking.
    if (term.negated || term.quoted) parsed.query.filters.push_back({condition, term.negated});
    if (term.negated) return;
    (has_content(term) ? telling_ : others_).push_back(condition);
    const std::string_view value = term.value;
    if (!text_.empty()) text_ += ' ';
    text_ += !term.quoted && value.ends_with('*') ? value.substr(0, value.size() - 1) : value;
  }
  [[nodiscard]] size_t size() const { return telling_.size() + others_.size(); }
  // Words such as "the" rank only if there are no others.
  void finish(ParsedQuery& parsed) && {
    if (!telling_.empty()) parsed.words = std::move(text_);
    parsed.query.words = std::move(telling_.empty() ? others_ : telling_);
  }

 private:
  std::vector<store::TextCondition> telling_, others_;
  std::string text_;
};

}  // namespace

Result<ParsedQuery> parse_query(std::string_view text, const SearchOptions& options) {
  ParsedQuery parsed;
  parsed.query.limit = options.limit;
  parsed.query.offset = options.offset;
  parsed.query.most_moments = options.most_moments;
  parsed.query.include_missing = options.include_missing;
  Words words;
  Lexer lexer(text);
  while (const auto term = lexer.next()) {
    if (!term->field.empty()) {
      IE_CHECK(add_field(*term, options, parsed));
    } else if (!term->value.empty()) {
      words.add(*term, parsed);
    }
    if (words.size() > store::kMostWords || parsed.query.filters.size() > store::kMostWords)
      return fail(ErrorCode::kInvalidArgument,
                  "a search has at most " + std::to_string(store::kMostWords) + " words and fields");
  }
  std::move(words).finish(parsed);
  return parsed;
}

}  // namespace image_engine::search
