#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <utility>

#include "core/text.h"
#include "infer/engine_cache.h"
#include "infer/external_data.h"
#include "infer/gpu_rows.h"
#include "infer/library.h"
#include "infer/onnx_runtime.h"

namespace image_engine::infer {
namespace {

constexpr CodeRow kLoadCodes[] = {{ORT_NO_SUCHFILE, ErrorCode::kNotFound},
                                  {ORT_NOT_IMPLEMENTED, ErrorCode::kUnsupported}};

// A run's memory per byte of its inputs. Measured as the growth of the arena: the text detector of PP-OCRv4 11 to 14 at
// 0.15 to 3 megapixels, EfficientNet-Lite0 9, NanoDet 6.
constexpr std::uint64_t kWorkingBytesPerInputByte = 12;

// What the arena may keep between runs: more is freed when the run that went beyond it ends. A page that is mapped
// anew costs about as much as computing with it: a text detector whose 40 MiB were freed after each run spent a
// quarter of its CPU time in the kernel.
constexpr std::uint64_t kMostKept = std::uint64_t{64} << 20;

Result<Tensor> copied(const std::string& name, const Ort::Value& value) {
  IE_TRY(TensorInfo info, tensor_info("output", name, value.GetTypeInfo()));
  return tensor_of(info.type, std::move(info.shape), static_cast<const std::byte*>(value.GetTensorRawData()));
}

// On the CPU.
class OnnxSession final : public Session {
 public:
  OnnxSession(Ort::Session session, Signature signature, const SessionOptions& options)
      : session_(std::move(session)),
        signature_(std::move(signature)),
        period_(options.rows_between_clearings),
        budget_(options.budget),
        stop_(options.stop) {}

  [[nodiscard]] const std::vector<TensorInfo>& inputs() const override { return signature_.inputs; }
  [[nodiscard]] const std::vector<TensorInfo>& outputs() const override { return signature_.outputs; }
  [[nodiscard]] Placement placement() const override { return {}; }
  [[nodiscard]] std::optional<std::string> metadata(const std::string& key) const override {
    return metadata_of(session_, key);
  }

  [[nodiscard]] Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                                std::span<const std::string> outputs) const override {
    IE_CHECK(signature_.check(inputs));
    if (has_gpu_rows(inputs)) {
      IE_TRY(const std::vector<Tensor> here, on_host(inputs));
      return run(here, outputs);
    }
    IE_TRY(const std::vector<const char*> wanted, signature_.output_names(outputs));
    std::vector<const char*> names;
    for (const TensorInfo& info : signature_.inputs) names.push_back(info.name.c_str());

    return guarded(run_purpose(), [&]() -> Result<std::vector<Tensor>> {
      const std::uint64_t bytes = working_bytes(inputs);
      const MemoryBudget::Share share = budget_ ? budget_->take(bytes) : MemoryBudget::Share();
      std::vector<Ort::Value> values;
      for (const Tensor& tensor : inputs) values.push_back(borrowed(tensor));
      Ort::RunOptions options;
      if (is_time_to_clear(inputs, bytes)) options.AddConfigEntry("memory.enable_memory_arena_shrinkage", "cpu:0");
      const auto made = run_watched(options, stop_, [&] {
        return session_.Run(options, names.data(), values.data(), values.size(), wanted.data(), wanted.size());
      });
      std::vector<Tensor> results;
      for (std::size_t i = 0; i < made.size(); ++i) {
        IE_TRY(Tensor tensor, copied(wanted[i], made[i]));
        results.push_back(std::move(tensor));
      }
      return results;
    });
  }

 private:
  static std::uint64_t working_bytes(std::span<const Tensor> inputs) {
    std::uint64_t bytes = 0;
    for (const Tensor& tensor : inputs) bytes += tensor.data.size();
    return bytes * kWorkingBytesPerInputByte;
  }

  [[nodiscard]] bool is_time_to_clear(std::span<const Tensor> inputs, std::uint64_t bytes) const {
    if (period_ <= 0) return false;
    if (grows_beyond(bytes)) return true;
    const std::int64_t rows = inputs.empty() || inputs[0].shape.empty() ? 1 : inputs[0].shape[0];
    const std::int64_t before = rows_.fetch_add(rows);
    return before / period_ != (before + rows) / period_;
  }

  // The arena computes in what it kept of a run as large or larger; for one larger than all before it maps more. A text
  // model, whose shapes depend on the photo, would so keep the sum of many. Outputs are still there when a run clears
  // it: the next one clears it of them.
  [[nodiscard]] bool grows_beyond(std::uint64_t bytes) const {
    const std::lock_guard lock(kept_mutex_);
    if (bytes > largest_) {
      largest_ = bytes;
      kept_ += bytes;
    }
    const bool beyond = kept_ > kMostKept;
    if (beyond) largest_ = kept_ = 0;
    const bool before = std::exchange(was_beyond_, beyond);
    return beyond || before;
  }

  mutable Ort::Session session_;  // Run is not const in their header and may be called by many threads
  Signature signature_;
  std::int64_t period_;
  std::shared_ptr<MemoryBudget> budget_;
  std::stop_token stop_;
  mutable std::atomic<std::int64_t> rows_ = 0;
  mutable std::mutex kept_mutex_;
  mutable std::uint64_t largest_ = 0, kept_ = 0;  // of the runs since the arena was cleared; bytes
  mutable bool was_beyond_ = false;
};

// With an engine that is built once, cached and then loaded.
Result<std::unique_ptr<Session>> create_engine_session(const std::string& file, SessionOptions options) {
  IE_TRY(const ReadyEngine ready, engine_for(file, options));
  options.tensorrt->cache_folder.clear();
  return create_device_session(ready.model, options);
}

Result<std::unique_ptr<Session>> create_session(const std::string& file, const SessionOptions& options) {
  const bool keeps_engines = options.tensorrt && !options.tensorrt->cache_folder.empty();
  if (options.provider == Provider::kTensorRt && keeps_engines) return create_engine_session(file, options);
  if (options.provider != Provider::kCpu) return create_device_session(file, options);
  Ort::SessionOptions theirs = session_options(options, nullptr);
  IE_TRY(Ort::Session session,
         load_watched(theirs, options.stop, [&] { return Ort::Session(runtime()->env, file.c_str(), theirs); }));
  IE_TRY(Signature signature, Signature::of(session));
  return std::make_unique<OnnxSession>(std::move(session), std::move(signature), options);
}

}  // namespace

Result<std::unique_ptr<Session>> Session::create(const std::string& file, const SessionOptions& options) {
  const Purpose purpose{fmt::format("{} cannot be loaded", printable(file)), kLoadCodes, ErrorCode::kCorrupt};
  if (const Status sound = check_external_data(file); !sound)
    return fail(sound.error().code, fmt::format("{}: {}", purpose.what, sound.error().message));
  const Result<Runtime>& loaded = runtime();
  if (!loaded) return fail(loaded.error());
  IE_CHECK(check_provider(options.provider));
  if (options.own_operators && operators_library().empty())
    return fail(ErrorCode::kNotFound, fmt::format("{}: the library of its operators is missing", purpose.what));
  return guarded(purpose, [&]() -> Result<std::unique_ptr<Session>> {
    auto session = create_session(file, options);
    if (!session) return fail(session.error().code, fmt::format("{}: {}", purpose.what, session.error().message));
    return session;
  });
}

}  // namespace image_engine::infer
