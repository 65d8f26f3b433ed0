#include "infer/agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/tasks.h"

namespace image_engine::infer {
namespace {

template <typename T>
std::vector<double> doubles(std::span<const T> values) {
  return {values.begin(), values.end()};
}

std::vector<double> doubles(const Tensor& tensor) {
  switch (tensor.type) {
    case ElementType::kFloat32:
      return doubles(tensor.as<float>());
    case ElementType::kInt64:
      return doubles(tensor.as<std::int64_t>());
    case ElementType::kInt32:
      return doubles(tensor.as<std::int32_t>());
    case ElementType::kFloat16:  // never: outputs come as float32
    case ElementType::kUint8:
    case ElementType::kBool:
      return doubles(tensor.as<std::uint8_t>());
  }
  return {};
}

Agreement compared(std::span<const double> a, std::span<const double> b) {
  double product = 0, square_a = 0, square_b = 0, apart = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    product += a[i] * b[i];
    square_a += a[i] * a[i];
    square_b += b[i] * b[i];
    apart += std::abs(a[i] - b[i]);
  }
  const double lengths = std::sqrt(square_a) * std::sqrt(square_b);
  const bool both_zero = square_a == 0 && square_b == 0;
  const double cosine = lengths == 0 ? (both_zero ? 1 : 0) : product / lengths;
  return {cosine, a.empty() ? 0 : apart / static_cast<double>(a.size())};
}

// Of each picture of [pictures, rows, numbers].
void sort_columns(Tensor& tensor) {
  if (tensor.type != ElementType::kFloat32 || tensor.shape.size() != 3) return;
  const auto rows = static_cast<std::size_t>(tensor.shape[1]), width = static_cast<std::size_t>(tensor.shape[2]);
  const std::span<float> values = tensor.as<float>();
  std::vector<float> column(rows);
  for (std::size_t picture = 0; picture < static_cast<std::size_t>(tensor.shape[0]); ++picture)
    for (std::size_t c = 0; c < width; ++c) {
      float* const first = values.data() + picture * rows * width + c;
      for (std::size_t row = 0; row < rows; ++row) column[row] = first[row * width];
      std::ranges::sort(column);
      for (std::size_t row = 0; row < rows; ++row) first[row * width] = column[row];
    }
}

}  // namespace

void Agreement::take_worse(const Agreement& other) {
  // Sums propagate NaN; comparisons do not.
  cosine = std::isnan(cosine + other.cosine) ? cosine + other.cosine : std::min(cosine, other.cosine);
  mean_error = std::isnan(mean_error + other.mean_error) ? mean_error + other.mean_error
                                                         : std::max(mean_error, other.mean_error);
}

Result<Agreement> agreement(std::span<const Tensor> reference, std::span<const Tensor> other) {
  if (reference.size() != other.size()) return fail(ErrorCode::kCorrupt, "it has another number of outputs");
  Agreement worst;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    if (reference[i].type != other[i].type || reference[i].shape != other[i].shape)
      return fail(ErrorCode::kCorrupt, fmt::format("its output {} has another type or shape", i + 1));
    const std::vector<double> a = doubles(reference[i]), b = doubles(other[i]);
    if (!std::ranges::all_of(b, [](double x) { return std::isfinite(x); }))
      return fail(ErrorCode::kCorrupt, fmt::format("its output {} has numbers that are not finite", i + 1));
    worst.take_worse(compared(a, b));
  }
  return worst;
}

Result<Agreement> agreement_in_any_order(std::span<const Tensor> reference, std::span<const Tensor> other) {
  IE_TRY([[maybe_unused]] const Agreement checked, agreement(reference, other));
  const auto sorted = [](std::span<const Tensor> tensors) {
    std::vector<Tensor> all(tensors.begin(), tensors.end());
    std::ranges::for_each(all, sort_columns);
    return all;
  };
  return agreement(sorted(reference), sorted(other));
}

Result<Agreement> agreement_of(const models::Spec& spec, std::span<const Tensor> reference,
                               std::span<const Tensor> other) {
  const bool any_order = models::task_of(spec.task).rows_in_any_order;
  return any_order ? agreement_in_any_order(reference, other) : agreement(reference, other);
}

Status check_gate(const Agreement& found, const models::Gate& gate) {
  if (gate.cosine > 0 && !(found.cosine >= gate.cosine))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("cosine {:.4f}, at least {:.4f} is required", found.cosine, gate.cosine));
  if (gate.max_error > 0 && !(found.mean_error <= gate.max_error))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("mean error {:.4g}, at most {:.4g} is allowed", found.mean_error, gate.max_error));
  return {};
}

}  // namespace image_engine::infer
