#include "infer/choose_device.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <mutex>
#include <stop_token>
#include <thread>

#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "gpu/cuda.h"
#include "graph/rewrite.h"
#include "infer/agreement.h"
#include "infer/canaries.h"
#include "infer/library.h"
#include "infer/made_graphs.h"
#include "infer/prebuilt.h"
#include "infer/precision_memory.h"
#include "infer/resilient_session.h"
#include "infer/sharing_session.h"

namespace image_engine::infer {
namespace {

using models::Spec;
using models::Store;

// Batches to try when the number of rows is free. The smallest with nearly the best speed is used.
constexpr std::int64_t kBatches[] = {8, 16, 32, 64};
constexpr std::int64_t kFirstBatch = 16;  // to choose the other options of a session
constexpr double kNearly = 0.95;

struct DeviceRow {
  std::string_view name;
  std::vector<Provider> providers;
};

std::vector<Provider> providers_for(std::string_view device, bool use_tensorrt) {
  static const DeviceRow kRows[] = {
      {"cpu", {}}, {"cuda", {Provider::kCuda}}, {"tensorrt", {Provider::kTensorRt, Provider::kTensorRtRtx}}};
  const std::string_view kind = device.substr(0, device.find(':'));
  const auto row = std::ranges::find(kRows, kind, &DeviceRow::name);
  if (row != std::end(kRows)) return row->providers;
  if (use_tensorrt) return {Provider::kTensorRt, Provider::kTensorRtRtx, Provider::kCuda};
  return {Provider::kCuda};
}

bool takes_engines(std::string_view device) { return device == "auto" || device == "tensorrt"; }

// The settings to try on a GPU, best guess first.
struct Setting {
  bool nhwc, fuse_convolutions, cuda_graph, search_convolutions;
  std::string_view name;
  bool own_operators = false;  // where their library is (docs/adr/0022)
};
constexpr Setting kFixedSettings[] = {
    {true, true, true, true, "own operators, channels last and fused, recorded", true},
    {true, false, true, true, "own operators, channels last, recorded", true},
    {false, false, true, true, "channels first, recorded"},
    {true, true, true, true, "channels last and fused, recorded"},
    {true, false, true, true, "channels last, recorded"},
    {false, false, false, true, "channels first"}};
// TensorRT decides by itself.
constexpr Setting kOneSetting[] = {{false, false, false, false, "its own settings"}};
// Each new size would be searched and recorded again.
constexpr Setting kFreeSettings[] = {{false, false, false, false, "free sizes"}};

bool has_free_sizes(const Session& session) {
  return std::ranges::any_of(session.inputs(), [](const TensorInfo& info) {
    return std::ranges::any_of(std::span(info.shape).subspan(std::min<std::size_t>(1, info.shape.size())),
                               [](std::int64_t side) { return side < 0; });
  });
}

bool has_free_rows(const Session& session) {
  return std::ranges::all_of(session.inputs(),
                             [](const TensorInfo& info) { return !info.shape.empty() && info.shape[0] < 0; });
}

struct Trial {
  std::string precision;
  // Batch 0: the file's; no name of the rows: a graph is made for each batch.
  GpuSettings settings;
  std::string_view name;

  void set(const Setting& setting) {
    settings.nhwc = setting.nhwc;
    settings.fuse_convolutions = setting.fuse_convolutions;
    settings.cuda_graph = setting.cuda_graph;
    settings.search_convolutions = setting.search_convolutions;
    settings.own_operators = setting.own_operators;
    name = setting.name;
  }
};

struct Measured {
  Trial trial;
  double seconds = 0;  // for a picture
  double cosine = 0;
};

// Errors that say something of the model and the GPU, not of this moment.
constexpr ErrorCode kLasting[] = {ErrorCode::kInvalidArgument, ErrorCode::kCorrupt, ErrorCode::kUnsupported};
// And those that are sure to pass.
constexpr ErrorCode kPassing[] = {ErrorCode::kNoSpace, ErrorCode::kIo, ErrorCode::kTimeout};

class DeviceChooser {
 public:
  DeviceChooser(Spec spec, Store store, SessionOptions options, Preference preference, InferenceContext context,
                Provider provider)
      : spec_(std::move(spec)),
        store_(std::move(store)),
        options_(std::move(options)),
        preference_(std::move(preference)),
        context_(std::move(context)) {
    options_.provider = provider;
    options_.device = device_number(preference_.device);
  }

