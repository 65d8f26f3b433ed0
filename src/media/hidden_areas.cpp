#include "media/hidden_areas.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "media/frame_pixels.h"

namespace image_engine::media {
namespace {

constexpr double kLeastHiddenSquare = 8;  // pixels

// Whole samples of a plane, from first to last, the last excluded.
struct SampleRect {
  int left = 0, top = 0, right = 0, bottom = 0;
};

// A part of a frame as it is stored, edges from 0 to 1.
struct StoredPart {
  double left = 0, top = 0, right = 1, bottom = 1;
};

// What turns a place of the upright frame into one of the stored frame, by EXIF's orientation: edges swapped, then
// mirrored.
struct BackTurn {
  bool swaps, mirrors_x, mirrors_y;
};
constexpr std::array<BackTurn, 9> kBackTurns{{{false, false, false},
                                              {false, false, false},
                                              {false, true, false},
                                              {false, true, true},
                                              {false, false, true},
                                              {true, false, false},
                                              {true, false, true},
                                              {true, true, true},
                                              {true, true, false}}};

StoredPart stored(const StoredPart& upright, std::uint32_t orientation) {
  const BackTurn turn = kBackTurns[orientation < kBackTurns.size() ? orientation : 0];
  StoredPart part = upright;
  if (turn.swaps) part = {upright.top, upright.left, upright.bottom, upright.right};
  if (turn.mirrors_x) part = {1 - part.right, part.top, 1 - part.left, part.bottom};
  if (turn.mirrors_y) part = {part.left, 1 - part.bottom, part.right, 1 - part.top};
  return part;
}

// One component of a frame: luma, a colour difference, red, …
struct Component {
  std::uint8_t* data = nullptr;
  std::ptrdiff_t row = 0, step = 0;  // bytes
  int width = 0, height = 0;         // samples
  int shift_x = 0, shift_y = 0;      // of its subsampling
  int shift = 0;                     // of a value in its word
  std::uint32_t black = 0;
};

template <typename Word>
Word& word_at(const Component& component, int x, int y) {
  return *reinterpret_cast<Word*>(component.data + y * component.row + x * component.step);
}

tl::unexpected<Error> cannot_hide(const AVPixFmtDescriptor* description) {
  return fail(ErrorCode::kUnsupported, std::string("its frames cannot be changed: their pixels are ") +
                                           (description != nullptr ? description->name : "of an unknown kind"));
}

// Transparency stays.
Result<std::vector<Component>> components_of(const AVFrame& frame, bool& wide) {
  const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  constexpr std::uint64_t kOthers =
      AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_FLOAT;
  if (description == nullptr || (description->flags & kOthers) != 0) return cannot_hide(description);
  const bool is_rgb = (description->flags & AV_PIX_FMT_FLAG_RGB) != 0;
  const bool is_full =
      is_rgb || frame.color_range == AVCOL_RANGE_JPEG || std::string_view(description->name).starts_with("yuvj");
  wide = description->comp[0].depth > 8;
  if (wide && (description->flags & AV_PIX_FMT_FLAG_BE) != 0) return cannot_hide(description);
  const int colours = description->nb_components - ((description->flags & AV_PIX_FMT_FLAG_ALPHA) != 0 ? 1 : 0);
  std::vector<Component> components;
  for (int i = 0; i < colours; ++i) {
    const AVComponentDescriptor& component = description->comp[i];
    if (component.depth < 8 || component.depth > 16 || (component.depth > 8) != wide ||
        frame.linesize[component.plane] <= 0)
      return cannot_hide(description);
    const bool is_chroma = !is_rgb && i > 0;
    Component one;
    one.data = frame.data[component.plane] + component.offset;
    one.row = frame.linesize[component.plane];
    one.step = component.step;
    one.shift_x = is_chroma ? description->log2_chroma_w : 0;
    one.shift_y = is_chroma ? description->log2_chroma_h : 0;
    one.width = AV_CEIL_RSHIFT(frame.width, one.shift_x);
    one.height = AV_CEIL_RSHIFT(frame.height, one.shift_y);
    one.shift = component.shift;
    const int above = component.depth - 8;
    one.black = is_chroma ? 128U << above : is_full ? 0U : 16U << above;
    components.push_back(one);
  }
  return components;
}

// With the samples that lie partly inside.
SampleRect samples_of(const StoredPart& part, const Component& component) {
  const auto first = [](double at, int length) {
    return std::clamp(static_cast<int>(std::floor(at * length)), 0, length);
  };
  const auto last = [](double at, int length) {
    return std::clamp(static_cast<int>(std::ceil(at * length)), 0, length);
  };
  return {first(part.left, component.width), first(part.top, component.height), last(part.right, component.width),
          last(part.bottom, component.height)};
}

// Mean values of the squares of a part.
class SquareMeans {
 public:
  template <typename Word, typename Hidden>
  static SquareMeans of(const Component& component, const SampleRect& rect, int side_x, int side_y, Hidden hidden) {
    SquareMeans means(rect, side_x, side_y);
    std::vector<std::uint64_t> sums(means.values_.size()), counts(means.values_.size());
    for (int y = rect.top; y < rect.bottom; ++y)
      for (int x = rect.left; x < rect.right; ++x) {
        if (!hidden(x, y)) continue;
        const std::size_t at = means.cell(x, y);
        sums[at] += word_at<Word>(component, x, y) >> component.shift;
        ++counts[at];
      }
    for (std::size_t i = 0; i < sums.size(); ++i)
      means.values_[i] = counts[i] > 0 ? static_cast<float>(sums[i]) / static_cast<float>(counts[i])
                                       : static_cast<float>(component.black);
    return means;
  }

