// The adapter to ONNX Runtime: no other file includes its headers.
#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
#undef ORT_API_MANUAL_INIT

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <string_view>

#include "core/file.h"
#include "core/text.h"
#include "infer/library.h"
#include "infer/session.h"

namespace image_engine::infer {
namespace {

struct TypeRow {
  ONNXTensorElementDataType theirs;
  ElementType ours;
  std::string_view name;
};
constexpr TypeRow kTypes[] = {
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, ElementType::kFloat32, "float32"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, ElementType::kFloat16, "float16"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, ElementType::kInt64, "int64"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, ElementType::kInt32, "int32"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, ElementType::kUint8, "uint8"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, ElementType::kBool, "bool"},
};

const TypeRow& row_of(ElementType type) { return *std::ranges::find(kTypes, type, &TypeRow::ours); }

// "float32 [1, 3, ?, 416]"
std::string described(ElementType type, std::span<const std::int64_t> shape) {
  std::vector<std::string> sides;
  for (const std::int64_t side : shape) sides.push_back(side < 0 ? "?" : std::to_string(side));
  return fmt::format("{} [{}]", row_of(type).name, fmt::join(sides, ", "));
}

// Numbers under 1e-38 slow some models down a hundredfold. For the current thread, while this lives; the runtime's own
// threads are told by an option.
class DenormalsAreZero {
 public:
  DenormalsAreZero(const DenormalsAreZero&) = delete;
  DenormalsAreZero& operator=(const DenormalsAreZero&) = delete;
#ifdef __SSE2__
  DenormalsAreZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040U); }  // flush to zero, denormals are zero
  ~DenormalsAreZero() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#else
  DenormalsAreZero() {}
  ~DenormalsAreZero() {}
#endif
};

// What the runtime says in words only, of ONNX Runtime 1.31.
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

struct CodeRow {
  OrtErrorCode theirs;
  ErrorCode ours;
};
constexpr CodeRow kLoadCodes[] = {{ORT_NO_SUCHFILE, ErrorCode::kNotFound},
                                  {ORT_NOT_IMPLEMENTED, ErrorCode::kUnsupported}};
constexpr CodeRow kRunCodes[] = {{ORT_INVALID_ARGUMENT, ErrorCode::kInvalidArgument}};

// What a call of the runtime was for, and how its errors are read.
struct Purpose {
  std::string what;
  std::span<const CodeRow> codes;
  ErrorCode otherwise;
};

// Without the places in the runtime's source, "/onnxruntime_src/….cc:256 <function's signature> ", and line ends.
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

Error error_of(const Ort::Exception& thrown, const Purpose& purpose) {
  const std::string_view text = thrown.what();
  Error error{purpose.otherwise, fmt::format("{}: {}", purpose.what, for_people(thrown.what()))};
  const auto row = std::ranges::find(purpose.codes, thrown.GetOrtErrorCode(), &CodeRow::theirs);
  if (row != purpose.codes.end()) error.code = row->ours;
  const auto hint = std::ranges::find_if(kHints, [&](const Hint& h) { return text.find(h.text) != text.npos; });
  if (hint != std::end(kHints)) error.code = hint->code;
  return error;
}

// body(), with what the runtime throws as an error.
template <typename Body>
auto guarded(const Purpose& purpose, Body&& body) -> decltype(body()) {
  const DenormalsAreZero guard;
  try {
    return body();
  } catch (const Ort::Exception& thrown) {
    return fail(error_of(thrown, purpose));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kOutOfMemory, purpose.what + ": no memory is left");
  } catch (const std::exception& thrown) {
    return fail(ErrorCode::kInternal, fmt::format("{}: {}", purpose.what, printable(thrown.what())));
  }
}

// Its errors come back from the calls too, so that they are only of use to who looks for more.
void ORT_API_CALL log(void*, OrtLoggingLevel, const char*, const char*, const char* where, const char* message) {
  spdlog::debug("ONNX Runtime: {}: {}", where, printable(message));
}

struct Runtime {
  Ort::Env env;
  std::string version;
};

Result<Runtime> load_runtime() {
  IE_TRY(void* library, load_runtime_library());
  using GetApiBase = const OrtApiBase*(ORT_API_CALL*)();
  const auto get_base = reinterpret_cast<GetApiBase>(::dlsym(library, "OrtGetApiBase"));
  if (get_base == nullptr)
    return fail(ErrorCode::kNotFound, "ONNX Runtime is not here: the library found in its place is something else");
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
    runtime.env.DisableTelemetryEvents();
    return runtime;
  });
}

