// Heads that shift and scale the model's own proposals: fasterrcnn_dense.
#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "vision/heads_parts.h"

namespace image_engine::vision {
namespace {

constexpr std::string_view kProposalOutputs = "scores [1,r,classes+1], offsets [1,r,4*classes] and proposals [1,r,4]";

struct Table {
  std::size_t rows = 0, width = 0;
  std::span<const float> values;
};

// [rows, width] or [1, rows, width], optionally followed by 1s.
std::optional<Table> table_of(const Tensor& tensor) {
  std::span<const std::int64_t> shape = tensor.shape;
  while (shape.size() > 2 && shape.back() == 1) shape = shape.first(shape.size() - 1);
  if (shape.size() == 3 && shape.front() == 1) shape = shape.subspan(1);
  if (tensor.type != ElementType::kFloat32 || shape.size() != 2) return std::nullopt;
  return Table{static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1]), tensor.as<float>()};
}

// Removes and returns the first of that width.
std::optional<Table> take_first(std::vector<Table>& tables, std::size_t width) {
  const auto found = std::ranges::find(tables, width, &Table::width);
  if (found == tables.end()) return std::nullopt;
  const Table table = *found;
  tables.erase(found);
  return table;
}

BoxCandidate moved(std::span<const float> proposal, std::span<const float> offset, const HeadInput& input,
                   const Best& best) {
  const auto& variances = input.options.variances;
  const float across = static_cast<float>(input.size.width) - 1, down = static_cast<float>(input.size.height) - 1;
  const float top = proposal[0] * down, left = proposal[1] * across;
  const float height = proposal[2] * down - top, width = proposal[3] * across - left;
  const auto grown = [](float size, float by) { return size * std::exp(std::min(by, kMostGrowth)); };
  return from_centre(left + width / 2 + offset[0] * variances[0] * width,
                     top + height / 2 + offset[1] * variances[1] * height, grown(width, offset[2] * variances[2]),
                     grown(height, offset[3] * variances[3]), best);
}

}  // namespace

Result<Candidates> read_fasterrcnn_dense(const HeadInput& input) {
  std::vector<Table> tables;
  std::size_t widths = 0;
  for (const Tensor& tensor : input.outputs) {
    const auto table = table_of(tensor);
    if (!table || (!tables.empty() && table->rows != tables[0].rows))
      return unlike("fasterrcnn_dense", kProposalOutputs);
    widths += table->width;
    tables.push_back(*table);
  }
  const std::size_t classes = input.classes;
  // The widths are classes + 1, 4 · classes and 4.
  if (tables.size() != 3 || widths < 10 || widths % 5 != 0) return unlike("fasterrcnn_dense", kProposalOutputs);
  IE_CHECK(check_classes(static_cast<std::int64_t>(widths / 5) - 1, classes));
  const std::size_t rows = tables[0].rows;
  const auto scores = take_first(tables, classes + 1), offsets = take_first(tables, classes * 4),
             proposals = take_first(tables, 4);
  if (!scores || !offsets || !proposals) return unlike("fasterrcnn_dense", kProposalOutputs);
  Candidates found;
  for (std::size_t i = 0; i < rows; ++i) {
    const Best best = best_of(row_of(scores->values, i, classes + 1));
    if (best.label == classes || best.value < input.options.threshold) continue;
    const auto offset = row_of(offsets->values, i, classes * 4).subspan(std::size_t{best.label} * 4, 4);
    found.push_back(moved(row_of(proposals->values, i, 4), offset, input, best));
  }
  return found;
}

}  // namespace image_engine::vision