  Result<Chosen> choose(const MakeCanaries& make_canaries) {
    IE_CHECK(check_provider(options_.provider));
    IE_TRY(key_, memory_key());
    make_canaries_ = make_canaries;
    if (auto known = remembered()) return std::move(*known);
    IE_CHECK(learn());
    is_thorough_ = !context_.measure_later;
    IE_TRY(const Measured best, find_best());
    IE_TRY(auto session, on_all_gpus(best.trial, std::move(ready_)));
    Chosen found = chosen(std::move(session), best.trial, reason_of(best));
    if (is_thorough_) {
      keep(best, unfinished());
      return found;
    }
    found.reason += "; its other settings are measured meanwhile, for the next time";
    keep(best, tried_);
    // Timed while nothing else ran, which the others are not.
    std::erase_if(tried_, [](const Tried& one) { return !one.error; });
    measure_later();
    return found;
  }

  // The chosen session with half its rows. Errors as Session::create(); `error` when it has only one.
  Result<std::unique_ptr<Session>> with_fewer_rows(const Error& error) {
    if (chosen_.settings.batch <= 1) return fail(error);
    if (full_batch_ == 0) full_batch_ = chosen_.settings.batch;
    chosen_.settings.batch /= 2;
    log_warning("{} continues with {} pictures at once: {}", spec_.name, chosen_.settings.batch,
                printable(error.message));
    return on_all_gpus(chosen_);
  }

  // The chosen session without operators of ours, which is remembered with the error if that is not one of memory.
  // Errors as Session::create(); `error` when it has none of them.
  Result<std::unique_ptr<Session>> without_own_operators(const Error& error) {
    if (!chosen_.settings.own_operators) return fail(error);
    chosen_.settings.own_operators = false;
    log_warning("{} continues without operators of ours: {}", spec_.name, printable(error.message));
    auto session = on_all_gpus(chosen_);
    if (!session || error.code == ErrorCode::kOutOfMemory) return session;
    GpuSettings settings = chosen_.settings;
    if (full_batch_ > 0) settings.batch = full_batch_;
    const std::lock_guard lock(keeping_);
    own_operators_failed_ = true;
    keep({chosen_.precision,
          fmt::format("{}; operators of ours failed: {}", chosen_.precision, error.message),
          settings,
          {}});
    return session;
  }

 private:
  // With the settings that are remembered. None: there are none, they do not work any more, or they are the fastest of
  // some, and all are to be measured now.
  std::optional<Chosen> remembered() {
    auto known = PrecisionMemory(context_.memory_folder).find(key_);
    if (!known) return std::nullopt;
    tried_ = std::move(known->tried);
    const bool is_unfinished = !tried_.empty();
    if (is_unfinished && !context_.measure_later) return std::nullopt;
    const Trial trial = trial_of(*known);
    auto session = on_all_gpus(trial);
    if (!session) {
      tried_.clear();
      return std::nullopt;
    }
    Chosen found = chosen(std::move(*session), trial, known->reason);
    for (const Tried& one : tried_)
      if (!one.error && one.precision == trial.precision && one.settings == trial.settings)
        fastest_ = Measured{trial, one.seconds, one.cosine};
    if (is_unfinished) measure_later();
    return found;
  }

