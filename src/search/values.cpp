#include "search/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>
#include <vector>

#include "core/text.h"
#include "search/groups.h"

namespace image_engine::search {
namespace {

template <typename T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Removes `digits` decimal digits from the front of `text`.
std::optional<int> take_digits(std::string_view& text, size_t digits) {
  if (text.size() < digits) return std::nullopt;
  const std::string_view part = text.substr(0, digits);
  if (!std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  text.remove_prefix(digits);
  return number<int>(part);
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// "Z", "+02:00", "-0530": minutes east of UTC.
std::optional<int> take_zone(std::string_view& text) {
  if (take(text, 'Z') || take(text, 'z')) return 0;
  const int sign = text.starts_with('-') ? -1 : 1;
  if (!take(text, '+') && !take(text, '-')) return std::nullopt;
  const auto hours = take_digits(text, 2);
  take(text, ':');
  const auto minutes = take_digits(text, 2);
  if (!hours || !minutes || *hours > 14 || *minutes > 59) return std::nullopt;
  return sign * (*hours * 60 + *minutes);
}

struct Span {
  std::int64_t from, to;
};

std::int64_t day_seconds(std::chrono::year_month_day day) {
  return std::chrono::sys_days(day).time_since_epoch() / std::chrono::days(1) * std::int64_t{86400};
}

// The date at the front of `text`: the seconds of its year, month or day.
std::optional<Span> take_date(std::string_view& text, bool& whole_date) {
  using namespace std::chrono;
  const auto year_number = take_digits(text, 4);
  if (!year_number) return std::nullopt;
  const year y(*year_number);
  whole_date = false;
  if (!take(text, '-')) return Span{day_seconds(y / January / 1), day_seconds((y + years(1)) / January / 1) - 1};
  const auto month_number = take_digits(text, 2);
  if (!month_number || *month_number < 1 || *month_number > 12) return std::nullopt;
  const year_month ym = y / month(static_cast<unsigned>(*month_number));
  if (!take(text, '-')) return Span{day_seconds(ym / 1), day_seconds((ym + months(1)) / 1) - 1};
  const auto day_number = take_digits(text, 2);
  if (!day_number || *day_number < 1) return std::nullopt;
  const year_month_day date = ym / day(static_cast<unsigned>(*day_number));
  if (!date.ok()) return std::nullopt;
  whole_date = true;
  const std::int64_t begin = day_seconds(date);
  return Span{begin, begin + 86399};
}

// "10", "10:22" or "10:22:03": the seconds of that hour, minute or second in the day.
std::optional<Span> take_clock(std::string_view& text) {
  const auto hour = take_digits(text, 2);
  if (!hour || *hour > 23) return std::nullopt;
  if (!take(text, ':')) return Span{*hour * 3600, *hour * 3600 + 3599};
  const auto minute = take_digits(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  const int begin = *hour * 3600 + *minute * 60;
  if (!take(text, ':')) return Span{begin, begin + 59};
  const auto second = take_digits(text, 2);
  if (!second || *second > 59) return std::nullopt;
  return Span{begin + *second, begin + *second};
}

std::optional<store::TakenCondition> time_range(std::string_view text) {
  bool whole_date = false;
  auto span = take_date(text, whole_date);
  if (!span) return std::nullopt;
  store::TakenCondition range;
  if (whole_date && (take(text, 'T') || take(text, 't') || take(text, ' '))) {
    const auto clock = take_clock(text);
    if (!clock) return std::nullopt;
    span = Span{span->from + clock->from, span->from + clock->to};
    if (const auto zone = take_zone(text)) {
      range.absolute = true;
      span = Span{span->from - *zone * 60, span->to - *zone * 60};
    }
  }
  if (!text.empty()) return std::nullopt;
  range.from = span->from;
  range.to = span->to;
  return range;
}

struct Compared {
  int number = 0;                    // as written
  std::int64_t least = 0, most = 0;  // both inclusive
};

// A comparison and a number; at least that number without one.
std::optional<Compared> compared(std::string_view value) {
  struct Operator {
    std::string_view sign;
    std::int64_t least, most;  // added to the number; kOpen: no limit
  };
  constexpr std::int64_t kOpen = std::int64_t{1} << 40;
  constexpr Operator kOperators[] = {{">=", 0, kOpen},  {"<=", -kOpen, 0}, {">", 1, kOpen},
                                     {"<", -kOpen, -1}, {"=", 0, 0},       {"", 0, kOpen}};
  for (const Operator& op : kOperators) {
    if (!value.starts_with(op.sign)) continue;
    const auto written = number<int>(value.substr(op.sign.size()));
    if (!written) return std::nullopt;
    return Compared{*written, *written + op.least, *written + op.most};
  }
  return std::nullopt;
}

}  // namespace

tl::unexpected<Error> wrong_value(std::string_view field, std::string_view value, std::string_view expected) {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{}:{} is not understood: {}", field, printable(value), expected));
}

tl::unexpected<Error> wrong_name(std::string_view field, std::string_view value,
                                 std::span<const std::string_view> names, std::string_view expected) {
  const std::string_view nearest = nearest_name(ascii_lower(value), names);
  return wrong_value(field, value, nearest.empty() ? expected : fmt::format("did you mean {}:{}?", field, nearest));
}

std::optional<CountRange> compared_count(std::string_view value) {
  const auto range = compared(value);
  if (!range || range->number < 0) return std::nullopt;
  return CountRange{range->least, range->most};
}

Result<store::TakenCondition> parse_time_range(std::string_view value) {
  const auto range = time_range(value);
  if (!range)
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("\"{}\" is not a date: write 2024, 2024-06, 2024-06-01 or 2024-06-01T10:22", printable(value)));
  return *range;
}

namespace {

bool is_year(std::string_view text) { return text.size() == 4 && take_digits(text, 4).has_value(); }

// The range of dates without an error message.
std::optional<store::TakenCondition> taken(std::string_view value) {
  struct Comparison {
    std::string_view sign;
    bool from_begin, from_end, to_begin, to_end;  // what of the compared range limits the result
  };
  constexpr Comparison kComparisons[] = {{">=", true, false, false, false},
                                         {"<=", false, false, false, true},
                                         {">", false, true, false, false},
                                         {"<", false, false, true, false},
                                         {"=", true, false, false, true}};
  const size_t dots = value.find("..");
  const bool years = value.size() == 9 && value[4] == '-' && is_year(value.substr(0, 4)) && is_year(value.substr(5));
  if (dots != std::string_view::npos || years) {
    const std::string_view first = value.substr(0, years ? 4 : dots), last = value.substr(years ? 5 : dots + 2);
    store::TakenCondition range;
    const auto begin = time_range(first), end = time_range(last);
    if ((first.empty() && last.empty()) || (!first.empty() && !begin) || (!last.empty() && !end)) return std::nullopt;
    if (begin && end && begin->absolute != end->absolute) return std::nullopt;
    if (begin) range.from = begin->from;
    if (end) range.to = end->to;
    range.absolute = begin ? begin->absolute : end->absolute;
    return range;
  }
  for (const Comparison& comparison : kComparisons) {
    if (!value.starts_with(comparison.sign)) continue;
    const auto compared = time_range(value.substr(comparison.sign.size()));
    if (!compared) return std::nullopt;
    store::TakenCondition range{{}, {}, compared->absolute};
    if (comparison.from_begin) range.from = compared->from;
    if (comparison.from_end) range.from = *compared->to + 1;
    if (comparison.to_begin) range.to = *compared->from - 1;
    if (comparison.to_end) range.to = compared->to;
    return range;
  }
  return time_range(value);
}

constexpr std::string_view kMonths[] = {"january", "february", "march",     "april",   "may",      "june",
                                        "july",    "august",   "september", "october", "november", "december"};

// 0 for text that is no name of a month, or its first three letters and more.
int month_called(std::string_view text) {
  const std::string name = ascii_lower(text);
  for (size_t i = 0; i < std::size(kMonths); ++i)
    if (name.size() >= 3 && kMonths[i].starts_with(name)) return static_cast<int>(i) + 1;
  return 0;
}

}  // namespace

Result<store::TakenCondition> parse_taken(std::string_view value) {
  if (const auto range = taken(value)) return *range;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("\"{}\" is not a date: write 2024, 2024-06, 2024-06-01, 2024-06-01T10:22, 2023..2024-06 or "
                          ">=2023",
                          printable(value)));
}

Result<store::TakenCondition> parse_year(std::string_view value) {
  // Numbers of four digits alone.
  const bool years = value.find_first_not_of("0123456789.-<>=") == std::string_view::npos &&
                     std::ranges::count(value, '-') <= (value.size() == 9 ? 1 : 0);
  if (const auto range = taken(value); years && range) return *range;
  return wrong_value("year", value, "write year:2016, year:2016..2018 or year:>=2016");
}

Result<store::Condition> parse_month(std::string_view value) {
  if (const auto month = number<int>(value); month && *month >= 1 && *month <= 12)
    return store::Condition(store::MonthCondition{*month});
  if (const int month = month_called(value); month > 0) return store::Condition(store::MonthCondition{month});
  if (const size_t blank = value.find(' '); blank != std::string_view::npos)
    if (const int month = month_called(value.substr(0, blank)); month > 0 && is_year(value.substr(blank + 1)))
      if (const auto range = time_range(fmt::format("{}-{:02}", value.substr(blank + 1), month)))
        return store::Condition(*range);
  if (value.size() == 7)
    if (const auto range = time_range(value)) return store::Condition(*range);
  return wrong_name("month", value, kMonths, "write month:7, month:july or month:2016-07");
}

Result<store::RatingCondition> parse_rating(std::string_view value) {
  const auto range = compared(value);
  if (!range || range->number < -1 || range->number > 5)
    return wrong_value("rating", value, "write rating:4 for at least 4, rating:=4, rating:<3");
  return store::RatingCondition{static_cast<int>(std::max<std::int64_t>(-1, range->least)),
                                static_cast<int>(std::min<std::int64_t>(5, range->most))};
}

namespace {

// A name followed by a comparison; nullopt for anything else.
std::optional<store::ObjectsCondition> counted(std::string_view value, store::TextField field) {
  const size_t sign = value.find_first_of("<>=");
  const auto range = sign == std::string_view::npos ? std::nullopt : compared_count(value.substr(sign));
  if (!range || sign == 0) return std::nullopt;
  store::ObjectsCondition condition;
  condition.name = value.substr(0, sign);
  condition.least = range->least;
  condition.most = range->most;
  condition.field = field;
  std::ranges::replace_if(
      condition.name, [](char c) { return c == '-' || c == '_'; }, ' ');
  return condition;
}

}  // namespace

Result<store::ObjectsCondition> parse_objects(std::string_view value) {
  if (auto condition = counted(value, store::TextField::kObjects)) return std::move(*condition);
  return wrong_value("object", value, "write object:dog, object:person>=2, object:person=1");
}

Result<store::ObjectsCondition> parse_products(std::string_view value) {
  if (auto condition = counted(value, store::TextField::kProducts)) return std::move(*condition);
  return wrong_value("product", value, "write product:bottle, product:bottle>=2, product:can=1");
}

namespace {

constexpr std::string_view kSubjectExpected =
    "write subject:dog, subject:dog>30%, subject:person<=10%, subject:>50%, subject:yes or subject:no";

struct Shares {
  double least = 0, most = 1;
};

// A comparison and a number of percent.
std::optional<Shares> compared_share(std::string_view value) {
  const size_t digits = value.find_first_not_of("<>=");
  if (digits == std::string_view::npos || !value.ends_with('%')) return std::nullopt;
  const std::string_view sign = value.substr(0, digits);
  const auto percent = number<double>(value.substr(digits, value.size() - digits - 1));
  if (!percent || !(*percent >= 0 && *percent <= 100)) return std::nullopt;
  const double share = *percent / 100, above = std::nextafter(share, 2.0), below = std::nextafter(share, -1.0);
  constexpr double kHalfPercent = 0.005;
  const std::pair<std::string_view, Shares> rows[] = {{">=", {share, 1}},
                                                      {"<=", {0, share}},
                                                      {">", {above, 1}},
                                                      {"<", {0, below}},
                                                      {"=", {share - kHalfPercent, share + kHalfPercent}}};
  const auto* row = std::ranges::find(rows, sign, [](const auto& entry) { return entry.first; });
  return row == std::end(rows) ? std::nullopt : std::optional(row->second);
}

}  // namespace

Result<store::SubjectCondition> parse_subject(std::string_view value) {
  const std::string lower = ascii_lower(value);
  store::SubjectCondition condition{{"subject"}};
  if (lower == "yes") return condition;
  if (lower == "no") {
    condition.absent = true;
    return condition;
  }
  const size_t sign = std::min(lower.find_first_of("<>="), lower.size());
  std::string name = lower.substr(0, sign);
  std::ranges::replace_if(
      name, [](char c) { return c == '-' || c == '_'; }, ' ');
  if (const auto people = things_called(name)) {
    condition.names = people->others;
    condition.names.push_back(people->name);
  } else if (!name.empty()) {
    condition.names = {name};
  }
  if (sign == lower.size()) return condition;
  const auto shares = compared_share(std::string_view(lower).substr(sign));
  if (!shares) return wrong_value("subject", value, kSubjectExpected);
  condition.least = shares->least;
  condition.most = shares->most;
  return condition;
}

namespace {

constexpr std::string_view kNearExpected =
    "write near:48.14,11.58 or near:48.14,11.58,2 (latitude, longitude, kilometres), or near:NAME where place names "
    "are "
    "installed";

// Near each of the places; one condition alone is itself.
store::Condition near_any(const std::vector<PlacePosition>& places, double kilometres) {
  store::AnyCondition any;
  for (const PlacePosition& place : places)
    any.alternatives.push_back({{store::NearCondition{place.latitude, place.longitude, kilometres}, false}});
  if (any.alternatives.size() == 1) return std::move(any.alternatives.front().front().condition);
  return any;
}

std::vector<std::string_view> split_at_commas(std::string_view text) {
  std::vector<std::string_view> parts;
  for (size_t comma = 0; comma != std::string_view::npos; text.remove_prefix(std::min(comma + 1, text.size()))) {
    comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    while (part.starts_with(' ')) part.remove_prefix(1);
    parts.push_back(part);
  }
  return parts;
}

}  // namespace

Result<store::Condition> parse_near(std::string_view value, const FindPlaces& find_places) {
  constexpr double kHalfAround = 20'038;  // kilometres: half of Earth's equator
  constexpr size_t kMostPlaces = 50;
  std::vector<std::string_view> parts = split_at_commas(value);
  const auto wrong = [&] { return wrong_value("near", value, kNearExpected); };
  const auto latitude = number<double>(parts[0]);
  const bool named = !latitude;
  double kilometres = store::NearCondition().kilometres;
  // The last part of several, but for the longitude.
  if (parts.size() > (named ? 1 : 2))
    if (const auto written = number<double>(parts.back())) {
      if (!(*written > 0)) return wrong();
      kilometres = std::min(*written, kHalfAround);
      parts.pop_back();
    }
  if (parts.size() > 2) return wrong();
  if (latitude) {
    const auto longitude = parts.size() == 2 ? number<double>(parts[1]) : std::nullopt;
    if (!longitude || !(std::abs(*latitude) <= 90) || !(std::abs(*longitude) <= 180)) return wrong();
    return near_any({{*latitude, *longitude}}, kilometres);
  }
  if (!find_places || parts[0].empty()) return wrong();
  IE_TRY(const std::vector<PlacePosition> places, find_places(parts[0], parts.size() == 2 ? parts[1] : ""));
  if (places.empty())
    return fail(ErrorCode::kInvalidArgument,
                "no place is called " + printable(value) + ": " + std::string(kNearExpected));
  if (places.size() > kMostPlaces)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} places are called {}: write the country, too: near:\"{},US\"", places.size(),
                            printable(parts[0]), printable(parts[0])));
  return near_any(places, kilometres);
}