// One for the process; never destroyed, as sessions may outlive anything that would do it.
const Result<Runtime>& runtime() {
  static const auto* const kRuntime = new Result<Runtime>(load_runtime());
  return *kRuntime;
}

Ort::SessionOptions session_options(const SessionOptions& options) {
  Ort::SessionOptions theirs;
  theirs.SetIntraOpNumThreads(std::max(options.threads, 1));
  theirs.SetInterOpNumThreads(1);
  theirs.SetExecutionMode(ORT_SEQUENTIAL);
  theirs.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
  theirs.EnableMemPattern();
  theirs.EnableCpuMemArena();
  theirs.AddConfigEntry("session.load_model_format", "ONNX");  // else a file's first bytes choose another parser
  theirs.AddConfigEntry("session.intra_op.allow_spinning", "0");
  theirs.AddConfigEntry("session.inter_op.allow_spinning", "0");
  theirs.AddConfigEntry("session.set_denormal_as_zero", "1");
  for (const auto& [name, size] : options.fixed_dimensions)
    Ort::ThrowOnError(Ort::GetApi().AddFreeDimensionOverrideByName(theirs, name.c_str(), size));
  return theirs;
}

Result<TensorInfo> tensor_info(const char* role, std::string name, const Ort::TypeInfo& type) {
  if (type.GetONNXType() != ONNX_TYPE_TENSOR)
    return fail(ErrorCode::kUnsupported, fmt::format("{} {} is no tensor", role, printable(name)));
  const auto info = type.GetTensorTypeAndShapeInfo();
  const auto row = std::ranges::find(kTypes, info.GetElementType(), &TypeRow::theirs);
  if (row == std::end(kTypes))
    return fail(ErrorCode::kUnsupported, fmt::format("{} {} has a type that nothing here reads (ONNX's number {})",
                                                     role, printable(name), static_cast<int>(info.GetElementType())));
  return TensorInfo{std::move(name), row->ours, info.GetShape()};
}

// nullopt: a negative side, or more bytes than can be counted.
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
                fmt::format("the model's input {} is {} and was given {}", printable(wanted.name),
                            described(wanted.type, wanted.shape), described(given.type, given.shape)));
  if (bytes_needed(given) != given.data.size())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the model's input {} was given {} with {} bytes", printable(wanted.name),
                            described(given.type, given.shape), given.data.size()));
  return {};
}

// The same bytes; the runtime does not write to inputs.
Ort::Value borrowed(const Tensor& tensor) {
  static const Ort::MemoryInfo kMemory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  auto* data = const_cast<std::byte*>(tensor.data.data());
  return Ort::Value::CreateTensor(kMemory, data, tensor.data.size(), tensor.shape.data(), tensor.shape.size(),
                                  row_of(tensor.type).theirs);
}

Result<Tensor> copied(const std::string& name, const Ort::Value& value) {
  IE_TRY(TensorInfo info, tensor_info("output", name, value.GetTypeInfo()));
  Tensor tensor{info.type, std::move(info.shape), {}};
  const auto* bytes = static_cast<const std::byte*>(value.GetTensorRawData());
  if (tensor.type != ElementType::kFloat16) {
    tensor.data.assign(bytes, bytes + tensor.count() * element_size(tensor.type));
    return tensor;
  }
  Tensor wide = Tensor::zeros(ElementType::kFloat32, std::move(tensor.shape));
  const auto* halves = reinterpret_cast<const Ort::Float16_t*>(bytes);
  std::ranges::transform(halves, halves + wide.count(), wide.as<float>().begin(), &Ort::Float16_t::ToFloat);
  return wide;
}

class OnnxSession final : public Session {
 public:
  // Both as the file has them; throws Ort::Exception.
  static Result<std::unique_ptr<Session>> create(Ort::Session theirs) {
    auto session = std::make_unique<OnnxSession>();
    Ort::AllocatorWithDefaultOptions allocator;
    for (std::size_t i = 0; i < theirs.GetInputCount(); ++i) {
      IE_TRY(TensorInfo info,
             tensor_info("input", theirs.GetInputNameAllocated(i, allocator).get(), theirs.GetInputTypeInfo(i)));
      session->inputs_.push_back(std::move(info));
    }
    for (std::size_t i = 0; i < theirs.GetOutputCount(); ++i) {
      IE_TRY(TensorInfo info,
             tensor_info("output", theirs.GetOutputNameAllocated(i, allocator).get(), theirs.GetOutputTypeInfo(i)));
      if (info.type == ElementType::kFloat16) info.type = ElementType::kFloat32;
      session->outputs_.push_back(std::move(info));
    }
    session->session_ = std::move(theirs);
    return session;
  }

