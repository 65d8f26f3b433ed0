// Sessions on a GPU: inputs and outputs have buffers there, which runs of the same shapes reuse.
//
// ONNX Runtime keeps GPU library handles and recorded graphs per calling thread, so each lane has its own thread for
// all its runs.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "core/file.h"
#include "gpu/cuda.h"
#include "gpu/lanes.h"
#include "infer/gpu_rows.h"
#include "infer/onnx_runtime.h"

namespace image_engine::infer {
namespace {

// The number of shape sets that a lane records, and then keeps: the runtime keeps their recordings until the session
// ends.
constexpr int kRecordedRuns = 4;
// And that it keeps buffers for beside them. If inputs have free dimensions, the least recently used is dropped.
constexpr std::ptrdiff_t kUnrecordedRuns = 4;

// While a GPU's work is recorded, no other thread of the process may allocate or wait there: CUDA would refuse it and
// end the recording. The recording thread holds this exclusively, others share it.
std::shared_mutex& recording() {
  static std::shared_mutex mutex;
  return mutex;
}

}  // namespace

std::shared_lock<std::shared_mutex> no_recording() { return std::shared_lock(recording()); }

namespace {

// A tensor on the GPU and its host buffer.
struct TensorBuffer {
  std::string name;
  ElementType type = ElementType::kFloat32;
  std::vector<std::int64_t> shape;
  gpu::DeviceBuffer device;
  gpu::PinnedBuffer host;
  Ort::Value value{nullptr};
};

std::size_t bytes_of(const TensorBuffer& buffer) {
  return Tensor{buffer.type, buffer.shape, {}}.count() * element_size(buffer.type);
}

Result<TensorBuffer> make_buffer(std::string name, ElementType type, std::vector<std::int64_t> shape, int device) {
  TensorBuffer buffer{std::move(name), type, std::move(shape), {}, {}, Ort::Value{nullptr}};
  const std::size_t bytes = bytes_of(buffer);
  IE_TRY(buffer.device, gpu::DeviceBuffer::create(device, bytes));
  IE_TRY(buffer.host, gpu::PinnedBuffer::create(bytes));
  const Ort::MemoryInfo memory("Cuda", OrtDeviceAllocator, device, OrtMemTypeDefault);
  buffer.value = Ort::Value::CreateTensor(memory, buffer.device.data(), bytes, buffer.shape.data(), buffer.shape.size(),
                                          row_of(type).theirs);
  return buffer;
}

// Runs of one set of shapes. One thread at a time.
class BoundRun {
 public:
  // `graph`: the number of its recorded graph in the session; 0: the session records none; kUnrecorded: this one is not
  // recorded.
  static constexpr int kUnrecorded = -1;
  BoundRun(Ort::Session& session, const gpu::Stream& stream, int graph, std::stop_token stop)
      : session_(session), stream_(stream), stop_(std::move(stop)), binding_(session), graph_(graph) {
    options_.AddConfigEntry("disable_synchronize_execution_providers", "1");  // this class waits
  }

  // Allocates the buffers and runs once, or as often as recording needs. Throws Ort::Exception.
  Status prepare(std::span<const Tensor> inputs, const Signature& signature, std::span<const char* const> outputs,
                 std::int64_t rows) {
    IE_CHECK(allocate(inputs, signature, outputs, rows));
    return graph_ > 0 ? record() : Status();
  }

  [[nodiscard]] bool is_recorded() const { return graph_ > 0; }
  [[nodiscard]] bool fits(std::span<const Tensor> inputs, std::int64_t rows,
                          std::span<const char* const> outputs) const {
    const auto same = [&](const TensorBuffer& buffer, const Tensor& tensor) {
      std::vector<std::int64_t> shape = tensor.shape;
      if (rows > 0) shape[0] = rows;
      return buffer.shape == shape;
    };
    return std::ranges::equal(inputs_, inputs, same) &&
           std::ranges::equal(outputs_, outputs,
                              [](const TensorBuffer& p, const char* name) { return p.name == name; });
  }

