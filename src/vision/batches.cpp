#include "vision/batches.h"

#include <algorithm>

namespace image_engine::vision {

bool takes_batches(const std::vector<infer::TensorInfo>& inputs) {
  return std::ranges::all_of(inputs, [](const auto& input) { return !input.shape.empty() && input.shape[0] < 0; });
}

Tensor stacked(std::span<const Tensor* const> pictures) {
  const bool on_gpu = std::ranges::any_of(pictures, [](const Tensor* picture) { return !picture->gpu_rows.empty(); });
  Tensor batch{pictures.front()->type, pictures.front()->shape, {}};
  batch.shape[0] = 0;
  if (!on_gpu) batch.data.reserve(pictures.front()->data.size() * pictures.size());
  for (const Tensor* picture : pictures) {
    batch.data.insert(batch.data.end(), picture->data.begin(), picture->data.end());
    batch.shape[0] += picture->shape[0];
    if (!on_gpu) continue;
    batch.gpu_rows.insert(batch.gpu_rows.end(), picture->gpu_rows.begin(), picture->gpu_rows.end());
    batch.gpu_rows.resize(static_cast<std::size_t>(batch.shape[0]));  // none: in `data`
  }
  return batch;
}

std::vector<std::vector<Tensor>> unstacked(const std::vector<Tensor>& outputs, std::size_t rows) {
  std::vector<std::vector<Tensor>> each(rows);
  for (const Tensor& output : outputs) {
    if (output.shape.empty() || output.shape[0] != static_cast<std::int64_t>(rows)) return {};
    const auto step = static_cast<std::ptrdiff_t>(output.data.size() / rows);
    for (std::size_t i = 0; i < rows; ++i) {
      const auto begin = output.data.begin() + static_cast<std::ptrdiff_t>(i) * step;
      Tensor& one = each[i].emplace_back(Tensor{output.type, output.shape, {begin, begin + step}});
      one.shape[0] = 1;
    }
  }
  return each;
}

}  // namespace image_engine::vision
