#include "media/written_words.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>
#include <vector>

#include "core/text.h"
#include "media/text.h"

namespace image_engine::media {
namespace {

constexpr size_t kMaxKeywords = 1000, kMaxPeople = 200;
constexpr char kLevels = '|';  // between levels of a keyword, as Lightroom writes it

struct KeywordTag {
  std::string_view key;
  char list = 0;    // between keywords in one text
  char levels = 0;  // between the levels of a keyword
};
constexpr KeywordTag kKeywordTags[] = {
    {"Xmp.dc.subject"},
    {"Iptc.Application2.Keywords"},
    {"Exif.Image.XPKeywords", ';'},
    {"Xmp.acdsee.keywords"},
    {"Iptc.Application2.SuppCategory"},
    {"Xmp.photoshop.SupplementalCategories"},
    {"Xmp.lr.hierarchicalSubject", 0, kLevels},
    {"Xmp.digiKam.TagsList", 0, '/'},
    {"Xmp.MicrosoftPhoto.LastKeywordXMP", 0, '/'},
    {"Xmp.MicrosoftPhoto.LastKeywordIPTC", 0, '/'},
    {"Xmp.mediapro.CatalogSets", 0, kLevels},
    {"Xmp.expressionmedia.CatalogSets", 0, kLevels},
};
constexpr std::string_view kAcdsee = "Xmp.acdsee.categories";
constexpr std::string_view kMwgKeywords = "Xmp.mwg-kw.";
constexpr std::string_view kMwgKeyword = "/mwg-kw:Keyword", kMwgChildren = "/mwg-kw:Children";

// Structures below `prefix` whose fields end so. Without `type` all are persons; else those that are faces, or do not
// say.
struct PersonTag {
  std::string_view prefix, name, type;
};
constexpr PersonTag kPersonTags[] = {
    {"Xmp.mwg-rs.Regions/", "/mwg-rs:Name", "/mwg-rs:Type"},
    {"Xmp.MP.RegionInfo/", "/MPReg:PersonDisplayName", ""},
    {"Xmp.acdsee-rs.Regions/", "/acdsee-rs:Name", "/acdsee-rs:Type"},
    {"Xmp.iptcExt.", "PersonInImage", ""},            // of the picture, or of a region
    {"Xmp.iptcExt.", "/Iptc4xmpExt:PersonName", ""},  // PersonInImageWDetails
};

using Keys = std::array<std::string_view, 5>;  // of a place's parts, as in kPlaceParts
constexpr std::string Place::*kPlaceParts[] = {&Place::location, &Place::city, &Place::region, &Place::country,
                                               &Place::country_code};
constexpr Keys kPlaceTags[] = {
    {"Xmp.iptcExt.LocationCreated[1]/Iptc4xmpExt:Sublocation", "Xmp.iptcExt.LocationCreated[1]/Iptc4xmpExt:City",
     "Xmp.iptcExt.LocationCreated[1]/Iptc4xmpExt:ProvinceState",
     "Xmp.iptcExt.LocationCreated[1]/Iptc4xmpExt:CountryName",
     "Xmp.iptcExt.LocationCreated[1]/Iptc4xmpExt:CountryCode"},
    {"Xmp.iptcExt.LocationCreated/Iptc4xmpExt:Sublocation", "Xmp.iptcExt.LocationCreated/Iptc4xmpExt:City",
     "Xmp.iptcExt.LocationCreated/Iptc4xmpExt:ProvinceState", "Xmp.iptcExt.LocationCreated/Iptc4xmpExt:CountryName",
     "Xmp.iptcExt.LocationCreated/Iptc4xmpExt:CountryCode"},
    {"Xmp.iptc.Location", "Xmp.photoshop.City", "Xmp.photoshop.State", "Xmp.photoshop.Country", "Xmp.iptc.CountryCode"},
    {"Iptc.Application2.SubLocation", "Iptc.Application2.City", "Iptc.Application2.ProvinceState",
     "Iptc.Application2.CountryName", "Iptc.Application2.CountryCode"},
    {"Xmp.iptcExt.LocationShown[1]/Iptc4xmpExt:Sublocation", "Xmp.iptcExt.LocationShown[1]/Iptc4xmpExt:City",
     "Xmp.iptcExt.LocationShown[1]/Iptc4xmpExt:ProvinceState", "Xmp.iptcExt.LocationShown[1]/Iptc4xmpExt:CountryName",
     "Xmp.iptcExt.LocationShown[1]/Iptc4xmpExt:CountryCode"},
};

// In lower case, with blanks for underscores. Texts that cameras' and editors' makers write where a person wrote none.
constexpr std::string_view kDefaultTexts[] = {"olympus digital camera",
                                              "sony dsc",
                                              "samsung",
                                              "samsung camera pictures",
                                              "samsung digital camera",
                                              "minolta digital camera",
                                              "konica minolta digital camera",
                                              "kodak digital still camera",
                                              "kodak digital camera",
                                              "pentax digital camera",
                                              "sanyo digital camera",
                                              "casio digital camera",
                                              "ricoh digital camera",
                                              "nikon digital camera",
                                              "panasonic digital camera",
                                              "fujifilm digital camera",
                                              "ge digital camera",
                                              "digital camera",
                                              "digital still camera",
                                              "digital stillcamera",
                                              "exif jpeg picture",
                                              "exif jpeg",
                                              "jpeg picture",
                                              "jpeg",
                                              "default",
                                              "x-default",
                                              "binary comment",
                                              "charset=ascii",
                                              "ascii",
                                              "unicode",
                                              "user comments",
                                              "metadata-start",
                                              "created by imlib",
                                              "iclarified",
                                              "dvc 10.1 hdmi"};
// Huawei's and Honor's codes of the camera's mode.
constexpr std::string_view kModeCodes[] = {"rhdr",   "hdrpl",    "oznorwo", "frontbhdp", "fbt",  "rbt",   "ptr",
                                           "fbthdr", "btr",      "mon",     "nor",       "dav",  "mde",   "mde soft",
                                           "edf",    "btfmdn",   "btf",     "btfhdr",    "frem", "oznor", "rpt",
                                           "burst",  "sdr hdrb", "sdr",     "cof",       "qrf",  "fshbty"};

void add_once(std::string text, size_t most, std::vector<std::string>& to) {
  if (!text.empty() && to.size() < most && std::ranges::find(to, text) == to.end()) to.push_back(std::move(text));
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0, end = 0; separator != 0 && begin <= text.size(); begin = end + 1) {
    end = std::min(text.find(separator, begin), text.size());
    if (std::string part = clean_text(text.substr(begin, end - begin)); !part.empty()) parts.push_back(std::move(part));
  }
  if (separator == 0) parts.emplace_back(text);
  return parts;
}

std::string path_of(const std::vector<std::string>& levels) {
  std::string path;
  for (const std::string& level : levels) path += (path.empty() ? "" : std::string(1, kLevels)) + level;
  return path;
}

// All texts whose keys begin so.
auto below(const TagTexts& texts, std::string_view prefix) {
  auto end = texts.lower_bound(prefix);
  while (end != texts.end() && end->first.starts_with(prefix)) ++end;
  return std::ranges::subrange(texts.lower_bound(prefix), end);
}

std::string first_text(const TagTexts& texts, std::string_view key) {
  const auto found = texts.find(key);
  return found == texts.end() ? std::string() : found->second;
}

std::string without_references(std::string_view xml) {
  constexpr std::pair<std::string_view, char> kReferences[] = {
      {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&amp;", '&'}};
  std::string text;
  while (!xml.empty()) {
    const auto* found = std::ranges::find_if(kReferences, [&](const auto& r) { return xml.starts_with(r.first); });
    const bool is_one = found != std::end(kReferences);
    text += is_one ? found->second : xml.front();
    xml.remove_prefix(is_one ? found->first.size() : 1);
  }
  return text;
}

// <Category Assigned="0">Country<Category Assigned="1">Bavaria</Category></Category>: an assigned category is a
// keyword.
void add_acdsee(std::string_view xml, std::vector<std::string>& keywords) {
  constexpr size_t kDeepest = 64;
  std::vector<std::string> levels;
  while (!xml.empty() && levels.size() < kDeepest) {
    const size_t open = xml.find('<'), close = xml.find('>', std::min(open, xml.size()));
    if (close == xml.npos) return;
    const std::string_view tag = xml.substr(open + 1, close - open - 1);
    xml.remove_prefix(close + 1);
    if (tag.starts_with("/Category") && !tag.starts_with("/Categories") && !levels.empty()) levels.pop_back();
    if (!tag.starts_with("Category ") && tag != "Category") continue;
    levels.push_back(clean_text(without_references(xml.substr(0, xml.find('<')))));
    if (tag.find("Assigned=\"1\"") != tag.npos) add_once(path_of(levels), kMaxKeywords, keywords);
  }
}

// Hierarchies of structures: …/mwg-kw:Hierarchy[1]/mwg-kw:Children[2]/mwg-kw:Keyword. The deepest ones are keywords.
void add_mwg(const TagTexts& texts, std::vector<std::string>& keywords) {
  for (const auto& [key, text] : below(texts, kMwgKeywords)) {
    if (!key.ends_with(kMwgKeyword)) continue;
    std::string_view node = std::string_view(key).substr(0, key.size() - kMwgKeyword.size());
    if (!below(texts, std::string(node).append(kMwgChildren)).empty()) continue;
    std::vector<std::string> levels{text};
    while (node.rfind(kMwgChildren) != node.npos) {
      node = node.substr(0, node.rfind(kMwgChildren));
      levels.insert(levels.begin(), first_text(texts, std::string(node).append(kMwgKeyword)));
    }
    add_once(path_of(levels), kMaxKeywords, keywords);
  }
}

// In lower case, without blanks at the ends; runs of blanks and underscores are one blank.
std::string comparable_text(std::string_view text) {
  std::string all;
  for (const char c : ascii_lower(text)) {
    const bool is_blank = c == '_' || std::isspace(static_cast<unsigned char>(c)) != 0;
    if (!is_blank) all += c;
    if (is_blank && !all.empty() && all.back() != ' ') all += ' ';
  }
  if (all.ends_with(' ')) all.pop_back();
  return all;
}

// "DCIM\100MEDIA\DJI_0001.JPG", with any separators or none: a folder's number and its five characters (DCF, 3.2.1).
bool is_camera_path(std::string_view lower) {
  if (!lower.starts_with("dcim") || lower.find(' ') != lower.npos) return false;
  lower.remove_prefix(4);
  if (lower.starts_with('\\') || lower.starts_with('/')) lower.remove_prefix(1);
  return lower.size() >= 8 &&
         std::ranges::all_of(lower.substr(0, 3), [](unsigned char c) { return std::isdigit(c); }) &&
         std::ranges::all_of(lower.substr(3, 5), [](unsigned char c) { return std::isalnum(c); });
}

}  // namespace

bool is_word_tag(std::string_view key) {
  constexpr std::string_view kOthers[] = {kAcdsee,   kMwgKeywords,     "Xmp.mwg-rs.",
                                          "Xmp.MP.", "Xmp.acdsee-rs.", "Xmp.iptcExt."};
  return std::ranges::find(kKeywordTags, key, &KeywordTag::key) != std::end(kKeywordTags) ||
         std::ranges::any_of(kOthers, [&](std::string_view prefix) { return key.starts_with(prefix); }) ||
         std::ranges::any_of(kPlaceTags, [&](const Keys& keys) { return std::ranges::find(keys, key) != keys.end(); });
}

void add_keywords(const TagTexts& texts, std::vector<std::string>& keywords) {
  for (const KeywordTag& tag : kKeywordTags)
    for (auto [at, end] = texts.equal_range(tag.key); at != end; ++at)
      for (const std::string& keyword : split(at->second, tag.list))
        add_once(tag.levels == 0 ? keyword : path_of(split(keyword, tag.levels)), kMaxKeywords, keywords);
  for (auto [at, end] = texts.equal_range(kAcdsee); at != end; ++at) add_acdsee(at->second, keywords);
  add_mwg(texts, keywords);
}

void add_people(const TagTexts& texts, std::vector<std::string>& people) {
  for (const PersonTag& tag : kPersonTags)
    for (const auto& [key, text] : below(texts, tag.prefix)) {
      if (!key.ends_with(tag.name)) continue;
      const std::string_view region = std::string_view(key).substr(0, key.size() - tag.name.size());
      const std::string type = tag.type.empty() ? "" : first_text(texts, std::string(region).append(tag.type));
      if (type.empty() || ascii_lower(type) == "face") add_once(text, kMaxPeople, people);
    }
}

std::optional<Place> written_place(const TagTexts& texts) {
  constexpr size_t kAlpha2 = 2;
  for (const Keys& keys : kPlaceTags) {
    Place place;
    for (size_t i = 0; i < keys.size(); ++i) place.*kPlaceParts[i] = first_text(texts, keys[i]);
    // Some write three letters, of which no table is here.
    if (place.country_code.size() != kAlpha2) place.country_code.clear();
    for (char& c : place.country_code) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (place != Place()) return place;
  }
  return std::nullopt;
}

bool is_default_text(std::string_view text, const Metadata& metadata) {
  const std::string known = comparable_text(text);
  const std::string make = comparable_text(metadata.make), model = comparable_text(metadata.model);
  if (std::ranges::find(kDefaultTexts, known) != std::end(kDefaultTexts) || is_camera_path(ascii_lower(text)))
    return true;
  if (known.starts_with("<digimax ") || known.starts_with("<kenox ")) return true;
  if (make.starts_with("huawei") || make.starts_with("honor"))
    if (std::ranges::find(kModeCodes, known) != std::end(kModeCodes)) return true;
  return !known.empty() && (known == make || known == model || known == make + " " + model);
}

}  // namespace image_engine::media
