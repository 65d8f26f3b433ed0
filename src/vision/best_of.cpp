#include "vision/best_of.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace image_engine::vision {
namespace {

// How much a picture shows, as powers of two of an edge. `found` falls as `edge` does where only real detail is lost:
// twice the edge needs second derivatives of a quarter the size for the same detail, and the variance of the Laplacian
// is their square. docs/duplicates.md has both for enlarged and reduced photos.
struct Detail {
  double edge = 0, found = 0;
};
// Of the edge's growth, how much `found` grows. Enlarged by interpolation: 0.1 to 0.6, mostly below 0.35; between a
// photo and its reduced copy: 0.3 to 1.3, mostly above 0.5.
constexpr double kEnlarged = 0.25, kBetween = 0.45, kPhotographed = 0.6;
constexpr double kSameEdge = 0.1;       // 7 %
constexpr double kSharper = 0.06;       // 18 % more variance: more than saving anew at high quality makes
constexpr double kUnknownSharp = 0.83;  // the median photo's (docs/quality.md)

double log2_edge(const Candidate& c) {
  return std::log2(static_cast<double>(c.metadata.width) * static_cast<double>(c.metadata.height) + 1) / 2;
}

Detail detail_of(const Candidate& c) {
  // The inverse of quality.cpp's scale.
  const double sharpness = std::clamp(c.quality ? c.quality->sharpness : kUnknownSharp, 1e-4, 1 - 1e-4);
  const double variance = 150 * std::pow(sharpness / (1 - sharpness), 1 / 0.8);
  return {log2_edge(c), log2_edge(c) + std::log2(variance) / 4};
}

Detail difference(const Candidate& a, const Candidate& b) {
  const Detail left = detail_of(a), right = detail_of(b);
  return {left.edge - right.edge, left.found - right.found};
}

bool both_assessed(const Candidate& a, const Candidate& b) { return a.quality && b.quality; }

bool has_more_detail(const Candidate& a, const Candidate& b) {
  const Detail more = difference(a, b);
  return both_assessed(a, b) && more.edge > kSameEdge && more.found >= kPhotographed * more.edge;
}

bool is_enlarged(const Candidate& a, const Candidate& b) {
  const Detail more = difference(a, b);
  return both_assessed(a, b) && more.edge > kSameEdge && more.found <= kEnlarged * more.edge;
}

bool has_more_pixels(const Candidate& a, const Candidate& b) {
  return difference(a, b).edge > 0 && !has_more_detail(a, b) && !is_enlarged(a, b);
}

bool is_sharper(const Candidate& a, const Candidate& b) {
  const Detail more = difference(a, b);
  return both_assessed(a, b) && more.edge <= kSameEdge && more.found >= kSharper;
}

double quality_or(const Candidate& c, double Quality::*field, double otherwise) {
  return c.quality ? (*c.quality).*field : otherwise;
}

// A rejected picture loses whatever its other values are.
double rating_value(const Candidate& c) {
  const int rating = c.rating.value_or(0);
  return rating < 0 ? -5.0 : std::min(rating, 5) / 5.0;
}

double exposure_value(const Candidate& c) { return quality_or(c, &Quality::exposure, 0.5); }

bool is_lossy(const Candidate& c) { return !is_raw(c.metadata.format) && !is_lossless(c.metadata.format); }

// Bits a pixel, as powers of two. Saving a JPEG as PNG multiplies them and adds nothing: what is not lossy counts as a
// JPEG of quality 90, which has about two.
double coding_value(const Candidate& c) {
  if (!is_lossy(c)) return 1;
  const double pixels = static_cast<double>(c.metadata.width) * static_cast<double>(c.metadata.height) + 1;
  return std::log2(std::clamp(8 * static_cast<double>(c.bytes) / pixels, 0.1, 8.0));
}

// Copies in sRGB often have lost their profile, or got one by another name.
std::string_view special_profile(const Candidate& c) {
  const std::string& profile = c.metadata.colour_profile;
  return profile.find("sRGB") == std::string::npos ? std::string_view(profile) : std::string_view();
}

const std::string& title_of(const Candidate& c) { return c.title.empty() ? c.metadata.title : c.title; }

bool is_own(std::string_view a, std::string_view b) { return !a.empty() && a != b; }

bool has_own_word(const Candidate& a, const Candidate& b) {
  return std::ranges::any_of(
      a.words, [&](const std::string& word) { return std::ranges::find(b.words, word) == b.words.end(); });
}

constexpr double kFarAway = 2e-4;  // degrees, 22 m: beyond the rounding of those who write GPS anew
bool is_elsewhere(const Candidate& a, const Candidate& b) {
  if (!a.metadata.gps || !b.metadata.gps) return false;
  return std::abs(a.metadata.gps->latitude - b.metadata.gps->latitude) > kFarAway ||
         std::abs(a.metadata.gps->longitude - b.metadata.gps->longitude) > kFarAway;
}

bool is_at_another_time(const Candidate& a, const Candidate& b) {
  return a.metadata.taken && b.metadata.taken && a.metadata.taken->local != b.metadata.taken->local;
}

constexpr double kEnoughWords = 5;

enum class Role : std::uint8_t {
  kDecides,  // real: it cannot come from saving the other one anew
  kKeeps,    // something that the other one lacks, of whatever worth
};

struct Criterion {
  const char* words;
  Role role;
  double weight;  // of value() in the sum
  double (*value)(const Candidate&);
  bool (*has)(const Candidate& a, const Candidate& b);
};

// By weight, which is also the order of reasons.
constexpr Criterion kCriteria[] = {
    {"complete", Role::kDecides, 20, [](const Candidate& c) { return c.is_partial ? 0.0 : 1.0; },
     [](const Candidate& a, const Candidate& b) { return !a.is_partial && b.is_partial; }},
    {"rated higher", Role::kDecides, 10, rating_value,
     [](const Candidate& a, const Candidate& b) { return rating_value(a) > rating_value(b); }},
    {"raw", Role::kKeeps, 2, [](const Candidate& c) { return is_raw(c.metadata.format) ? 1.0 : 0.0; },
     [](const Candidate& a, const Candidate& b) { return is_raw(a.metadata.format) && !is_raw(b.metadata.format); }},
    {"developed from raw data", Role::kKeeps, 0, nullptr,
     [](const Candidate& a, const Candidate& b) { return !is_raw(a.metadata.format) && is_raw(b.metadata.format); }},
    {"more detail", Role::kDecides, 2,
     [](const Candidate& c) { return detail_of(c).found - kBetween * detail_of(c).edge; }, has_more_detail},
    {"sharper", Role::kKeeps, 0, nullptr, is_sharper},
    {"not enlarged", Role::kKeeps, 0, nullptr,
     [](const Candidate& a, const Candidate& b) { return is_enlarged(b, a); }},
    {"more pixels", Role::kKeeps, 0, nullptr, has_more_pixels},
    {"has a clip", Role::kDecides, 1.5, [](const Candidate& c) { return c.clip.empty() ? 0.0 : 1.0; },
     [](const Candidate& a, const Candidate& b) { return is_own(a.clip, b.clip); }},
    {"more frames or pages", Role::kKeeps, 1, [](const Candidate& c) { return c.metadata.frames > 1 ? 1.0 : 0.0; },
     [](const Candidate& a, const Candidate& b) { return a.metadata.frames > b.metadata.frames; }},
    {"has its time", Role::kDecides, 1, [](const Candidate& c) { return c.metadata.taken ? 1.0 : 0.0; },
     [](const Candidate& a, const Candidate& b) { return a.metadata.taken && !b.metadata.taken; }},
    {"another time", Role::kKeeps, 0, nullptr, is_at_another_time},
    {"better exposed", Role::kKeeps, 1, exposure_value,
     [](const Candidate& a, const Candidate& b) { return exposure_value(a) - exposure_value(b) >= 0.05; }},
    {"has GPS", Role::kDecides, 0.8, [](const Candidate& c) { return c.metadata.gps ? 1.0 : 0.0; },
     [](const Candidate& a, const Candidate& b) { return a.metadata.gps && !b.metadata.gps; }},
    {"another place", Role::kKeeps, 0, nullptr, is_elsewhere},
    {"has a sidecar", Role::kDecides, 0.5, [](const Candidate& c) { return c.has_sidecar ? 1.0 : 0.0; },
     [](const Candidate& a, const Candidate& b) { return a.has_sidecar && !b.has_sidecar; }},
    {"names its camera", Role::kDecides, 0.5, [](const Candidate& c) { return c.metadata.model.empty() ? 0.0 : 1.0; },
     [](const Candidate& a, const Candidate& b) { return is_own(a.metadata.model, b.metadata.model); }},
    {"has own keywords", Role::kDecides, 0.4,
     [](const Candidate& c) { return std::min(static_cast<double>(c.words.size()) / kEnoughWords, 1.0); },
     has_own_word},
    {"has its own title", Role::kDecides, 0.3, [](const Candidate& c) { return title_of(c).empty() ? 0.0 : 1.0; },
     [](const Candidate& a, const Candidate& b) { return is_own(title_of(a), title_of(b)); }},
    {"has its own description", Role::kDecides, 0.3,
     [](const Candidate& c) { return c.metadata.description.empty() ? 0.0 : 1.0; },
     [](const Candidate& a, const Candidate& b) { return is_own(a.metadata.description, b.metadata.description); }},
    {"names its creator", Role::kDecides, 0.1,
     [](const Candidate& c) { return c.metadata.creator.empty() ? 0.0 : 1.0; },
     [](const Candidate& a, const Candidate& b) {
       return is_own(a.metadata.creator, b.metadata.creator) || is_own(a.metadata.copyright, b.metadata.copyright);
     }},
    {"has its own colour label", Role::kDecides, 0.1,
     [](const Candidate& c) { return c.metadata.label.empty() ? 0.0 : 1.0; },
     [](const Candidate& a, const Candidate& b) { return is_own(a.metadata.label, b.metadata.label); }},
    {"more colours", Role::kKeeps, 0.3, [](const Candidate& c) { return c.metadata.bit_depth > 8 ? 1.0 : 0.0; },
     [](const Candidate& a, const Candidate& b) { return a.metadata.bit_depth > b.metadata.bit_depth; }},
    {"has another colour profile", Role::kKeeps, 0.1,
     [](const Candidate& c) { return special_profile(c).empty() ? 0.0 : 1.0; },
     [](const Candidate& a, const Candidate& b) { return is_own(special_profile(a), special_profile(b)); }},
    {"has transparency", Role::kKeeps, 0, nullptr,
     [](const Candidate& a, const Candidate& b) { return a.metadata.has_alpha && !b.metadata.has_alpha; }},
    {"lossless", Role::kKeeps, 0, nullptr,
     [](const Candidate& a, const Candidate& b) { return !is_lossy(a) && is_lossy(b); }},
    {"another format", Role::kKeeps, 0, nullptr,
     [](const Candidate& a, const Candidate& b) {
       return is_lossy(a) && is_lossy(b) && a.metadata.format != b.metadata.format;
     }},
    {"more bytes", Role::kKeeps, 0.15, coding_value,
     [](const Candidate& a, const Candidate& b) { return is_lossy(a) && a.bytes > b.bytes; }},
};

}  // namespace