Result<store::TypeCondition> parse_type(std::string_view value) {
  const std::string name = ascii_lower(value);
  for (const MediaKind kind : kMediaKinds)
    if (name == kind_name(kind)) return store::TypeCondition{kind, {}};
  if (auto formats = formats_called(name); !formats.empty())
    return store::TypeCondition{MediaKind::kNone, std::move(formats)};
  std::vector<std::string_view> names = {"raw"};
  for (const MediaKind kind : kMediaKinds) names.push_back(kind_name(kind));
  for (int i = 1; i <= static_cast<int>(MediaFormat::kOtherRaw); ++i)
    names.push_back(format_name(static_cast<MediaFormat>(i)));
  return wrong_name("type", value, names,
                    "write type:photo, type:video, type:audio, type:raw or a format such as type:jpeg");
}

Result<store::StateCondition> parse_state(std::string_view value) {
  const std::string name = ascii_lower(value);
  std::vector<std::string_view> names;
  for (const auto state : {store::FileState::kPresent, store::FileState::kMissing, store::FileState::kExcluded,
                           store::FileState::kOffline}) {
    if (name == store::state_name(state)) return store::StateCondition{state};
    names.push_back(store::state_name(state));
  }
  return wrong_name("state", value, names, "write state:present, state:missing, state:excluded or state:offline");
}

}  // namespace image_engine::search
