#include "vision/quality.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/cpu.h"

namespace image_engine::vision {
namespace {

// From 0 at 0 over ½ at `middle` towards 1, monotone and smooth: (x / m)^p / (1 + (x / m)^p).
struct Rise {
  double middle, power;
  [[nodiscard]] double operator()(double x) const {
    if (!(x > 0)) return 0;
    return 1 / (1 + std::pow(middle / x, power));
  }
};

// docs/quality.md shows the distributions behind these values.
constexpr Rise kSharpness{150, 0.8};
constexpr Rise kNoise{6, 2};
constexpr Rise kContrast{0.15, 2};
constexpr Rise kColourfulness{45, 2};  // "averagely colourful" in the paper's scale
constexpr Rise kWellExposed{0.25, 2};
constexpr Rise kClipped{0.15, 1.5};

// The increase of the Laplacian's variance by white noise of variance 1: the sum of its squared coefficients, 20, plus
// a tenth because a high quantile over tiles is compared with a low one.
constexpr double kLaplacianOfNoise = 22;
constexpr std::size_t kBlack = 2, kWhite = 253;  // levels at or beyond which a pixel counts as clipped

double finite(double value) { return std::isfinite(value) ? std::max(0.0, value) : 0.0; }
double square(double value) { return value * value; }

void measure_histogram(const std::array<std::uint32_t, 256>& histogram, QualityMeasures& result) {
  double count = 0, sum = 0, squares = 0, exposed = 0, clipped = 0;
  for (std::size_t level = 0; level < histogram.size(); ++level) {
    const double n = histogram[level], luma = static_cast<double>(level);
    count += n;
    sum += n * luma;
    squares += n * luma * luma;
    exposed += n * std::exp(-square(luma / 255 - 0.5) / (2 * square(0.2)));
    if (level <= kBlack || level >= kWhite) clipped += n;
  }
  if (count == 0) return;
  result.contrast = std::sqrt(std::max(0.0, squares / count - square(sum / count))) / 255;
  result.well_exposed = exposed / count;
  result.clipped = clipped / count;
}

// Of rg = r − g and of twice yb, to stay with integers: below 2⁶³ for any picture that fits in memory.
struct ColourSums {
  std::int64_t rg = 0, rg_squares = 0, yb = 0, yb_squares = 0;
  std::size_t pixels = 0;
};
constexpr std::size_t kSumsBlock = 4096;  // pixels: 4096 × 510² is below 2³¹

[[gnu::always_inline]] inline void add_colours(const std::uint8_t* rgb, std::size_t pixels, ColourSums& sums) {
  std::int32_t rg_sum = 0, rg_squares = 0, yb_sum = 0, yb_squares = 0;
  for (std::size_t i = 0; i < pixels; ++i) {
    const int r = rgb[i * 3], g = rgb[i * 3 + 1], b = rgb[i * 3 + 2];
    const int rg = r - g, yb = r + g - 2 * b;
    rg_sum += rg, rg_squares += rg * rg;
    yb_sum += yb, yb_squares += yb * yb;
  }
  sums.rg += rg_sum, sums.rg_squares += rg_squares;
  sums.yb += yb_sum, sums.yb_squares += yb_squares;
}
void add_colours_anywhere(const std::uint8_t* rgb, std::size_t pixels, ColourSums& sums) {
  add_colours(rgb, pixels, sums);
}
#if defined(__x86_64__)
[[gnu::target("avx2")]] void add_colours_avx2(const std::uint8_t* rgb, std::size_t pixels, ColourSums& sums) {
  add_colours(rgb, pixels, sums);
}
#else
constexpr auto add_colours_avx2 = add_colours_anywhere;
#endif
using AddColours = decltype(&add_colours_anywhere);
const AddColours kAddColours = cpu_uses(CpuLevel::kAvx2) ? add_colours_avx2 : add_colours_anywhere;

ColourSums sums_of(const ImageView& image) {
  const std::size_t pixels = std::min(image.pixels.size() / 3, std::size_t{image.width} * image.height);
  ColourSums sums;
  sums.pixels = pixels;
  for (std::size_t first = 0; first < pixels; first += kSumsBlock)
    kAddColours(image.pixels.data() + first * 3, std::min(kSumsBlock, pixels - first), sums);
  return sums;
}
ColourSums sums_of(const CondensedPicture& picture) {
  const auto is_signed = [](std::uint64_t sum) { return static_cast<std::int64_t>(sum); };
  return {is_signed(picture.rg), is_signed(picture.rg_squares), is_signed(picture.yb), is_signed(picture.yb_squares),
          std::size_t{picture.width} * picture.height};
}

double colourfulness(const ColourSums& sums) {
  if (sums.pixels == 0) return 0;
  const auto n = static_cast<double>(sums.pixels);
  const double rg_mean = static_cast<double>(sums.rg) / n, yb_mean = static_cast<double>(sums.yb) / n / 2;
  const double variance = static_cast<double>(sums.rg_squares) / n - square(rg_mean) +
                          static_cast<double>(sums.yb_squares) / n / 4 - square(yb_mean);
  return std::sqrt(std::max(0.0, variance)) + 0.3 * std::hypot(rg_mean, yb_mean);
}

struct Share {
  double Quality::*measure;
  double weight;
};
// A weighted geometric mean: one bad value cannot be offset by the others.
constexpr Share kShares[] = {{&Quality::sharpness, 0.45}, {&Quality::exposure, 0.25}, {&Quality::contrast, 0.10}};
constexpr double kCleanWeight = 0.20;

double score(const Quality& quality) {
  double logarithm = kCleanWeight * std::log(1 - quality.noise);
  for (const Share& share : kShares) logarithm += share.weight * std::log(quality.*share.measure);
  return std::exp(logarithm);
}

struct Field {
  const char* name;
  double Quality::*value;
};
constexpr Field kFields[] = {
    {"sharpness", &Quality::sharpness},         {"exposure", &Quality::exposure}, {"contrast", &Quality::contrast},
    {"colourfulness", &Quality::colourfulness}, {"noise", &Quality::noise},       {"score", &Quality::score},
};

}  // namespace

namespace {

QualityMeasures measure(const LumaStatistics& luma, const ColourSums& colours) {
  QualityMeasures result;
  result.noise = finite(luma.noise_sigma);
  result.sharpness = finite(luma.laplacian_variance_top - kLaplacianOfNoise * square(result.noise));
  measure_histogram(luma.histogram, result);
  result.colourfulness = colourfulness(colours);
  return result;
}

}  // namespace

QualityMeasures measure_quality(const LumaStatistics& luma, const ImageView& image) {
  return measure(luma, sums_of(image));
}
QualityMeasures measure_quality(const LumaStatistics& luma, const CondensedPicture& picture) {
  return measure(luma, sums_of(picture));
}

Quality rate_quality(const QualityMeasures& measures) {
  Quality quality;
  quality.sharpness = kSharpness(measures.sharpness);
  quality.noise = kNoise(measures.noise);
  quality.contrast = kContrast(measures.contrast);
  quality.colourfulness = kColourfulness(measures.colourfulness);
  quality.exposure = kWellExposed(measures.well_exposed) * (1 - kClipped(measures.clipped));
  quality.score = score(quality);
  return quality;
}

Quality assess_quality(const LumaStatistics& luma, const ImageView& image) {
  return rate_quality(measure_quality(luma, image));
}

void to_json(nlohmann::json& json, const Quality& quality) {
  json = nlohmann::json::object();
  for (const Field& field : kFields) json[field.name] = std::round(quality.*field.value * 1e4) / 1e4;
}

void from_json(const nlohmann::json& json, Quality& quality) {
  for (const Field& field : kFields) quality.*field.value = json.value(field.name, 0.0);
}

}  // namespace image_engine::vision
