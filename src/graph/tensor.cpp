#include "graph/tensor.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace image_engine::graph {
namespace {

using onnx::TensorProto;

template <typename T>
std::optional<double> raw_at(const std::string& raw, std::size_t i) {
  if (raw.size() / sizeof(T) <= i) return std::nullopt;
  T value;
  std::memcpy(&value, raw.data() + i * sizeof(T), sizeof(T));
  return static_cast<double>(value);
}

std::optional<double> raw_half_at(const std::string& raw, std::size_t i) {
  if (raw.size() / sizeof(std::uint16_t) <= i) return std::nullopt;
  std::uint16_t value = 0;
  std::memcpy(&value, raw.data() + i * sizeof(value), sizeof(value));
  return float_of(value);
}

template <typename Field>
std::optional<double> entry_at(const Field& field, std::size_t i) {
  if (static_cast<std::size_t>(field.size()) <= i) return std::nullopt;
  return static_cast<double>(field.Get(static_cast<int>(i)));
}

std::optional<double> of_floats(const TensorProto& t, std::size_t i) { return entry_at(t.float_data(), i); }
std::optional<double> of_doubles(const TensorProto& t, std::size_t i) { return entry_at(t.double_data(), i); }
std::optional<double> of_ints(const TensorProto& t, std::size_t i) { return entry_at(t.int32_data(), i); }
std::optional<double> of_longs(const TensorProto& t, std::size_t i) { return entry_at(t.int64_data(), i); }
std::optional<double> of_halves(const TensorProto& t, std::size_t i) {
  const auto bits = entry_at(t.int32_data(), i);
  return bits ? std::optional<double>(float_of(static_cast<std::uint16_t>(*bits))) : std::nullopt;
}

// Where a type's numbers are: packed bytes, or a list of a field.
struct KindRow {
  int kind;
  std::optional<double> (*raw)(const std::string&, std::size_t);
  std::optional<double> (*listed)(const TensorProto&, std::size_t);
};
constexpr KindRow kReadable[] = {
    {TensorProto::FLOAT, raw_at<float>, of_floats},        {TensorProto::DOUBLE, raw_at<double>, of_doubles},
    {TensorProto::FLOAT16, raw_half_at, of_halves},        {TensorProto::INT64, raw_at<std::int64_t>, of_longs},
    {TensorProto::INT32, raw_at<std::int32_t>, of_ints},   {TensorProto::INT16, raw_at<std::int16_t>, of_ints},
    {TensorProto::INT8, raw_at<std::int8_t>, of_ints},     {TensorProto::UINT8, raw_at<std::uint8_t>, of_ints},
    {TensorProto::UINT16, raw_at<std::uint16_t>, of_ints}, {TensorProto::BOOL, raw_at<std::uint8_t>, of_ints},
};

TensorProto tensor_with(int kind, const void* data, std::size_t bytes) {
  TensorProto made;
  made.set_data_type(kind);
  made.set_raw_data(data, bytes);
  return made;
}

}  // namespace

std::size_t count_of(const TensorProto& tensor) {
  std::size_t count = 1;
  for (const std::int64_t side : tensor.dims()) count *= static_cast<std::size_t>(std::max<std::int64_t>(side, 0));
  return count;
}

TensorFacts facts_of(const TensorProto& tensor) {
  Shape shape;
  for (const std::int64_t side : tensor.dims()) shape.push_back({side, {}});
  return {tensor.name(), tensor.data_type(), std::move(shape)};
}

std::optional<double> number_at(const TensorProto& tensor, std::size_t i) {
  const auto row = std::ranges::find(kReadable, tensor.data_type(), &KindRow::kind);
  if (row == std::end(kReadable)) return std::nullopt;
  return tensor.has_raw_data() ? row->raw(tensor.raw_data(), i) : row->listed(tensor, i);
}

std::optional<std::vector<std::int64_t>> whole_numbers(const TensorProto& tensor) {
  if (tensor.data_type() != TensorProto::INT64) return std::nullopt;
  const std::size_t count = count_of(tensor);
  std::vector<std::int64_t> values(tensor.int64_data().begin(), tensor.int64_data().end());
  if (tensor.has_raw_data()) {
    if (tensor.raw_data().size() % sizeof(std::int64_t) != 0) return std::nullopt;
    values.resize(tensor.raw_data().size() / sizeof(std::int64_t));
    std::memcpy(values.data(), tensor.raw_data().data(), tensor.raw_data().size());
  }
  if (values.size() != count) return std::nullopt;
  return values;
}

std::optional<std::vector<float>> floats(const TensorProto& tensor) {
  if (tensor.data_type() != TensorProto::FLOAT) return std::nullopt;
  const std::size_t count = count_of(tensor);
  if (!tensor.has_raw_data()) {
    if (static_cast<std::size_t>(tensor.float_data_size()) != count) return std::nullopt;
    return std::vector<float>(tensor.float_data().begin(), tensor.float_data().end());
  }
  if (tensor.raw_data().size() != count * sizeof(float)) return std::nullopt;
  std::vector<float> values(count);
  std::memcpy(values.data(), tensor.raw_data().data(), count * sizeof(float));
  return values;
}

bool has_nonzero(const TensorProto& tensor) {
  for (std::size_t i = 0; i < count_of(tensor); ++i)
    if (number_at(tensor, i) != 0.0) return true;
  return false;
}

TensorProto float_tensor(std::span<const float> values, const std::vector<std::int64_t>& dims) {
  TensorProto made = tensor_with(TensorProto::FLOAT, values.data(), values.size_bytes());
  for (const std::int64_t side : dims) made.add_dims(side);
  return made;
}

TensorProto int_tensor(const std::vector<std::int64_t>& values) {
  TensorProto made = tensor_with(TensorProto::INT64, values.data(), values.size() * sizeof(std::int64_t));
  made.add_dims(static_cast<std::int64_t>(values.size()));
  return made;
}

TensorProto half_tensor(std::span<const float> values, const TensorProto& like) {
  std::vector<std::uint16_t> halves(values.size());
  std::ranges::transform(values, halves.begin(), half_of);
  TensorProto made = tensor_with(TensorProto::FLOAT16, halves.data(), halves.size() * sizeof(std::uint16_t));
  *made.mutable_dims() = like.dims();
  return made;
}

std::uint16_t half_of(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16U) & 0x8000U);
  const std::uint32_t size = bits & 0x7FFFFFFFU;
  if (size > 0x7F800000U) return sign | 0x7E00U;
  if (size >= 0x477FF000U) return sign | 0x7C00U;  // rounds to 65,536 or more
  if (size < 0x38800000U) {                        // below 2⁻¹⁴: whole multiples of 2⁻²⁴
    const float scaled = std::bit_cast<float>(size) * 16777216.0F;
    return sign | static_cast<std::uint16_t>(std::nearbyintf(scaled));
  }
  const std::uint32_t rounded = size + 0xFFFU + ((size >> 13U) & 1U);
  return sign | static_cast<std::uint16_t>((rounded - 0x38000000U) >> 13U);
}

float float_of(std::uint16_t half) {
  const int exponent = (half >> 10) & 0x1F, fraction = half & 0x3FF;
  const float sign = (half & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 31) return fraction != 0 ? std::nanf("") : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

}  // namespace image_engine::graph