  // Copies rows [first, first + count) of the inputs; fills the rest of a buffer with zeros.
  Status upload(std::span<const Tensor> inputs, std::size_t first, std::size_t count) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      TensorBuffer& buffer = inputs_[i];
      if (!inputs[i].gpu_rows.empty()) {
        IE_CHECK(upload_rows(inputs[i], first, count, buffer));
        continue;
      }
      const std::size_t rows = std::max<std::size_t>(rows_of(inputs), 1), row = inputs[i].data.size() / rows;
      const std::size_t used = std::min(count * row, buffer.host.size());
      if (used > 0) std::memcpy(buffer.host.data(), inputs[i].data.data() + first * row, used);
      std::memset(buffer.host.data() + used, 0, buffer.host.size() - used);
      IE_CHECK(gpu::copy_to_device(buffer.device.data(), buffer.host.data(), buffer.host.size(), stream_));
    }
    return {};
  }

  // Throws Ort::Exception.
  void compute() {
    const std::shared_lock shared(recording());
    run_watched(options_, stop_, [&] { session_.Run(options_, binding_); });
  }
  [[nodiscard]] Status wait() const { return stream_.wait(); }

  // Appends the outputs' first `count` of `rows` rows to `results`; all of them when rows is 0.
  Status download(std::vector<Tensor>& results, std::size_t count, std::size_t rows) {
    for (TensorBuffer& buffer : outputs_)
      IE_CHECK(gpu::copy_to_host(buffer.host.data(), buffer.device.data(), buffer.host.size(), stream_));
    IE_CHECK(stream_.wait());
    results.resize(outputs_.size());
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      std::vector<std::int64_t> shape = outputs_[i].shape;
      if (rows > 0) {
        if (shape.empty() || shape[0] != static_cast<std::int64_t>(rows))
          return fail(ErrorCode::kUnsupported,
                      fmt::format("its output {} is not one row for each picture", printable(outputs_[i].name)));
        shape[0] = static_cast<std::int64_t>(count);
      }
      append(results[i], tensor_of(outputs_[i].type, std::move(shape), outputs_[i].host.data()));
    }
    return {};
  }

 private:
  // The first run may search algorithms for seconds: other sessions go on meanwhile.
  Status allocate(std::span<const Tensor> inputs, const Signature& signature, std::span<const char* const> outputs,
                  std::int64_t rows) {
    const auto quiet = no_recording();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      std::vector<std::int64_t> shape = inputs[i].shape;
      if (rows > 0) shape[0] = rows;
      IE_TRY(TensorBuffer buffer,
             make_buffer(signature.inputs[i].name, inputs[i].type, std::move(shape), stream_.device()));
      inputs_.push_back(std::move(buffer));
    }
    IE_CHECK(upload(inputs, 0, rows_of(inputs)));
    for (const TensorBuffer& buffer : inputs_) binding_.BindInput(buffer.name.c_str(), buffer.value);
    IE_CHECK(learn_outputs(outputs));
    for (const TensorBuffer& buffer : outputs_) binding_.BindOutput(buffer.name.c_str(), buffer.value);
    return {};
  }

  Status record() {
    const std::unique_lock alone(recording());
    options_.AddConfigEntry("gpu_graph_id", std::to_string(graph_).c_str());
    run_watched(options_, stop_, [&] { session_.Run(options_, binding_); });  // runs until it is recorded
    return stream_.wait();
  }

  // Of an input with rows on this GPU. What is left of the buffer keeps its numbers: no row depends on another.
  Status upload_rows(const Tensor& input, std::size_t first, std::size_t count, TensorBuffer& buffer) {
    const std::size_t row = buffer.host.size() / static_cast<std::size_t>(buffer.shape[0]);
    const auto rows = std::span(input.gpu_rows);
    auto host =
        static_cast<std::size_t>(std::ranges::count(rows.first(first), nullptr, &GpuRow::address));  // in `data`
    auto* const begin = static_cast<std::byte*>(buffer.device.data());
    count = std::min(count, static_cast<std::size_t>(buffer.shape[0]));
    for (std::size_t i = 0; i < count; ++i) {
      if (const GpuRow& on_gpu = rows[first + i]) {
        IE_CHECK(gpu::copy_on_device(begin + i * row, on_gpu.address.get(), row, stream_));
        continue;
      }
      std::memcpy(buffer.host.data() + i * row, input.data.data() + host++ * row, row);
      IE_CHECK(gpu::copy_to_device(begin + i * row, buffer.host.data() + i * row, row, stream_));
    }
    return {};
  }

  static std::size_t rows_of(std::span<const Tensor> inputs) {
    return inputs.empty() || inputs[0].shape.empty() ? 1 : static_cast<std::size_t>(inputs[0].shape[0]);
  }

  // The outputs' buffers. Their shapes are known only after a run that is not recorded.
  Status learn_outputs(std::span<const char* const> names) {
    const Ort::MemoryInfo memory("Cuda", OrtDeviceAllocator, stream_.device(), OrtMemTypeDefault);
    for (const char* name : names) binding_.BindOutput(name, memory);
    if (graph_ != 0) options_.AddConfigEntry("gpu_graph_id", "-1");
    run_watched(options_, stop_, [&] { session_.Run(options_, binding_); });
    IE_CHECK(stream_.wait());
    const std::vector<Ort::Value> made = binding_.GetOutputValues();
    for (std::size_t i = 0; i < made.size(); ++i) {
      IE_TRY(TensorInfo known, tensor_info("output", names[i], made[i].GetTypeInfo()));
      IE_TRY(TensorBuffer buffer, make_buffer(names[i], known.type, std::move(known.shape), stream_.device()));
      outputs_.push_back(std::move(buffer));
    }
    binding_.ClearBoundOutputs();
    return {};
  }

  static void append(Tensor& all, Tensor more) {
    if (all.shape.empty() && all.data.empty()) {
      all = std::move(more);
      return;
    }
    all.shape[0] += more.shape[0];
    all.data.insert(all.data.end(), more.data.begin(), more.data.end());
  }

  Ort::Session& session_;
  const gpu::Stream& stream_;
  const std::stop_token stop_;
  Ort::IoBinding binding_;
  Ort::RunOptions options_;
  int graph_;
  std::vector<TensorBuffer> inputs_, outputs_;
};