  [[nodiscard]] const std::vector<TensorInfo>& inputs() const override { return inputs_; }
  [[nodiscard]] const std::vector<TensorInfo>& outputs() const override { return outputs_; }
  [[nodiscard]] Placement placement() const override { return {}; }

  [[nodiscard]] std::optional<std::string> metadata(const std::string& key) const override {
    constexpr std::size_t kLargest = std::size_t{16} << 20;
    try {
      Ort::AllocatorWithDefaultOptions allocator;
      const auto text = session_.GetModelMetadata().LookupCustomMetadataMapAllocated(key.c_str(), allocator);
      if (text == nullptr) return std::nullopt;
      return std::string(text.get(), ::strnlen(text.get(), kLargest));
    } catch (const Ort::Exception&) {
      return std::nullopt;
    }
  }

  [[nodiscard]] Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                                std::span<const std::string> outputs) const override {
    IE_CHECK(check_inputs(inputs));
    IE_TRY(const std::vector<const char*> wanted, output_names(outputs));
    std::vector<const char*> names;
    for (const TensorInfo& info : inputs_) names.push_back(info.name.c_str());

    return guarded({"the model failed", kRunCodes, ErrorCode::kInternal}, [&]() -> Result<std::vector<Tensor>> {
      std::vector<Ort::Value> values;
      for (const Tensor& tensor : inputs) values.push_back(borrowed(tensor));
      const auto made = session_.Run(Ort::RunOptions{nullptr}, names.data(), values.data(), values.size(),
                                     wanted.data(), wanted.size());
      std::vector<Tensor> results;
      for (std::size_t i = 0; i < made.size(); ++i) {
        IE_TRY(Tensor tensor, copied(wanted[i], made[i]));
        results.push_back(std::move(tensor));
      }
      return results;
    });
  }

 private:
  [[nodiscard]] Status check_inputs(std::span<const Tensor> inputs) const {
    if (inputs.size() != inputs_.size())
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("the model has {} inputs and was given {}", inputs_.size(), inputs.size()));
    for (std::size_t i = 0; i < inputs.size(); ++i) IE_CHECK(check_input(inputs_[i], inputs[i]));
    return {};
  }

  [[nodiscard]] Result<std::vector<const char*>> output_names(std::span<const std::string> wanted) const {
    std::vector<const char*> names;
    for (const std::string& name : wanted) {
      if (std::ranges::find(outputs_, name, &TensorInfo::name) == outputs_.end()) {
        std::vector<std::string_view> known;
        for (const TensorInfo& info : outputs_) known.push_back(info.name);
        return fail(ErrorCode::kInvalidArgument, fmt::format("the model has no output {}, it has {}", printable(name),
                                                             printable(fmt::format("{}", fmt::join(known, ", ")))));
      }
      names.push_back(name.c_str());
    }
    if (wanted.empty())
      for (const TensorInfo& info : outputs_) names.push_back(info.name.c_str());
    return names;
  }

  mutable Ort::Session session_{nullptr};  // Run is not const in their header and may be called by many threads
  std::vector<TensorInfo> inputs_, outputs_;
};

}  // namespace

Result<std::unique_ptr<Session>> Session::create(const std::string& file, const SessionOptions& options) {
  const Purpose purpose{fmt::format("{} cannot be loaded", printable(file)), kLoadCodes, ErrorCode::kCorrupt};
  if (const auto opened = open_regular(file); !opened)
    return fail(opened.error().code, fmt::format("{}: {}", purpose.what, opened.error().message));
  const Result<Runtime>& loaded = runtime();
  if (!loaded) return fail(loaded.error());
  return guarded(purpose, [&]() -> Result<std::unique_ptr<Session>> {
    auto session = OnnxSession::create(Ort::Session(loaded->env, file.c_str(), session_options(options)));
    if (!session) return fail(session.error().code, fmt::format("{}: {}", purpose.what, session.error().message));
    return session;
  });
}

Result<std::string> runtime_version() {
  const Result<Runtime>& loaded = runtime();
  if (!loaded) return fail(loaded.error());
  return loaded->version;
}

}  // namespace image_engine::infer
