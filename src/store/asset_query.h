// A search of the catalogue as typed conditions. search/ parses it from the user's query; AssetFinder answers it.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/result.h"
#include "store/id_set.h"
#include "store/types.h"

namespace image_engine::store {

// The columns of the text index, in its order, and fields that have none. kAny means all of them.
enum class TextField : std::uint8_t {
  kName,  // file and folder names
  kTitle,
  kDescription,
  kKeywords,
  kPlace,
  kCamera,
  kLens,
  kCreator,
  kObjects,
  kScene,
  kText,
  kCaption,
  kPeople,
  kProducts,
  kAny,
  // No columns: their words are in kScene's. kAction stands for both actions.
  kAction,          // what happens, by a model that sees motion
  kZeroShotAction,  // what seems to happen, by comparing single frames with words
  kSound,           // what is heard besides words
  kSaid,            // what is said: an index of its own (store/speech_index.h)
};
inline constexpr std::size_t kTextFields = static_cast<std::size_t>(TextField::kAny);
// The name of its column, also used in `why`: "name", "keyword", "camera", …
std::string_view text_field_name(TextField field);
// kAny for an unknown name.
TextField field_from_name(std::string_view name);
// The column that has the field's words; kAny for kAny.
TextField column_of(TextField field);
// Whether text of this field is searched for by that field, or that column.
bool is_in(TextField field, TextField searched);

// Matches the words of `text` as a phrase, ignoring case and diacritics. Text in scripts written without spaces is also
// found inside longer text. Any bytes are safe. Text without a letter or digit matches nothing.
struct TextCondition {
  TextField field = TextField::kAny;
  std::string text;
  bool prefix = false;  // the last word may be the start of a longer one
  auto operator<=>(const TextCondition&) const = default;
};

// Seconds of local time, see CaptureTime::local_seconds; both ends inclusive. `absolute`: seconds of UTC instead; a
// picture without a time zone counts as UTC.
struct TakenCondition {
  std::optional<std::int64_t> from, to;
  bool absolute = false;
};
struct MonthCondition {
  int month = 1;  // 1…12, of any year, by local time
};
struct RatingCondition {  // −1 rejected to 5, both ends inclusive; an asset without a rating never matches
  int least = -1, most = 5;
};
struct NearCondition {
  double latitude = 0, longitude = 0;  // degrees
  double kilometres = 5;
};
// How many objects, or products, of that name were found, both ends inclusive. 0 matches only pictures that were
// analyzed for them.
struct ObjectsCondition {
  std::string name;  // ASCII case is ignored
  std::int64_t least = 1, most = std::numeric_limits<std::int64_t>::max();
  std::vector<std::string> others = {};   // further names that count, at most kMostNames
  double confidence = 0;                  // least confidence of a name's surest object, 0…1
  TextField field = TextField::kObjects;  // or kProducts
};
inline constexpr std::size_t kMostNames = 1000;
// How much of a picture is of one of these names, both ends inclusive, 0…1: what is not there has no share. With
// `absent`: pictures that were analyzed for masks and have none of the names.
struct SubjectCondition {
  std::vector<std::string> names;  // at most kMostNames; ASCII case is ignored
  double least = 0, most = 1;
  bool absent = false;
};
struct PathCondition {
  std::string part;  // anywhere in the path; ASCII case is ignored
};
struct TypeCondition {
  MediaKind kind = MediaKind::kNone;  // either this
  std::vector<MediaFormat> formats;   // or one of these
};
struct StateCondition {
  FileState state = FileState::kPresent;
};
struct SceneCondition {
  std::string name;       // ASCII case is ignored
  double confidence = 0;  // at least, 0…1
};
// Taken in one of these countries (ISO 3166-1 alpha-2, upper case) or, with `except`, in a known country that is none
// of them. Without codes: the position or the country is known.
struct CountryCondition {
  std::vector<std::string> codes;
  bool except = false;
};
// A picture has the tag when any of the signs holds.
using Sign = std::variant<TextCondition, ObjectsCondition, SceneCondition, CountryCondition>;
struct TagCondition {
  std::string tag;  // for `why`
  std::vector<Sign> signs;
};

// An asset matches when all filters of one of the alternatives hold.
struct Filter;
struct AnyCondition {
  std::vector<std::vector<Filter>> alternatives;
};

using Condition =
    std::variant<TextCondition, TakenCondition, MonthCondition, RatingCondition, NearCondition, PathCondition,
                 TypeCondition, StateCondition, ObjectsCondition, SubjectCondition, TagCondition, AnyCondition>;

struct Filter {
  Condition condition;
  bool negated = false;
};

// An asset matches by the text, or by what else the word means: "2016" the year, "people" what a detector found.
struct Word : TextCondition {
  std::optional<Condition> also = {};
};

// More words than this in an alternative, or more filters, are refused with kInvalidArgument, and more alternatives.
inline constexpr std::size_t kMostWords = 64;
inline constexpr std::size_t kMostAlternatives = 32;

struct Why {
  std::string field;    // "keyword", "camera", "taken", …
  std::string text;     // the matching text, UTF-8
  MomentId moment = 0;  // at which it was found; 0: not known
  bool operator==(const Why&) const = default;
};

// An asset, or a moment of it, that was found by something other than a word.
struct Relevant {
  AssetId asset = 0;
  double relevance = 0;  // the probability that it is about the query, 0…1
  Why why;
  MomentId moment = 0;  // 0: the asset as a whole
};

// What is asked for, or one of several things that are asked for.
struct Alternative {
  // Called once for assets that are about the words without containing them. Only findings that the filters allow
  // count. Of an asset the most relevant is its own, the others say which of its moments were found. They are merged
  // with the word matches (docs/search.md); without words they are the whole list. Null: only words are matched. Its
  // error is the search's error.
  std::function<Result<std::vector<Relevant>>(const IdSet& allowed)> more;
  // An asset matches any of them. Ranked by the number of matched words, how many matched whole, certainty, then bm25
  // over the words that not all assets match, then newest first.
  std::vector<Word> words;
  std::vector<Filter> filters;  // all must hold
};

// Finds what its own alternative finds and what the others find; an asset has the best of their scores.
struct AssetQuery : Alternative {
  std::vector<Alternative> others;
  bool include_missing = false;
  std::size_t limit = 50;
  std::size_t offset = 0;
  std::size_t most_moments = 1000;  // of an asset
};

// When a video or recording has what was asked for: what is said without a longer pause, or frames one after the other.
struct FoundMoment {
  double from = 0, to = 0;  // seconds of presentation time, `to` exclusive
  double at = 0;            // of the word that was asked for, else of the frame that shows it most surely
  std::optional<double> score =
      {};                     // of what was found by its meaning: the probability that it is about the query, 0…1
  std::vector<Why> why = {};  // of that time
};

struct FoundAsset {
  AssetId id = 0;
  std::string path;  // bytes; of a present file if there is one
  FileState state = FileState::kPresent;
  double score = 1;  // 0…1, falling
  std::vector<Why> why;
  std::vector<FoundMoment>
      moments;  // those that match most of the query: the surest of speech by time, then the surest first
  std::optional<CaptureTime> taken;  // of a video with moments: when its presentation time is zero
};

struct FoundAssets {
  std::vector<FoundAsset> assets;  // best first, newest first among equals
  std::uint64_t total = 0;         // without limit and offset
  // Assets without a time that the words and all conditions but those on times would find.
  std::uint64_t without_date = 0;
};

}  // namespace image_engine::store
