#include <utility>

#include "preprocess/plan.h"

namespace image_engine::preprocess {
namespace {

template <typename T>
using Named = std::pair<std::string_view, T>;

template <typename T, std::size_t N>
std::optional<T> find(const Named<T> (&names)[N], std::string_view name) {
  for (const auto& [known, value] : names)
    if (known == name) return value;
  return std::nullopt;
}

constexpr Named<Fit> kFits[] = {{"stretch", Fit::kStretch},
                                {"letterbox", Fit::kLetterbox},
                                {"centre-crop", Fit::kCentreCrop},
                                {"short-edge", Fit::kShortEdge}};
constexpr Named<Align> kAligns[] = {{"centre", Align::kCentre}, {"top-left", Align::kTopLeft}};
constexpr Named<Filter> kFilters[] = {{"nearest", Filter::kNearest},
                                      {"bilinear", Filter::kBilinear},
                                      {"bicubic", Filter::kBicubic},
                                      {"lanczos", Filter::kLanczos},
                                      {"linear", Filter::kLinear}};
constexpr Named<Layout> kLayouts[] = {{"nchw", Layout::kNchw}, {"nhwc", Layout::kNhwc}};
constexpr Named<ChannelOrder> kOrders[] = {{"rgb", ChannelOrder::kRgb}, {"bgr", ChannelOrder::kBgr}};

}  // namespace

std::optional<Fit> fit_from_name(std::string_view name) { return find(kFits, name); }
std::optional<Align> align_from_name(std::string_view name) { return find(kAligns, name); }
std::optional<Filter> filter_from_name(std::string_view name) { return find(kFilters, name); }
std::optional<Layout> layout_from_name(std::string_view name) { return find(kLayouts, name); }
std::optional<ChannelOrder> channel_order_from_name(std::string_view name) { return find(kOrders, name); }

}  // namespace image_engine::preprocess
