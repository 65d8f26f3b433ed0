// ONNX Runtime's types, only for the files of this folder that adapt it.
#pragma once

#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
#undef ORT_API_MANUAL_INIT
#ifdef __SSE2__
#include <immintrin.h>
#endif

#include <fmt/format.h>

#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/text.h"
#include "infer/run_watch.h"
#include "infer/session.h"

namespace image_engine::infer {

struct TypeRow {
  ONNXTensorElementDataType theirs;
  ElementType ours;
  std::string_view name;
};
const TypeRow& row_of(ElementType type);

// "float32 [1, 3, ?, 416]"
std::string described(ElementType type, std::span<const std::int64_t> shape);

// Numbers below 1e-38 slow some models down a hundredfold. Flushes them to zero in the current thread while this lives;
// a session option does it in the runtime's threads.
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

struct CodeRow {
  OrtErrorCode theirs;
  ErrorCode ours;
};

// The purpose of a call of the runtime, and how its errors are mapped.
struct Purpose {
  std::string what;
  std::span<const CodeRow> codes;
  ErrorCode otherwise;
};
Error error_of(const Ort::Exception& thrown, const Purpose& purpose);

// A run that its watch ended, as an exception; guarded() turns it back into an error.
struct RunEnded {
  Error error;
};

// Calls body() and turns the runtime's exceptions into errors.
template <typename Body>
auto guarded(const Purpose& purpose, Body&& body) -> decltype(body()) {
  const DenormalsAreZero guard;
  try {
    return body();
  } catch (const Ort::Exception& thrown) {
    return fail(error_of(thrown, purpose));
  } catch (const RunEnded& run) {
    return fail(run.error.code, fmt::format("{}: {}", purpose.what, run.error.message));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kOutOfMemory, purpose.what + ": no memory is left");
  } catch (const std::exception& thrown) {
    return fail(ErrorCode::kInternal, fmt::format("{}: {}", purpose.what, printable(thrown.what())));
  }
}

struct Runtime {
  Ort::Env env;
  std::string version;
};
// One per process; never destroyed, as sessions may outlive any owner.
const Result<Runtime>& runtime();

// `role` is "input" or "output". kUnsupported: not a tensor, or of an unsupported type.
Result<TensorInfo> tensor_info(const char* role, std::string name, const Ort::TypeInfo& type);

// A model's inputs and outputs.
struct Signature {
  std::vector<TensorInfo> inputs, outputs;  // as in the file, except that float16 outputs are converted to float32
  static Result<Signature> of(const Ort::Session& session);  // throws Ort::Exception
  [[nodiscard]] Status check(std::span<const Tensor> given) const;
  // All of them when none is named.
  [[nodiscard]] Result<std::vector<const char*>> output_names(std::span<const std::string> wanted) const;
};

// The value of a custom metadata key of the file.
std::optional<std::string> metadata_of(const Ort::Session& session, const std::string& key);

// How the errors of a run are mapped.
const Purpose& run_purpose();

// Calls body(), which runs a model with `options`, within the limits of runs and until `stop`. Throws RunEnded, and
// what body() throws.
template <typename Body>
auto run_watched(Ort::RunOptions& options, const std::stop_token& stop, Body&& body) -> decltype(body()) {
  const Watched watched([&] { options.SetTerminate(); }, stop);
  try {
    return body();
  } catch (const Ort::Exception&) {
    const auto ended = watched.ended();
    options.UnsetTerminate();
    if (ended) throw RunEnded{*ended};
    throw;
  }
}

// make(), which loads a session with `options`, within the limits of loading and until `stop`: kTimeout, kInterrupted.
// Throws what make() throws otherwise.
template <typename Make>
Result<Ort::Session> load_watched(Ort::SessionOptions& options, const std::stop_token& stop, Make&& make) {
  const Watched watched([&] { options.SetLoadCancellationFlag(true); }, stop);
  try {
    return make();
  } catch (const Ort::Exception&) {
    if (const auto ended = watched.ended()) return fail(*ended);
    throw;
  }
}

// A session on a GPU. Throws Ort::Exception.
Result<std::unique_ptr<Session>> create_device_session(const std::string& file, const SessionOptions& options);

// The runtime's options for a session. Throws Ort::Exception. `stream` is the cudaStream_t for a GPU's work; null: the
// provider's own.
Ort::SessionOptions session_options(const SessionOptions& options, void* stream);

// A value that shares the tensor's bytes; the runtime does not write to inputs.
Ort::Value borrowed(const Tensor& tensor);

// Copies a tensor from host memory; float16 becomes float32. `shape` may be of fewer rows than the data.
Tensor tensor_of(ElementType type, std::vector<std::int64_t> shape, const std::byte* bytes);

}  // namespace image_engine::infer