  // `tried`: where not all settings have been tried, those that have.
  void keep(const Measured& best, std::vector<Tried> tried) {
    const std::lock_guard lock(keeping_);
    if (best.trial.settings.own_operators && own_operators_failed_) return;  // in a run, meanwhile
    keep({best.trial.precision, reason_of(best), best.trial.settings, std::move(tried)});
  }
  void keep(const Remembered& found) const {
    if (const Status kept = PrecisionMemory(context_.memory_folder).keep(key_, spec_.name, found); !kept)
      log_warning("the best settings of {} will be measured again: {}", spec_.name, printable(kept.error().message));
  }

  // What was tried, where an error of the moment has left something out.
  [[nodiscard]] std::vector<Tried> unfinished() const { return has_passing_errors_ ? tried_ : std::vector<Tried>(); }

  // On a thread of its own, until all settings are measured or this is destroyed. What was measured by then is kept.
  void measure_later() {
    measuring_ = std::jthread([this](const std::stop_token& stop) {
      stop_ = stop;
      is_thorough_ = true;
      is_later_ = true;
      const Status learnt = canaries_.empty() ? learn() : Status();
      const auto best = learnt ? find_best() : Result<Measured>(fail(learnt.error()));
      if (best)
        keep(*best, unfinished());
      else
        log_debug("{}: its settings are measured the next time: {}", spec_.name, printable(best.error().message));
    });
  }

  // One session for each usable GPU; `first` is that of the first, if there is one already.
  [[nodiscard]] Result<std::unique_ptr<Session>> on_all_gpus(const Trial& trial,
                                                             std::unique_ptr<Session> first = nullptr) const {
    IE_TRY(const std::vector<int> gpus, gpus_for(preference_.device));
    std::vector<std::unique_ptr<Session>> sessions;
    for (const int gpu : gpus) {
      auto session = first ? Result<std::unique_ptr<Session>>(std::move(first)) : session_of(trial, gpu);
      if (!session && sessions.empty()) return session;
      if (session)
        sessions.push_back(std::move(*session));
      else
        log_warning("{} does not use cuda:{}: {}", spec_.name, gpu, printable(session.error().message));
    }
    if (sessions.size() == 1) return std::move(sessions.front());
    return make_sharing(std::move(sessions), std::max(options_.lanes, 1));
  }

  // Errors as Session::create().
  [[nodiscard]] Result<std::unique_ptr<Session>> session_of(const Trial& trial, int gpu,
                                                            std::stop_token stop = {}) const {
    IE_TRY(const std::string file, graph_of(trial));
    SessionOptions options = options_;
    options.device = gpu;
    const GpuSettings& settings = trial.settings;
    if (!settings.rows.empty() && settings.batch > 0)
      options.fixed_dimensions.emplace_back(settings.rows, settings.batch);
    options.nhwc = settings.nhwc;
    options.fuse_convolutions = settings.fuse_convolutions;
    options.cuda_graph = settings.cuda_graph;
    options.search_convolutions = settings.search_convolutions;
    options.own_operators = settings.own_operators;
    options.stop = std::move(stop);
    if (options.provider == Provider::kTensorRt || options.provider == Provider::kTensorRtRtx)
      options.tensorrt = TensorRtOptions{.precision = trial.precision,
                                         .cache_folder = join_path(context_.memory_folder, "engines"),
                                         .cache_prefix = spec_.name};
    return Session::create(file, options);
  }

  static Trial trial_of(const Remembered& known) { return {known.precision, known.settings, "remembered"}; }

  Chosen chosen(std::unique_ptr<Session> session, const Trial& trial, const std::string& reason) {
    chosen_ = trial;
    return {std::move(session), trial.precision, reason, trial.settings.batch};
  }

  [[nodiscard]] Result<std::string> memory_key() const {
    IE_TRY(const std::string runtime, runtime_version());
    IE_TRY(const auto devices, gpu::cuda_devices());
    IE_TRY(const int driver, gpu::driver_cuda_version());
    if (options_.device < 0 || static_cast<std::size_t>(options_.device) >= devices.size())
      return fail(ErrorCode::kNotFound,
                  fmt::format("there is no CUDA device {}, only {}", options_.device, devices.size()));
    const gpu::CudaDevice& gpu = devices[static_cast<std::size_t>(options_.device)];
    return precision_key(
        spec_, store_, options_,
        fmt::format(
            "{} {} {} {} {} {} {}{}", runtime, provider_name(options_.provider), gpu.name, gpu.memory_bytes, driver,
            fmt::join(precisions(), "+"), context_.batch,
            operators_library().empty() ? "" : fmt::format(" own {} {}", operators_identity(), graph::kMakerVersion)));
  }

