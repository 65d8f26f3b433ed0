#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "infer/onnx_runtime.h"

namespace image_engine::infer {
namespace {

// nullopt: a negative dimension, or more bytes than a size can express.
std::optional<std::size_t> bytes_needed(const Tensor& tensor) {
  std::size_t bytes = element_size(tensor.type);
  for (const std::int64_t side : tensor.shape)
    if (side < 0 || __builtin_mul_overflow(bytes, static_cast<std::size_t>(side), &bytes)) return std::nullopt;
  return bytes;
}

Status check_input(const TensorInfo& wanted, const Tensor& given) {
  const auto fits = [](std::int64_t want, std::int64_t have) { return want < 0 || want == have; };
  if (given.type != wanted.type || !std::ranges::equal(wanted.shape, given.shape, fits))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the model's input {} is {}, but got {}", printable(wanted.name),
                            described(wanted.type, wanted.shape), described(given.type, given.shape)));
  const auto on_gpu =
      static_cast<std::size_t>(std::ranges::count_if(given.gpu_rows, [](const GpuRow& row) { return bool{row}; }));
  const std::size_t rows = given.gpu_rows.size();
  if (rows > 0 && (given.shape.empty() || given.shape[0] != static_cast<std::int64_t>(rows)))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the model's input {} got {} rows on the GPU", printable(wanted.name), rows));
  const std::optional<std::size_t> whole = bytes_needed(given);
  if (!whole || *whole - (rows > 0 ? *whole / rows * on_gpu : 0) != given.data.size())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the model's input {} got {} with {} bytes", printable(wanted.name),
                            described(given.type, given.shape), given.data.size()));
  return {};
}

}  // namespace

Result<Signature> Signature::of(const Ort::Session& session) {
  Signature signature;
  Ort::AllocatorWithDefaultOptions allocator;
  for (std::size_t i = 0; i < session.GetInputCount(); ++i) {
    IE_TRY(TensorInfo info,
           tensor_info("input", session.GetInputNameAllocated(i, allocator).get(), session.GetInputTypeInfo(i)));
    signature.inputs.push_back(std::move(info));
  }
  for (std::size_t i = 0; i < session.GetOutputCount(); ++i) {
    IE_TRY(TensorInfo info,
           tensor_info("output", session.GetOutputNameAllocated(i, allocator).get(), session.GetOutputTypeInfo(i)));
    if (info.type == ElementType::kFloat16) info.type = ElementType::kFloat32;
    signature.outputs.push_back(std::move(info));
  }
  return signature;
}

Status Signature::check(std::span<const Tensor> given) const {
  if (given.size() != inputs.size())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the model has {} inputs, but got {}", inputs.size(), given.size()));
  for (std::size_t i = 0; i < inputs.size(); ++i) IE_CHECK(check_input(inputs[i], given[i]));
  return {};
}

Result<std::vector<const char*>> Signature::output_names(std::span<const std::string> wanted) const {
  std::vector<const char*> names;
  for (const std::string& name : wanted) {
    if (std::ranges::find(outputs, name, &TensorInfo::name) == outputs.end()) {
      std::vector<std::string_view> known;
      for (const TensorInfo& info : outputs) known.push_back(info.name);
      return fail(ErrorCode::kInvalidArgument, fmt::format("the model has no output {}; it has {}", printable(name),
                                                           printable(fmt::format("{}", fmt::join(known, ", ")))));
    }
    names.push_back(name.c_str());
  }
  if (wanted.empty())
    for (const TensorInfo& info : outputs) names.push_back(info.name.c_str());
  return names;
}

std::string nodes_text(const Placement& placement) {
  std::vector<std::string> parts;
  for (const auto& [provider, count] : placement.nodes) parts.push_back(fmt::format("{} {}", provider, count));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::optional<std::string> metadata_of(const Ort::Session& session, const std::string& key) {
  constexpr std::size_t kLargest = std::size_t{16} << 20;
  try {
    Ort::AllocatorWithDefaultOptions allocator;
    const auto text = session.GetModelMetadata().LookupCustomMetadataMapAllocated(key.c_str(), allocator);
    if (text == nullptr) return std::nullopt;
    return std::string(text.get(), ::strnlen(text.get(), kLargest));
  } catch (const Ort::Exception&) {
    return std::nullopt;
  }
}

const Purpose& run_purpose() {
  static constexpr CodeRow kCodes[] = {{ORT_INVALID_ARGUMENT, ErrorCode::kInvalidArgument}};
  static const Purpose kPurpose{"the model failed", kCodes, ErrorCode::kInternal};
  return kPurpose;
}

}  // namespace image_engine::infer