// Runs tasks on one thread, one after the other.
class LaneThread {
 public:
  LaneThread() : thread_([this](const std::stop_token& stop) { serve(stop); }) {}

  // Waits until the task is done and rethrows its exception. One caller at a time.
  void run(const std::function<void()>& work) {
    std::unique_lock lock(mutex_);
    work_ = &work;
    thrown_ = nullptr;
    changed_.notify_all();
    changed_.wait(lock, [&] { return work_ == nullptr; });
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  void serve(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [&] { return work_ != nullptr; })) {
      try {
        (*work_)();
      } catch (...) {
        thrown_ = std::current_exception();
      }
      work_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  const std::function<void()>* work_ = nullptr;
  std::exception_ptr thrown_;
  std::jthread thread_;
};

// A copy of the model with a queue of its own.
struct Lane {
  std::string name;  // in reports and traces
  gpu::Stream stream;
  Ort::Session session{nullptr};
  std::vector<std::unique_ptr<BoundRun>> runs;  // the last used last
  int graphs = 0;                               // recorded so far
  LaneThread thread;                            // ends first

  // body() on the lane's thread.
  template <typename Body>
  auto run(Body&& body) -> decltype(body()) {
    std::optional<decltype(body())> result;
    thread.run([&] { result = body(); });
    return std::move(*result);
  }

  // The same; exceptions of the runtime become errors.
  template <typename Body>
  auto guarded_run(Body&& body) -> decltype(body()) {
    return guarded(run_purpose(), [&] { return run(body); });
  }
};

// Lanes that no thread uses.
class FreeLanes {
 public:
  void put(Lane* lane) {
    {
      const std::lock_guard lock(mutex_);
      free_.push_back(lane);
    }
    changed_.notify_one();
  }
  Lane* take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !free_.empty(); });
    Lane* lane = free_.back();
    free_.pop_back();
    return lane;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Lane*> free_;
};

