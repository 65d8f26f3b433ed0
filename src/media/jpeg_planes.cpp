#include "media/jpeg_planes.h"

#include <algorithm>

#include "media/ycc_planes.h"

namespace image_engine::media {
namespace {

constexpr std::size_t kBlock = 8;  // samples along an edge

std::uint32_t halved(std::uint32_t edge) { return (edge + 1) / 2; }

// The samples of Y around the measured tiles, a row of MCUs at a time.
class SharpRows {
 public:
  SharpRows(const PlaneLayout& layout, LumaAccumulator& luma)
      : luma_(luma),
        tiles_(layout.size.width, layout.size.height),
        width_(layout.size.width),
        height_(layout.size.height),
        stride_(std::size_t{layout.mcus.width} * layout.mcu.width),
        samples_(stride_ * layout.mcu.height),
        needed_(layout.planes[0].down) {
    for (auto& row : needed_) row.resize(stride_ / kBlock);
    luma_.begin(width_, height_);
  }

  // A row of MCUs begins at this row of pixels.
  void begin(std::uint32_t top) {
    for (std::size_t v = 0; v < needed_.size(); ++v) mark(top / kBlock + v, needed_[v]);
  }
  // Where the samples of a block go; null: they are not needed.
  [[nodiscard]] std::uint8_t* place(std::size_t x, std::size_t y) {
    return needed_[y][x] != 0 ? samples_.data() + y * kBlock * stride_ + x * kBlock : nullptr;
  }
  [[nodiscard]] std::size_t stride() const { return stride_; }
  void end(std::uint32_t top) {
    const std::size_t rows = std::min<std::size_t>(needed_.size() * kBlock, height_ - top);
    for (std::size_t y = 0; y < rows; ++y)
      if (luma_.needs_row())
        luma_.add_row({samples_.data() + y * stride_, width_});
      else
        luma_.skip_row();
  }

 private:
  static constexpr std::size_t kOfTile = LumaTiles::kEdge / kBlock;

  // Tile t needs blocks kOfTile · t to kOfTile · (t + 1), the last one all that follow.
  void mark(std::size_t y, std::vector<std::uint8_t>& needed) const {
    std::fill(needed.begin(), needed.end(), std::uint8_t{0});
    const auto row = static_cast<std::uint32_t>(std::min<std::size_t>(y / kOfTile, tiles_.rows - 1));
    if (tiles_.measures_row(row)) return mark_columns(row, needed);
    if (y == std::size_t{row} * kOfTile && row > 0 && tiles_.measures_row(row - 1)) mark_columns(row - 1, needed);
  }
  void mark_columns(std::uint32_t row, std::vector<std::uint8_t>& needed) const {
    for (std::size_t t = tiles_.first(row); t < tiles_.columns; t += tiles_.step) {
      const auto begin = needed.begin() + static_cast<std::ptrdiff_t>(t * kOfTile);
      const std::size_t left = needed.size() - t * kOfTile;
      std::fill_n(begin, t + 1 == tiles_.columns ? left : std::min(left, kOfTile + 1), std::uint8_t{1});
    }
  }