  [[nodiscard]] std::string source() const { return store_.variant_path(spec_, spec_.variants.front()); }

  // The graph made for the trial. In fp32 the model's own, where none can be made: it computes the same numbers.
  [[nodiscard]] Result<std::string> graph_of(const Trial& trial) const {
    GraphRequest request;
    request.source = source();
    request.precision = trial.precision;
    if (trial.settings.rows.empty()) request.batch = trial.settings.batch;
    request.folder = join_path(context_.memory_folder, "graphs");
    const bool is_own = trial.settings.own_operators;
    if (is_own) request.chained = trial.settings.nhwc ? Chained::kChannelsLast : Chained::kChannelsFirst;
    auto made = made_graph(request);
    if (made || is_own || trial.precision != "fp32" || made.error().code == ErrorCode::kInterrupted) return made;
    log_debug("{} runs its own graph in fp32: {}", spec_.name, printable(made.error().message));
    return request.source;
  }

  [[nodiscard]] std::vector<std::string> precisions() const {
    return precisions_to_try(options_.provider, preference_);
  }

  // The outputs that a GPU's are compared with, and what the model's own graph says of its sizes.
  Status learn() {
    if (source().empty())
      return fail(ErrorCode::kNotFound,
                  fmt::format("the model {0} is not installed whole: `image-engine models pull {0}`", spec_.name));
    SessionOptions plain;
    plain.threads = options_.threads;
    plain.fixed_dimensions = options_.fixed_dimensions;
    plain.stop = stop_;
    IE_TRY(const auto reference, Session::create(source(), plain));
    IE_TRY(std::vector<Tensor> canaries, make_canaries_(*reference));
    IE_TRY(reference_, run_canaries(*reference, canaries, spec_.outputs));
    canaries_ = std::move(canaries);
    has_free_sizes_ = has_free_sizes(*reference);
    if (!has_free_sizes_ && has_free_rows(*reference)) rows_ = context_.batch > 0 ? context_.batch : kFirstBatch;
    rows_name_ = reference->inputs().front().rows;
    return {};
  }

  // The first precision that passes its gate, with the fastest setting and rows; where this is not to be thorough, with
  // the first that pass.
  Result<Measured> find_best() {
    const bool tensorrt = options_.provider != Provider::kCuda;
    const std::span<const Setting> settings = tensorrt          ? kOneSetting
                                              : has_free_sizes_ ? kFreeSettings
                                                                : std::span<const Setting>(kFixedSettings);
    refusals_.clear();
    for (const std::string& precision : precisions()) {
      if (precision == "int8") {
        refusals_.emplace_back("int8: for CPUs and TensorRT");
        continue;
      }
      auto best = best_setting({precision, {.batch = rows_, .rows = rows_name_}, {}}, settings);
      // Each batch would need another engine.
      const bool has_batches = is_thorough_ && context_.batch == 0 && rows_ > 0 && !tensorrt;
      if (best && is_thorough_) best = sooner_ready(*best);
      if (best) return has_batches ? best_batch(*best) : best;
      if (best.error().code == ErrorCode::kInterrupted) return best;
      refusals_.push_back(fmt::format("{}: {}", precision, best.error().message));
    }
    return fail(ErrorCode::kUnsupported, fmt::format("{}", fmt::join(refusals_, "; ")));
  }