struct GiveBack {
  FreeLanes* lanes = nullptr;
  void operator()(Lane* lane) const { lanes->put(lane); }
};
using HeldLane = std::unique_ptr<Lane, GiveBack>;

class DeviceResidentRun final : public ResidentRun {
 public:
  DeviceResidentRun(HeldLane lane, BoundRun& run) : lane_(std::move(lane)), run_(run) {}
  Status compute() override { return compute(1); }
  Status compute(int times) override {
    return lane_->guarded_run([&]() -> Status {
      for (int i = 0; i < times; ++i) run_.compute();
      return run_.wait();
    });
  }

 private:
  HeldLane lane_;
  BoundRun& run_;
};

class DeviceSession final : public Session {
 public:
  ~DeviceSession() override {
    const auto quiet = no_recording();
    lanes_.clear();
  }

  static Result<std::unique_ptr<Session>> create(const std::string& file, const SessionOptions& options) {
    auto session = std::make_unique<DeviceSession>();
    session->options_ = options;
    for (int i = 0; i < std::max(options.lanes, 1); ++i) {
      const auto quiet = no_recording();
      auto lane = std::make_unique<Lane>();
      lane->name = fmt::format("cuda:{} {} #{}", options.device, to_utf8(file_name(file)), i + 1);
      IE_TRY(lane->stream, gpu::Stream::create(options.device));
      IE_CHECK(lane->run([&]() -> Status {
        Ort::SessionOptions theirs = session_options(options, lane->stream.handle());
        IE_TRY(lane->session,
               load_watched(theirs, options.stop, [&] { return Ort::Session(runtime()->env, file.c_str(), theirs); }));
        return {};
      }));
      session->lanes_.push_back(std::move(lane));
    }
    IE_TRY(session->signature_, Signature::of(session->lanes_.front()->session));
    session->fix_rows();
    session->find_placement();
    for (const auto& lane : session->lanes_) session->free_.put(lane.get());
    return session;
  }

  [[nodiscard]] const std::vector<TensorInfo>& inputs() const override { return signature_.inputs; }
  [[nodiscard]] const std::vector<TensorInfo>& outputs() const override { return signature_.outputs; }
  [[nodiscard]] Placement placement() const override { return placement_; }
  [[nodiscard]] std::optional<std::string> metadata(const std::string& key) const override {
    return metadata_of(lanes_.front()->session, key);
  }