  LumaAccumulator& luma_;
  LumaTiles tiles_;
  std::uint32_t width_, height_;
  std::size_t stride_;
  std::vector<std::uint8_t> samples_;
  std::vector<std::vector<std::uint8_t>> needed_;  // by block, for each row of blocks
};

}  // namespace

bool PlaneLayout::divides(unsigned factor) const {
  const PlaneShape& y = planes[0];
  return factor >= 2 && std::ranges::all_of(planes, [&](const PlaneShape& plane) {
           return y.across % plane.across == 0 && y.down % plane.down == 0 && factor % (y.across / plane.across) == 0 &&
                  factor % (y.down / plane.down) == 0;
         });
}

PlaneReader::PlaneReader(const PlaneLayout& layout, unsigned factor, bool halved_too)
    : factor_(factor), height_(layout.size.height), rows_(layout.mcu.height) {
  const PlaneShape& finest = layout.planes[0];
  for (std::size_t i = 0; i < planes_.size(); ++i) {
    const PlaneShape& shape = layout.planes[i];
    Plane& plane = planes_[i];
    plane.fx = factor * shape.across / finest.across;
    plane.fy = factor * shape.down / finest.down;
    plane.halved = halved_too && plane.fx > 1 && plane.fy > 1;
    const unsigned by = plane.halved ? 2 : 1;
    plane.fx /= by, plane.fy /= by;
    plane.size = plane.halved ? Size{halved(shape.size.width), halved(shape.size.height)} : shape.size;
    plane.stride = std::size_t{layout.mcus.width} * shape.across * kBlock / by;
    const std::size_t rows = shape.down * kBlock / by;
    plane.samples.resize(plane.stride * rows);
    for (std::size_t y = 0; y < rows; ++y) plane.rows.push_back(plane.samples.data() + y * plane.stride);
    plane.reduced.resize((plane.size.width + plane.fx - 1) / plane.fx);
  }
}

void PlaneReader::pass_on(std::uint32_t top, RowResizer& resizer) {
  const std::uint32_t rows = std::min(rows_, height_ - top);
  for (std::uint32_t cell = 0; cell * factor_ < rows; ++cell) {
    std::array<const std::uint8_t*, 3> of{};
    std::size_t width = planes_[0].reduced.size();
    for (std::size_t i = 0; i < planes_.size(); ++i) {
      Plane& plane = planes_[i];
      const std::uint32_t plane_top = top / factor_ * plane.fy, first = cell * plane.fy;
      const std::uint32_t left = plane.size.height - std::min(plane.size.height, plane_top + first);
      const std::uint32_t count = std::clamp<std::uint32_t>(left, 1, plane.fy);
      const std::uint8_t* const* from = plane.rows.data() + std::min<std::size_t>(first, plane.rows.size() - count);
      of[i] = *from;
      width = std::min(width, plane.reduced.size());
      if (plane.fx == 1 && plane.fy == 1) continue;
      average_cells(from, count, plane.size.width, plane.fx, plane.reduced.data());
      of[i] = plane.reduced.data();
    }
    interleave(of[0], of[1], of[2], resizer.next_row(), width);
    resizer.commit_row();
  }
}

std::optional<Image> read_scan(JpegScan& scan, const PlaneLayout& layout, unsigned factor, Size target,
                               LumaAccumulator* luma) {
  PlaneReader reader(layout, factor, true);
  RowResizer resizer({(layout.size.width + factor - 1) / factor, (layout.size.height + factor - 1) / factor}, target,
                     static_cast<double>(layout.size.width) / factor, static_cast<double>(layout.size.height) / factor);
  std::optional<SharpRows> sharp;
  if (luma != nullptr) sharp.emplace(layout, *luma);
  std::vector<BlockTransform> transforms;
  for (const PlaneShape& shape : layout.planes) transforms.emplace_back(shape.quantizers);

  CoefficientBlock block;
  const auto read_block = [&](std::size_t i, std::size_t x, std::size_t y) {
    if (!scan.read(i, block)) return false;
    PlaneReader::Plane& plane = reader.planes()[i];
    if (plane.halved)
      transforms[i].write_means(block, plane.rows[y * kBlock / 2] + x * kBlock / 2, plane.stride);
    else
      transforms[i].write_all(block, plane.rows[y * kBlock] + x * kBlock, plane.stride);
    if (i != 0 || !sharp) return true;
    if (std::uint8_t* const place = sharp->place(x, y)) transforms[i].write_all(block, place, sharp->stride());
    return true;
  };
  const auto read_mcu = [&](std::size_t column) {
    if (!scan.begin_mcu()) return false;
    for (std::size_t i = 0; i < layout.planes.size(); ++i)
      for (std::size_t y = 0; y < layout.planes[i].down; ++y)
        for (std::size_t x = 0; x < layout.planes[i].across; ++x)
          if (!read_block(i, column * layout.planes[i].across + x, y)) return false;
    return true;
  };
  for (std::uint32_t row = 0; row < layout.mcus.height; ++row) {
    const std::uint32_t top = row * layout.mcu.height;
    if (sharp) sharp->begin(top);
    for (std::uint32_t column = 0; column < layout.mcus.width; ++column)
      if (!read_mcu(column)) return std::nullopt;
    if (sharp) sharp->end(top);
    reader.pass_on(top, resizer);
  }
  if (!scan.ends()) return std::nullopt;
  return resizer.finish();
}

}  // namespace image_engine::media