  [[nodiscard]] float square(int x, int y) const { return values_[cell(x, y)]; }
  // Between the middles of squares, without edges.
  [[nodiscard]] float smooth(int x, int y) const {
    const auto [left, right, across] = place(x - rect_.left, side_x_, columns_);
    const auto [above, below, down] = place(y - rect_.top, side_y_, rows_);
    const auto of_row = [&, left = left, right = right, across = across](int row) {
      return std::lerp(at(left, row), at(right, row), across);
    };
    return std::lerp(of_row(above), of_row(below), down);
  }

 private:
  SquareMeans(const SampleRect& rect, int side_x, int side_y)
      : rect_(rect),
        side_x_(side_x),
        side_y_(side_y),
        columns_((rect.right - rect.left + side_x - 1) / side_x),
        rows_((rect.bottom - rect.top + side_y - 1) / side_y),
        values_(static_cast<std::size_t>(columns_) * static_cast<std::size_t>(rows_)) {}

  struct Between {
    int first, second;
    float share;  // of the second
  };
  static Between place(int at, int side, int count) {
    const float middle = std::clamp((static_cast<float>(at) + 0.5F) / static_cast<float>(side) - 0.5F, 0.0F,
                                    static_cast<float>(count - 1));
    const int first = static_cast<int>(middle);
    return {first, std::min(first + 1, count - 1), middle - static_cast<float>(first)};
  }
  [[nodiscard]] float at(int column, int row) const {
    return values_[static_cast<std::size_t>(row) * static_cast<std::size_t>(columns_) +
                   static_cast<std::size_t>(column)];
  }
  [[nodiscard]] std::size_t cell(int x, int y) const {
    return static_cast<std::size_t>((y - rect_.top) / side_y_) * static_cast<std::size_t>(columns_) +
           static_cast<std::size_t>((x - rect_.left) / side_x_);
  }

