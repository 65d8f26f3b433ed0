#include "infer/onnx_runtime.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "core/log.h"
#include "infer/library.h"

namespace image_engine::infer {
namespace {

constexpr TypeRow kTypes[] = {
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, ElementType::kFloat32, "float32"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, ElementType::kFloat16, "float16"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, ElementType::kInt64, "int64"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, ElementType::kInt32, "int32"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, ElementType::kUint8, "uint8"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, ElementType::kBool, "bool"},
};

// Conditions that ONNX Runtime 1.31 reports only as text.
struct Hint {
  std::string_view text;
  ErrorCode code;
};
constexpr Hint kHints[] = {
    {"Failed to allocate memory", ErrorCode::kOutOfMemory},
    {"bad_alloc", ErrorCode::kOutOfMemory},
    {"storage size overflowed", ErrorCode::kOutOfMemory},
    {"No Op registered", ErrorCode::kUnsupported},
    {"not a registered function/op", ErrorCode::kUnsupported},
    {"Unsupported model IR version", ErrorCode::kUnsupported},
    {"support for models stamped with official released onnx opset", ErrorCode::kUnsupported},
};

// Without the runtime's source locations, "/onnxruntime_src/….cc:256 <function's signature> ", and line ends.
std::string for_people(std::string text) {
  for (std::size_t from; (from = text.find("/onnxruntime_src/")) != text.npos;) {
    const std::size_t end = text.find(") ", from);
    if (end == text.npos) break;
    text.erase(from, end + 2 - from);
  }
  text.erase(text.find_last_not_of(" \n") + 1);
  constexpr std::size_t kLongest = 400;
  return printable(std::string_view(text).substr(0, kLongest));
}

// Calls return its errors, too, so the log lines only add detail.
void ORT_API_CALL log(void*, OrtLoggingLevel, const char*, const char*, const char* where, const char* message) {
  log_debug("ONNX Runtime: {}: {}", where, printable(message));
}

Result<Runtime> load_runtime() {
  IE_TRY(void* library, load_runtime_library());
  using GetApiBase = const OrtApiBase*(ORT_API_CALL*)();
  const auto get_base = reinterpret_cast<GetApiBase>(::dlsym(library, "OrtGetApiBase"));
  if (get_base == nullptr)
    return fail(ErrorCode::kNotFound, "ONNX Runtime is missing: the library found in its place is another one");
  const OrtApiBase* base = get_base();
  const std::string version = base->GetVersionString();
  const OrtApi* api = base->GetApi(ORT_API_VERSION);
  if (api == nullptr)
    return fail(ErrorCode::kNotFound,
                fmt::format("ONNX Runtime {} is too old: 1.{} or later is needed (tools/setup.sh installs it)",
                            printable(version), ORT_API_VERSION));
  Ort::InitApi(api);
  return guarded({"ONNX Runtime cannot start", {}, ErrorCode::kInternal}, [&]() -> Result<Runtime> {
    Runtime runtime{Ort::Env(ORT_LOGGING_LEVEL_ERROR, "image-engine", log, nullptr), version};
    runtime.env.DisableTelemetryEvents();  // not sufficient alone: library.cpp
    return runtime;
  });
}

}  // namespace

const TypeRow& row_of(ElementType type) { return *std::ranges::find(kTypes, type, &TypeRow::ours); }

std::string described(ElementType type, std::span<const std::int64_t> shape) {
  std::vector<std::string> sides;
  for (const std::int64_t side : shape) sides.push_back(side < 0 ? "?" : std::to_string(side));
  return fmt::format("{} [{}]", row_of(type).name, fmt::join(sides, ", "));
}

Error error_of(const Ort::Exception& thrown, const Purpose& purpose) {
  const std::string_view text = thrown.what();
  Error error{purpose.otherwise, fmt::format("{}: {}", purpose.what, for_people(thrown.what()))};
  const auto row = std::ranges::find(purpose.codes, thrown.GetOrtErrorCode(), &CodeRow::theirs);
  if (row != purpose.codes.end()) error.code = row->ours;
  const auto hint = std::ranges::find_if(kHints, [&](const Hint& h) { return text.find(h.text) != text.npos; });
  if (hint != std::end(kHints)) error.code = hint->code;
  return error;
}

const Result<Runtime>& runtime() {
  static const auto* const kRuntime = new Result<Runtime>(load_runtime());
  return *kRuntime;
}

Result<TensorInfo> tensor_info(const char* role, std::string name, const Ort::TypeInfo& type) {
  if (type.GetONNXType() != ONNX_TYPE_TENSOR)
    return fail(ErrorCode::kUnsupported, fmt::format("{} {} is not a tensor", role, printable(name)));
  const auto info = type.GetTensorTypeAndShapeInfo();
  const auto row = std::ranges::find(kTypes, info.GetElementType(), &TypeRow::theirs);
  if (row == std::end(kTypes))
    return fail(ErrorCode::kUnsupported, fmt::format("{} {} has an unsupported type (ONNX's number {})", role,
                                                     printable(name), static_cast<int>(info.GetElementType())));
  TensorInfo tensor{std::move(name), row->ours, info.GetShape(), {}};
  if (!tensor.shape.empty() && tensor.shape.front() < 0) tensor.rows = info.GetSymbolicDimensions().front();
  return tensor;
}

Ort::Value borrowed(const Tensor& tensor) {
  static const Ort::MemoryInfo kMemory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  auto* data = const_cast<std::byte*>(tensor.data.data());
  return Ort::Value::CreateTensor(kMemory, data, tensor.data.size(), tensor.shape.data(), tensor.shape.size(),
                                  row_of(tensor.type).theirs);
}

Tensor tensor_of(ElementType type, std::vector<std::int64_t> shape, const std::byte* bytes) {
  Tensor tensor{type, std::move(shape), {}};
  if (type != ElementType::kFloat16) {
    tensor.data.assign(bytes, bytes + tensor.count() * element_size(type));
    return tensor;
  }
  Tensor wide = Tensor::zeros(ElementType::kFloat32, std::move(tensor.shape));
  const auto* halves = reinterpret_cast<const Ort::Float16_t*>(bytes);
  std::ranges::transform(halves, halves + wide.count(), wide.as<float>().begin(), &Ort::Float16_t::ToFloat);
  return wide;
}

Result<std::string> runtime_version() {
  const Result<Runtime>& loaded = runtime();
  if (!loaded) return fail(loaded.error());
  return loaded->version;
}

}  // namespace image_engine::infer
