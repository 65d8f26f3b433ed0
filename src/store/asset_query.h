// What a search asks of the catalogue, typed. search/ makes it from what a person wrote; AssetFinder answers it.
#pragma once

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

// The columns of the text index, in its order. kAny is all of them.
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
};
inline constexpr std::size_t kTextFields = static_cast<std::size_t>(TextField::kAny);
// Its column, which is also what `why` calls it: "name", "keyword", "camera", …
std::string_view text_field_name(TextField field);

// The words of `text` next to each other, letters' case and diacritics aside. Text of scripts written without spaces
// is found anywhere within longer text. Any bytes are safe. Text without a letter or digit matches nothing.
struct TextCondition {
  TextField field = TextField::kAny;
  std::string text;
  bool prefix = false;  // the last word may go on
};

// Seconds of local time, see CaptureTime::local_seconds; both ends inclusive. `absolute`: of UTC instead, where a
// picture without a zone counts as UTC.
struct TakenCondition {
  std::optional<std::int64_t> from, to;
  bool absolute = false;
};
struct RatingCondition {  // −1 rejected to 5, both ends inclusive; an asset without a rating never matches
  int least = -1, most = 5;
};
struct NearCondition {
  double latitude = 0, longitude = 0;  // degrees
  double kilometres = 5;
};
// How many objects, or products, of that name were found, both ends inclusive; 0 only for pictures in which they were
// looked for.
struct ObjectsCondition {
  std::string name;  // ASCII case aside
  std::int64_t least = 1, most = std::numeric_limits<std::int64_t>::max();
  std::vector<std::string> others = {};   // names that count as well, at most kMostNames
  double confidence = 0;                  // only names whose surest object has this count, 0…1
  TextField field = TextField::kObjects;  // or kProducts
};
inline constexpr std::size_t kMostNames = 1000;
struct PathCondition {
  std::string part;  // anywhere in the path, ASCII case aside
};
struct TypeCondition {
  MediaKind kind = MediaKind::kNone;  // either this
  std::vector<MediaFormat> formats;   // or one of these
};
struct StateCondition {
  FileState state = FileState::kPresent;
};
struct SceneCondition {
  std::string name;       // ASCII case aside
  double confidence = 0;  // at least, 0…1
};
// Where it was taken is known, and in one of these countries (ISO 3166-1 alpha-2, upper case) or, with `except`, in
// none of them. Without countries the position or the country is known.
struct CountryCondition {
  std::vector<std::string> codes;
  bool except = false;
};
// What shows that a picture deserves a tag: any of the signs.
using Sign = std::variant<TextCondition, ObjectsCondition, SceneCondition, CountryCondition>;
struct TagCondition {
  std::string tag;  // for `why`
  std::vector<Sign> signs;
};

using Condition = std::variant<TextCondition, TakenCondition, RatingCondition, NearCondition, PathCondition,
                               TypeCondition, StateCondition, ObjectsCondition, TagCondition>;

struct Filter {
  Condition condition;
  bool negated = false;
};

// More words than this are refused with kInvalidArgument.
inline constexpr std::size_t kMostWords = 64;

struct Why {
  std::string field;  // "keyword", "camera", "taken", …
  std::string text;   // what was there, UTF-8
  bool operator==(const Why&) const = default;
};

// An asset that something else than a word found.
struct Relevant {
  AssetId asset = 0;
  double relevance = 0;  // the probability that it is about the query, 0…1
  Why why;
};

struct AssetQuery {
  // Asked once for assets that are about the words without having them. Of its findings those count that the filters
  // allow, and of several of an asset the first; they and what the words find are one list (docs/search.md). Null:
  // words alone find. Without words its findings are the list. Its error is that of the search.
  std::function<Result<std::vector<Relevant>>(const IdSet& allowed)> more;
  // Any. Ranked by the number of matched words, then of those matched whole, then bm25 over the words that tell assets
  // apart, then newest first.
  std::vector<TextCondition> words;
  std::vector<Filter> filters;  // all
  bool include_missing = false;
  std::size_t limit = 50;
  std::size_t offset = 0;
};

// When a video shows what was asked for: frames one after the other.
struct FoundMoment {
  double from = 0, to = 0;  // seconds of presentation time, `to` exclusive
  double at = 0;            // of the frame that shows it most surely
  std::vector<Why> why;     // of that frame
};

struct FoundAsset {
  AssetId id = 0;
  std::string path;  // bytes; a present file's before others
  FileState state = FileState::kPresent;
  double score = 1;  // 0…1, falling
  std::vector<Why> why;
  std::vector<FoundMoment> moments;  // those that match most of the query, the surest first
};

struct FoundAssets {
  std::vector<FoundAsset> assets;  // best first, newest first among equals
  std::uint64_t total = 0;         // without limit and offset
};

}  // namespace image_engine::store
