#include "cli/contact_sheet.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "pipeline/query_picture.h"

namespace image_engine::cli {
namespace {

constexpr std::uint32_t kGap = 8, kCaption = 20, kLargestCell = 480;  // pixels
constexpr std::uint8_t kPaper = 24;
constexpr Colour kInk{230, 230, 230};

std::vector<double> spread(std::vector<double> times) {
  if (times.size() <= kMostCells) return times;
  std::vector<double> some;
  for (std::size_t i = 0; i < kMostCells; ++i) some.push_back(times[i * times.size() / kMostCells]);
  return some;
}

}  // namespace

Result<Canvas> contact_sheet(const Context& context, const std::string& path, std::vector<double> times,
                             std::uint32_t edge) {
  times = spread(std::move(times));
  if (times.empty()) return fail(ErrorCode::kNotFound, "no frame of this video was analyzed: image-engine analyze");
  const auto columns = static_cast<std::uint32_t>(std::ceil(std::sqrt(static_cast<double>(times.size()))));
  const auto rows = static_cast<std::uint32_t>((times.size() + columns - 1) / columns);
  const std::uint32_t room = std::max(edge, columns * 4 * kGap) - (columns + 1) * kGap;
  const std::uint32_t cell = std::clamp(room / columns, 32U, kLargestCell);
  std::vector<Image> frames;
  IE_CHECK(pipeline::with_frames(
      path, context.config, cell, times, [&](const ImageView& picture, preprocess::FullSize) -> Status {
        frames.push_back({picture.width, picture.height, {picture.pixels.begin(), picture.pixels.end()}});
        return {};
      }));
  std::uint32_t width = 0, height = 0;
  for (const Image& frame : frames) width = std::max(width, frame.width), height = std::max(height, frame.height);
  Image paper{columns * (width + kGap) + kGap, rows * (height + kCaption + kGap) + kGap, {}};
  paper.pixels.assign(paper.row_bytes() * paper.height, kPaper);
  Canvas sheet({paper.width, paper.height, paper.pixels});
  const Result<Font> font = Font::open();
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto column = static_cast<std::uint32_t>(i) % columns, row = static_cast<std::uint32_t>(i) / columns;
    const std::uint32_t left = kGap + column * (width + kGap), top = kGap + row * (height + kCaption + kGap);
    sheet.paste({frames[i].width, frames[i].height, frames[i].pixels}, left + (width - frames[i].width) / 2,
                top + (height - frames[i].height) / 2);
    if (font)
      sheet.write(*font, {static_cast<float>(left), static_cast<float>(top + height) + 2}, clock_text(times[i]),
                  kCaption - 5, kInk);
  }
  return sheet;
}

}  // namespace image_engine::cli