  Result<Measured> best_setting(Trial trial, std::span<const Setting> settings) {
    std::optional<Measured> best;
    Error last{ErrorCode::kUnsupported, "nothing was tried"};
    for (const Setting& setting : settings) {
      if (setting.own_operators && (own_operators_failed_ || operators_library().empty())) continue;
      trial.set(setting);
      if (stop_.stop_requested()) return fail(ErrorCode::kInterrupted, "the work has ended before");
      auto measured = measure(trial);
      if (!measured) {
        log_debug("{} on {}, {} {}: {}", spec_.name, provider_name(options_.provider), trial.precision, setting.name,
                  printable(measured.error().message));
        last = measured.error();
        if (last.code == ErrorCode::kInterrupted) return measured;
        if (last.code == ErrorCode::kOutOfMemory && trial.settings.batch > 1) {
          trial.settings.batch /= 2;
          return best_setting(trial, settings);
        }
        // The gate: another setting computes the same numbers, but with operators of ours.
        if (last.code == ErrorCode::kInvalidArgument && !setting.own_operators) break;
      } else if (!best || measured->seconds < best->seconds) {
        best = std::move(*measured);
        if (!is_thorough_) break;
      }
    }
    if (!best) return fail(last);
    return *best;
  }

  // The same without timing cuDNN's algorithms, which takes seconds at each start, where that computes nearly as fast.
  Result<Measured> sooner_ready(const Measured& best) {
    if (!best.trial.settings.search_convolutions) return best;
    Trial trial = best.trial;
    trial.settings.search_convolutions = false;
    const auto measured = measure(trial);
    if (!measured && measured.error().code == ErrorCode::kInterrupted) return measured;
    return measured && measured->seconds * kNearly <= best.seconds ? *measured : best;
  }

  Result<Measured> best_batch(const Measured& first) {
    std::vector<Measured> all;
    for (const std::int64_t rows : kBatches) {
      if (stop_.stop_requested()) return fail(ErrorCode::kInterrupted, "the work has ended before");
      Trial trial = first.trial;
      trial.settings.batch = rows;
      auto measured = measure(trial);
      if (!measured && measured.error().code == ErrorCode::kInterrupted) return measured;
      if (!measured) break;  // memory: more rows need more
      all.push_back(std::move(*measured));
    }
    if (all.empty()) return first;
    const double least = std::ranges::min(all, {}, &Measured::seconds).seconds;
    return *std::ranges::find_if(all, [&](const Measured& m) { return m.seconds * kNearly <= least; });
  }

  // As it was found before, where that is known.
  Result<Measured> measure(const Trial& trial) {
    const auto is_of_trial = [&](const Tried& one) {
      return one.precision == trial.precision && one.settings == trial.settings;
    };
    if (const auto known = std::ranges::find_if(tried_, is_of_trial); known != tried_.end()) {
      if (known->error) return fail(*known->error);
      return Measured{trial, known->seconds, known->cosine};
    }
    auto measured = measure_now(trial);
    note(trial, measured);
    return measured;
  }

  void note(const Trial& trial, const Result<Measured>& measured) {
    Tried& one = tried_.emplace_back(Tried{trial.precision, trial.settings, 0, 0, std::nullopt});
    if (!measured) {
      const ErrorCode code = measured.error().code;
      one.error = measured.error();
      if (std::ranges::find(kLasting, code) == std::end(kLasting)) tried_.pop_back();
      if (std::ranges::find(kPassing, code) != std::end(kPassing)) has_passing_errors_ = true;
      return;
    }
    one.seconds = measured->seconds;
    one.cosine = measured->cosine;
    const bool is_better =
        !fastest_ || fastest_->trial.precision != trial.precision || measured->seconds < fastest_->seconds;
    if (is_better) fastest_ = *measured;
    if (is_later_) keep(*fastest_, tried_);
  }

  Result<Measured> measure_now(const Trial& trial) {
    IE_TRY(auto session, session_of(trial, options_.device, stop_));
    IE_TRY(const std::vector<Tensor> outputs, run_canaries(*session, canaries_, spec_.outputs));
    IE_TRY(const Agreement found, agreement_of(spec_, reference_, outputs));
    IE_CHECK(check_gate(found, gate_of(spec_, trial.precision)));
    IE_TRY(const double seconds,
           seconds_a_picture(*session, canaries_, std::max<std::int64_t>(trial.settings.batch, 1)));
    if (!is_thorough_) ready_ = std::move(session);
    return Measured{trial, seconds, found.cosine};
  }