double merit(const Candidate& candidate) {
  double sum = 0;
  for (const Criterion& criterion : kCriteria)
    if (criterion.value != nullptr) sum += criterion.weight * criterion.value(candidate);
  return sum;
}

std::vector<std::string> advantages(const Candidate& a, const Candidate& b) {
  std::vector<std::string> words;
  for (const Criterion& criterion : kCriteria)
    if (criterion.has(a, b)) words.emplace_back(criterion.words);
  return words;
}

bool is_really_better(const Candidate& a, const Candidate& b) {
  return std::ranges::any_of(
      kCriteria, [&](const Criterion& criterion) { return criterion.role == Role::kDecides && criterion.has(a, b); });
}

Choice choose_best(std::span<const Candidate> candidates) {
  std::vector<double> merits;
  for (const Candidate& candidate : candidates) merits.push_back(merit(candidate));
  const auto greatest = std::max_element(merits.begin(), merits.end());
  Choice choice{static_cast<std::size_t>(greatest - merits.begin()), {}};
  if (candidates.size() < 2) return choice;
  *greatest = -HUGE_VAL;
  const auto second = static_cast<std::size_t>(std::max_element(merits.begin(), merits.end()) - merits.begin());
  choice.reasons = advantages(candidates[choice.best], candidates[second]);
  if (choice.reasons.empty()) choice.reasons.emplace_back(kNoBetter);
  return choice;
}

}  // namespace image_engine::vision