  [[nodiscard]] Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                                std::span<const std::string> outputs) const override {
    const std::size_t fixed = rows_;
    IE_CHECK(signature_.check(inputs));
    if (has_rows_elsewhere(inputs, options_.device)) {
      IE_TRY(const std::vector<Tensor> near, on_host(inputs, options_.device));
      return run(near, outputs);
    }
    IE_TRY(const std::vector<const char*> wanted, signature_.output_names(outputs));
    const HeldLane lane = hold_lane();
    return lane->guarded_run([&]() -> Result<std::vector<Tensor>> {
      IE_TRY(BoundRun * bound, bound_run(*lane, inputs, wanted));
      const gpu::LaneSpan busy(lane->name);
      const auto rows = static_cast<std::size_t>(first_side(inputs)), at_once = fixed > 0 ? fixed : rows;
      std::vector<Tensor> results;
      for (std::size_t first = 0; first < std::max<std::size_t>(rows, 1); first += std::max<std::size_t>(at_once, 1)) {
        const std::size_t count = std::min(at_once, rows - first);
        IE_CHECK(bound->upload(inputs, first, count));
        bound->compute();
        IE_CHECK(bound->download(results, count, rows == at_once ? 0 : fixed));
      }
      return results;
    });
  }

  [[nodiscard]] Result<std::unique_ptr<ResidentRun>> resident(std::span<const Tensor> inputs) const override {
    IE_CHECK(signature_.check(inputs));
    IE_TRY(const std::vector<const char*> wanted, signature_.output_names({}));
    HeldLane lane = hold_lane();
    IE_TRY(BoundRun * bound, lane->guarded_run([&]() -> Result<BoundRun*> {
      IE_TRY(BoundRun * found, bound_run(*lane, inputs, wanted));
      IE_CHECK(found->upload(inputs, 0, static_cast<std::size_t>(first_side(inputs))));
      return found;
    }));
    return std::make_unique<DeviceResidentRun>(std::move(lane), *bound);
  }

 private:
  static std::int64_t first_side(std::span<const Tensor> inputs) {
    return inputs.empty() || inputs[0].shape.empty() ? 1 : inputs[0].shape[0];
  }

  // If every input has the same fixed number of rows, more than one, this class pads and splits: callers may pass any
  // number.
  void fix_rows() {
    const auto rows_of = [](const TensorInfo& info) { return info.shape.empty() ? 0 : info.shape[0]; };
    const std::int64_t rows = signature_.inputs.empty() ? 0 : rows_of(signature_.inputs.front());
    const auto same = [&](const TensorInfo& info) { return rows_of(info) == rows; };
    if (rows <= 1 || !std::ranges::all_of(signature_.inputs, same)) return;
    rows_ = static_cast<std::size_t>(rows);
    for (auto* infos : {&signature_.inputs, &signature_.outputs})
      for (TensorInfo& info : *infos)
        if (rows_of(info) == rows) info.shape[0] = -1;
  }

  [[nodiscard]] HeldLane hold_lane() const {
    const auto start = std::chrono::steady_clock::now();
    HeldLane lane(free_.take(), GiveBack{&free_});
    gpu::record_lane(lane->name, gpu::LaneWork::kWait, start);
    return lane;
  }

  // Throws Ort::Exception.
  [[nodiscard]] Result<BoundRun*> bound_run(Lane& lane, std::span<const Tensor> inputs,
                                            std::span<const char* const> outputs) const {
    const auto rows = static_cast<std::int64_t>(rows_);
    const auto known =
        std::ranges::find_if(lane.runs, [&](const auto& run) { return run->fits(inputs, rows, outputs); });
    if (known != lane.runs.end()) {
      std::rotate(known, known + 1, lane.runs.end());
      return lane.runs.back().get();
    }
    drop_unrecorded(lane);
    auto run = std::make_unique<BoundRun>(lane.session, lane.stream, next_graph(lane), options_.stop);
    IE_CHECK(run->prepare(inputs, signature_, outputs, rows));
    lane.runs.push_back(std::move(run));
    return lane.runs.back().get();
  }

  // Makes room for another: runs are in the order of their last use.
  static void drop_unrecorded(Lane& lane) {
    const auto is_dropped = [](const auto& run) { return !run->is_recorded(); };
    if (std::ranges::count_if(lane.runs, is_dropped) < kUnrecordedRuns) return;
    const auto quiet = no_recording();
    lane.runs.erase(std::ranges::find_if(lane.runs, is_dropped));
  }

  [[nodiscard]] int next_graph(Lane& lane) const {
    if (!options_.cuda_graph) return 0;
    return lane.graphs < kRecordedRuns ? ++lane.graphs : BoundRun::kUnrecorded;
  }

  void find_placement() {
    placement_.device = fmt::format("cuda:{}", options_.device);
    placement_.rows = rows_;
    placement_.provider = provider_name(options_.provider);
    for (const auto& part : lanes_.front()->session.GetEpGraphAssignmentInfo())
      placement_.nodes[provider_name(part.GetEpName())] += part.GetNodes().size();
  }

  SessionOptions options_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  mutable FreeLanes free_;
  Signature signature_;
  std::size_t rows_ = 0;  // of every run; 0: any number
  Placement placement_;
};

}  // namespace

Result<std::unique_ptr<Session>> create_device_session(const std::string& file, const SessionOptions& options) {
  return DeviceSession::create(file, options);
}

}  // namespace image_engine::infer