  [[nodiscard]] static std::string speed_of(const Measured& best) {
    return fmt::format("{}: {:.0f} pictures/s at {} per run, {}, cosine {:.4f}", best.trial.precision,
                       1 / std::max(best.seconds, 1e-9), std::max<std::int64_t>(best.trial.settings.batch, 1),
                       best.trial.name, best.cosine);
  }

  // Why each precision before the best was not taken, and the best.
  [[nodiscard]] std::string reason_of(const Measured& best) const {
    std::vector<std::string> all = refusals_;
    all.push_back(speed_of(best));
    return fmt::format("{}", fmt::join(all, "; "));
  }

  Spec spec_;
  Store store_;
  SessionOptions options_;
  Preference preference_;
  InferenceContext context_;
  MakeCanaries make_canaries_;
  std::vector<std::string> refusals_;  // of precisions, with their reasons
  std::vector<Tried> tried_;
  std::optional<Measured> fastest_;  // so far
  std::string key_;                  // of what is remembered
  bool is_later_ = false;            // what is measured is for the next time
  std::unique_ptr<Session> ready_;   // of the first settings that passed, where not all are to be tried
  std::vector<Tensor> canaries_, reference_;
  bool has_free_sizes_ = false;
  std::int64_t rows_ = 0;  // of the first trial; 0: the file's
  std::string rows_name_;
  bool is_thorough_ = true;  // all settings and batches are tried
  std::stop_token stop_;     // of what is measured later
  Trial chosen_;
  std::int64_t full_batch_ = 0;      // before rows became fewer; 0: they did not
  bool has_passing_errors_ = false;  // while settings were tried
  std::mutex keeping_;
  std::atomic<bool> own_operators_failed_ = false;
  std::jthread measuring_;  // ends first
};

// The fallback when a session on a GPU fails: fewer rows while it runs out of memory, then no operators of ours, else
// the CPU. Without a chooser only the CPU.
TakeOver successor(const std::string& model, const std::shared_ptr<DeviceChooser>& chooser,
                   const std::function<Result<Chosen>()>& on_cpu) {
  return [=, lost = false](const Error& error) mutable -> Result<Successor> {
    if (lost) return fail(error);
    if (chooser != nullptr && error.code == ErrorCode::kOutOfMemory)
      if (auto fewer = chooser->with_fewer_rows(error)) return Successor{std::move(*fewer), {}};
    if (chooser != nullptr)
      if (auto plain = chooser->without_own_operators(error)) return Successor{std::move(*plain), {}};
    lost = true;
    log_warning("{} falls back to the CPU: {}", model, printable(error.message));
    IE_TRY(Chosen next, on_cpu());
    return Successor{std::move(next.session), next.precision};
  };
}

// Where a GPU is required: no operators of ours. Keeps the chooser, which may still be measuring.
TakeOver successor_on_gpu(const std::shared_ptr<DeviceChooser>& chooser) {
  return [chooser](const Error& error) -> Result<Successor> {
    IE_TRY(auto plain, chooser->without_own_operators(error));
    return Successor{std::move(plain), {}};
  };
}

}  // namespace

std::vector<std::string> precisions_to_try(Provider provider, const Preference& preference) {
  if (preference.precision != "auto") return {preference.precision};
  static const std::vector<std::string> kFastestFirst = {"int8", "fp16", "fp32"};
  const std::string first = provider == Provider::kCuda ? "fp16" : preference.tensorrt_precision;
  return {std::ranges::find(kFastestFirst, first), kFastestFirst.end()};
}

Status check_device(std::string_view device) {
  for (const std::string_view word : {"auto", "cpu", "cuda", "tensorrt"})
    if (device == word) return {};
  int number = 0;
  if (device.starts_with("cuda:")) {
    const auto [end, error] = std::from_chars(device.data() + 5, device.data() + device.size(), number);
    if (error == std::errc() && end == device.data() + device.size() && number >= 0) return {};
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("there is no device '{}': use auto, cpu, cuda, cuda:N or tensorrt", printable(device)));
}

int device_number(std::string_view device) {
  int number = 0;
  if (const std::size_t colon = device.find(':'); colon != device.npos)
    std::from_chars(device.data() + colon + 1, device.data() + device.size(), number);
  return number;
}

// Measurements on one apply to all of its kind.
Result<std::vector<int>> gpus_for(std::string_view device) {
  const int first = device_number(device);
  std::vector<int> gpus{first};
  if (device.find(':') != device.npos) return gpus;
  IE_TRY(const auto devices, gpu::cuda_devices());
  for (std::size_t i = 1; i < devices.size(); ++i)
    if (devices[i].name == devices[0].name && devices[i].memory_bytes == devices[0].memory_bytes)
      gpus.push_back(static_cast<int>(i));
  return gpus;
}

Result<Chosen> choose_device(const Spec& spec, const Store& store, const SessionOptions& options,
                             const Preference& preference, const MakeCanaries& canaries,
                             const InferenceContext& context) {
  IE_CHECK(check_device(preference.device));
  if (spec.variants.empty())
    return fail(ErrorCode::kInvalidArgument, fmt::format("the model {} has no variant", spec.name));
  // Copies: a session on a GPU may use it long after this returns.
  const auto on_cpu = [=](const std::string& precision) {
    return choose_precision(spec, store, options, canaries, context.memory_folder, precision);
  };
  std::vector<std::string> passed_over;
  const std::string engine = takes_engines(preference.device) ? engine_of(spec, store, context.engine) : "";
  if (!engine.empty()) {
    auto found = choose_engine(spec, store, options, engine, context.batch, canaries);
    if (found) {
      if (!preference.require_gpu)
        found->session =
            make_resilient(std::move(found->session), successor(spec.name, nullptr, [=] { return on_cpu("auto"); }));
      return found;
    }
    passed_over.push_back(fmt::format("the engine {}: {}", printable(engine), found.error().message));
    log_warning("{} does not use the engine {}: {}", spec.name, printable(engine), printable(found.error().message));
  }
  for (const Provider provider : providers_for(preference.device, preference.use_tensorrt)) {
    const auto chooser = std::make_shared<DeviceChooser>(spec, store, options, preference, context, provider);
    auto found = chooser->choose(canaries);
    if (!found) {
      passed_over.push_back(fmt::format("{}: {}", provider_name(provider), found.error().message));
      log_debug("{}: {}", spec.name, printable(passed_over.back()));
      continue;
    }
    const Placement placement = found->session->placement();
    if (!placement.whole())
      log_warning("{}: not all of it runs on {}: {}", spec.name, placement.provider, nodes_text(placement));
    found->reason = fmt::format("{}", fmt::join(passed_over, "; ")) + (passed_over.empty() ? "" : "; ") +
                    placement.provider + " " + found->reason;
    found->session =
        make_resilient(std::move(found->session), preference.require_gpu
                                                      ? successor_on_gpu(chooser)
                                                      : successor(spec.name, chooser, [=] { return on_cpu("auto"); }));
    return found;
  }
  if (preference.require_gpu)
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("{} does not run on a GPU: {}", spec.name,
                    passed_over.empty() ? "--device cpu is set" : fmt::format("{}", fmt::join(passed_over, "; "))));
  if (preference.device != "auto" && !passed_over.empty())
    log_warning("{} runs on the CPU, not on {}: {}", spec.name, printable(preference.device),
                printable(passed_over.back()));
  IE_TRY(Chosen chosen, on_cpu(preference.precision));
  for (const std::string& one : passed_over) chosen.reason += "; " + one;
  return chosen;
}

}  // namespace image_engine::infer