  SampleRect rect_;
  int side_x_, side_y_, columns_, rows_;
  std::vector<float> values_;
};

// Replaces the samples of `rect` for which hidden(x, y).
template <typename Word, typename Hidden>
void hide_samples(const Component& component, const SampleRect& rect, double side, HideStyle style, Hidden hidden) {
  if (rect.left >= rect.right || rect.top >= rect.bottom) return;
  const auto samples = [&](int shift) { return std::max(1, static_cast<int>(std::ceil(side / (1 << shift)))); };
  const SquareMeans means =
      SquareMeans::of<Word>(component, rect, samples(component.shift_x), samples(component.shift_y), hidden);
  for (int y = rect.top; y < rect.bottom; ++y)
    for (int x = rect.left; x < rect.right; ++x) {
      if (!hidden(x, y)) continue;
      const float value = style == HideStyle::kSolid  ? static_cast<float>(component.black)
                          : style == HideStyle::kBlur ? means.smooth(x, y)
                                                      : means.square(x, y);
      word_at<Word>(component, x, y) = static_cast<Word>(static_cast<std::uint32_t>(value + 0.5F) << component.shift);
    }
}

template <typename Hidden>
void hide_part(const Component& component, bool wide, const SampleRect& rect, double side, HideStyle style,
               Hidden hidden) {
  if (wide)
    hide_samples<std::uint16_t>(component, rect, side, style, hidden);
  else
    hide_samples<std::uint8_t>(component, rect, side, style, hidden);
}

double side_of(const StoredPart& part, const AVFrame& frame, const HideOptions& options) {
  const double longer = std::max((part.right - part.left) * frame.width, (part.bottom - part.top) * frame.height);
  return std::max(std::ceil(longer / std::max(options.squares, 1U)), kLeastHiddenSquare);
}

}  // namespace

Status hide_areas(AVFrame& frame, std::uint32_t orientation, std::span<const HiddenArea> areas,
                  const HideOptions& options) {
  bool wide = false;
  IE_TRY(const std::vector<Component> components, components_of(frame, wide));
  const Size full = upright(display_size(frame), orientation);
  std::vector<StoredPart> parts;
  for (const HiddenArea& area : areas) {
    const double width = full.width, height = full.height;
    const StoredPart part{std::clamp(double{area.x} / width, 0.0, 1.0), std::clamp(double{area.y} / height, 0.0, 1.0),
                          std::clamp(double{area.x + area.width} / width, 0.0, 1.0),
                          std::clamp(double{area.y + area.height} / height, 0.0, 1.0)};
    if (part.left < part.right && part.top < part.bottom) parts.push_back(stored(part, orientation));
  }
  std::ranges::sort(parts, {}, [&](const StoredPart& part) { return side_of(part, frame, options); });
  for (const StoredPart& part : parts)
    for (const Component& component : components)
      hide_part(component, wide, samples_of(part, component), side_of(part, frame, options), options.style,
                [](int, int) { return true; });
  return {};
}

Status hide_outside(AVFrame& frame, std::uint32_t orientation, const RawPicture& mask, const HideOptions& options) {
  if (mask.channels != 1 || mask.width == 0 || mask.pixels.size() < std::size_t{mask.width} * mask.height)
    return fail(ErrorCode::kInvalidArgument, "not a mask");
  bool wide = false;
  IE_TRY(const std::vector<Component> components, components_of(frame, wide));
  const BackTurn turn = kBackTurns[orientation < kBackTurns.size() ? orientation : 0];
  for (const Component& component : components) {
    // The place of a sample in the upright mask: stored() backwards.
    const auto hidden = [&](int x, int y) {
      double across = (x + 0.5) / component.width, down = (y + 0.5) / component.height;
      if (turn.mirrors_x) across = 1 - across;
      if (turn.mirrors_y) down = 1 - down;
      if (turn.swaps) std::swap(across, down);
      const auto column = static_cast<std::size_t>(across * mask.width),
                 row = static_cast<std::size_t>(down * mask.height);
      return std::to_integer<int>(mask.pixels[row * mask.width + column]) < 128;
    };
    hide_part(component, wide, samples_of({}, component), side_of({}, frame, options), options.style, hidden);
  }
  return {};
}

}  // namespace image_engine::media
