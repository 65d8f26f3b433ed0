#include "worker/gpu_process/lanes.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <future>
#include <thread>
#include <type_traits>

#include "core/text.h"
#include "gpu/kernels/resample.h"
#include "media/media.h"
#include "worker/gpu_process/results.h"

namespace image_engine::worker {
namespace {

// Measured on an H200 with 960 photos of 12 MP and 2.9 MB, bytes in memory: the engine alone decodes 730 to 810 a
// second 64 at a time, and 780 to 860 in two batches of 128, for four times the memory; with the hybrid decoder beside
// it, 64 at a time on 12 threads, 960 to 1,170.
constexpr std::size_t kBatch = 48;
constexpr int kEngineThreads = 2;
constexpr std::size_t kShareOfInputs = 4;  // one in so many bytes of the GPU's memory is for models' inputs
constexpr std::size_t kScratchBytes = std::size_t{160} << 20;  // resample()'s need for pictures of 12 MP, and more
// Reduced pictures and sums, on the GPU and page-locked: of 100 photos of 12 MP.
constexpr std::size_t kMostOutputBytes = std::size_t{384} << 20;
// With less memory, two engine lanes would wait for each other.
constexpr std::size_t kTwoEngineLanesBytes = std::size_t{4} << 30;

Status cuda(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return {};
  return fail(ErrorCode::kInternal, fmt::format("{}: {}", what, cudaGetErrorString(error)));
}

// After an error of CUDA all calls fail: the engine leaves the pictures in work to the CPU, and starts the process
// again.
[[noreturn]] void end_the_process() { ::_exit(3); }

// Makes this thread, and those that it starts, give way to others. A photo costs the hybrid decoder 16 times the CPU
// time that it costs the engine's: on a busy CPU the engine is to be fed first.
void yield_to_others() {
  constexpr int kNiceness = 10;
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness);
}

// An event that waits without spinning.
class Event {
 public:
  static Result<Event> create() {
    Event event;
    cudaEvent_t handle = nullptr;
    IE_CHECK(cuda(cudaEventCreateWithFlags(&handle, cudaEventBlockingSync | cudaEventDisableTiming), "no CUDA event"));
    event.handle_.reset(handle);
    return event;
  }
  [[nodiscard]] Status record(cudaStream_t stream) const {
    return cuda(cudaEventRecord(handle_.get(), stream), "CUDA failed");
  }
  [[nodiscard]] Status wait() const { return cuda(cudaEventSynchronize(handle_.get()), "CUDA failed"); }

 private:
  struct Destroy {
    void operator()(cudaEvent_t event) const { cudaEventDestroy(event); }
  };
  std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, Destroy> handle_;
};

// Decoded pictures whose results are on their way to the host.
struct Batch {
  GpuRoute route = GpuRoute::kNone;
  std::vector<JobPointer> jobs;
  std::vector<Results> results;
  MemoryArena::Part device, host;
  std::optional<Event> done;
};

}  // namespace

// One decoder, its stream for the kernels, and their scratch memory.
class Lanes::Lane {
 public:
  Lane(State& all, GpuRoute route) : all_(all), route_(route) {}
  Status open(Codec& codec, int threads);
  // Decodes what can be decoded; the others go back to the queue or are answered with none.
  void work(std::vector<JobPointer> jobs);
  Status warm_up();
  // As work(), of one JPEG, and waits for it.
  Status try_one(std::span<const std::byte> jpeg);
  [[nodiscard]] GpuRoute route() const { return route_; }

 private:
  void take_memory(std::vector<JobPointer>& jobs);
  std::vector<JobPointer> decode(std::vector<JobPointer> jobs);
  Result<std::shared_ptr<Batch>> reduce(std::vector<JobPointer>& jobs);
  Status queue_kernels(Batch& batch);

  State& all_;
  const GpuRoute route_;
  std::unique_ptr<PictureDecoder> decoder_;
  cudaStream_t stream_ = nullptr;
  MemoryArena::Part scratch_;
};

struct Lanes::State {
  LaneOptions options;
  std::unique_ptr<Codec> codec;
  std::unique_ptr<MemoryArena> pictures, outputs, inputs, staging;
  std::vector<std::unique_ptr<Lane>> lanes;
  ExportedMemory exported;                    // for models' inputs; null: there is none
  std::unique_ptr<ModelInputs> model_inputs;  // null: none are asked for
  std::unique_ptr<WaitingPictures> waiting;
  std::unique_ptr<TaskThreads> finishers;
  Answers* answers = nullptr;
  bool has_engine = false;

  Status allocate(std::size_t lane_count);
  template <typename Work>
  [[nodiscard]] std::future<std::invoke_result_t<Work>> start_on_device(Work work) const;
  Result<std::unique_ptr<Lane>> open_lane(GpuRoute route);
  Status open_lanes(std::size_t engine_lanes);
  void answer_none(const Job& job) { answers->send(job, GpuRoute::kNone); }
  void finish(Batch& batch);
};

Status Lanes::Lane::open(Codec& codec, int threads) {
  IE_TRY(decoder_, PictureDecoder::create(codec, route_, threads));
  IE_CHECK(cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "no CUDA stream"));
  std::optional<MemoryArena::Part> scratch = all_.outputs->try_take(kScratchBytes);
  if (!scratch) return fail(ErrorCode::kOutOfMemory, "no GPU memory for a decoder");
  scratch_ = std::move(*scratch);
  return {};
}

// For as many as there is room for now, also for their results; for one at least.
void Lanes::Lane::take_memory(std::vector<JobPointer>& jobs) {
  std::size_t with_memory = 0, results = 0;
  for (JobPointer& job : jobs) {
    results = lay_out(*job, results).end;
    if (with_memory > 0 && results > all_.staging->size() / 2) break;
    const std::size_t bytes = std::size_t{job->jpeg.width} * job->jpeg.height * 3;
    std::optional<MemoryArena::Part> part =
        with_memory == 0 ? all_.pictures->take(bytes) : all_.pictures->try_take(bytes);
    if (!part) break;
    job->rgb = std::move(*part);
    ++with_memory;
  }
  for (std::size_t i = jobs.size(); i > with_memory; --i) all_.waiting->put_back(std::move(jobs[i - 1]));
  jobs.resize(with_memory);
}

std::vector<JobPointer> Lanes::Lane::decode(std::vector<JobPointer> jobs) {
  std::vector<CodedPicture> coded;
  coded.reserve(jobs.size());
  for (const JobPointer& job : jobs)
    coded.push_back({{job->input.data(), job->input.size()},
                     job->jpeg.width,
                     job->jpeg.height,
                     reinterpret_cast<std::uint8_t*>(job->rgb.data())});
  const Result<std::vector<bool>> is_there = decoder_->decode(coded);
  if (!is_there) end_the_process();
  std::vector<JobPointer> decoded;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    JobPointer& job = jobs[i];
    if ((*is_there)[i]) {
      job->input = {};
      decoded.push_back(std::move(job));
    } else if (route_ == GpuRoute::kHardware) {
      job->rgb = {};
      job->jpeg.for_engine = false;
      all_.waiting->push(std::move(job));
    } else {
      all_.answer_none(*job);
    }
  }
  return decoded;
}

Status Lanes::Lane::queue_kernels(Batch& batch) {
  BatchTasks tasks;
  std::byte* device = batch.device.data();
  for (std::size_t i = 0; i < batch.jobs.size(); ++i)
    add_tasks(*batch.jobs[i], batch.results[i], device, all_.model_inputs.get(), tasks);
  const gpu::Scratch scratch{scratch_.data(), scratch_.size()};
  IE_CHECK(gpu::resample(tasks.reduce, scratch, stream_));
  if (!tasks.shrink.empty()) IE_CHECK(gpu::resample(tasks.shrink, scratch, stream_));
  if (!tasks.condense.empty()) IE_CHECK(gpu::condense(tasks.condense, scratch, stream_));
  IE_CHECK(cuda(cudaMemcpyAsync(batch.host.data(), device, batch.device.size(), cudaMemcpyDeviceToHost, stream_),
                "CUDA could not copy"));
  return batch.done->record(stream_);
}

Result<std::shared_ptr<Batch>> Lanes::Lane::reduce(std::vector<JobPointer>& jobs) {
  auto batch = std::make_shared<Batch>();
  batch->route = route_;
  IE_TRY(batch->done, Event::create());
  std::size_t bytes = 0;
  for (const JobPointer& job : jobs) {
    batch->results.push_back(lay_out(*job, bytes));
    bytes = batch->results.back().end;
  }
  std::optional<MemoryArena::Part> device = all_.outputs->take(bytes), host = all_.staging->take(bytes);
  if (!device || !host) return fail(ErrorCode::kTooLarge, "the reduced pictures do not fit");
  batch->device = std::move(*device);
  batch->host = std::move(*host);
  batch->jobs = std::move(jobs);
  if (Status queued = queue_kernels(*batch); !queued) {
    cudaStreamSynchronize(stream_);
    jobs = std::move(batch->jobs);
    return fail(queued.error());
  }
  return batch;
}

void Lanes::Lane::work(std::vector<JobPointer> jobs) {
  if (jobs.empty()) return;
  take_memory(jobs);
  std::vector<JobPointer> decoded = decode(std::move(jobs));
  if (decoded.empty()) return;
  Result<std::shared_ptr<Batch>> batch = reduce(decoded);
  if (!batch) {
    for (const JobPointer& job : decoded) all_.answer_none(*job);
    return;
  }
  all_.finishers->add([&all = all_, batch = *batch] { all.finish(*batch); });
}

Status Lanes::Lane::try_one(std::span<const std::byte> jpeg) {
  auto job = std::make_unique<Job>();
  std::optional<MemoryArena::Part> input = all_.inputs->take(jpeg.size());
  std::optional<RoutedJpeg> routed = route_jpeg(jpeg);
  if (!input || !routed) return fail(ErrorCode::kInternal, "the picture to try is not taken");
  job->input = std::move(*input);
  std::memcpy(job->input.data(), jpeg.data(), jpeg.size());
  job->jpeg = std::move(*routed);
  Request& request = job->request.request;
  request.operations = kDecode | kThumbnail | kLuma;
  request.max_edge = 640;
  std::optional<MemoryArena::Part> rgb = all_.pictures->take(std::size_t{job->jpeg.width} * job->jpeg.height * 3);
  if (!rgb) return fail(ErrorCode::kOutOfMemory, "no GPU memory for a picture to try");
  job->rgb = std::move(*rgb);
  const CodedPicture coded{{job->input.data(), job->input.size()},
                           job->jpeg.width,
                           job->jpeg.height,
                           reinterpret_cast<std::uint8_t*>(job->rgb.data())};
  IE_TRY(const std::vector<bool> is_there, decoder_->decode({&coded, 1}));
  if (!is_there[0]) return fail(ErrorCode::kInternal, "the decoder does not decode");
  std::vector<JobPointer> jobs;
  jobs.push_back(std::move(job));
  IE_TRY(const std::shared_ptr<Batch> batch, reduce(jobs));
  return batch->done->wait();
}

void Lanes::State::finish(Batch& batch) {
  if (!batch.done->wait()) end_the_process();
  for (std::size_t i = 0; i < batch.jobs.size(); ++i) {
    Job& job = *batch.jobs[i];
    job.rgb = {};
    const Status filled = fill_reply(job, batch.results[i], batch.host.data(), answers->slot(job.request.slot));
    answers->send(job, filled ? batch.route : GpuRoute::kNone);
  }
}

Lanes::Lanes() : state_(std::make_unique<State>()) {}
Lanes::~Lanes() = default;

// All memory now: exporting may open a device, and in the sandbox none can be opened.
Status Lanes::State::allocate(std::size_t lane_count) {
  const std::size_t output = std::min(kMostOutputBytes, options.device_bytes / 8), scratch = lane_count * kScratchBytes;
  if (options.device_bytes < 2 * (output + scratch))
    return fail(ErrorCode::kOutOfMemory,
                fmt::format("decoding on the GPU needs {} of its memory and may use {} (half of what is free, and "
                            "inference.gpu_memory_mb)",
                            human_bytes(2 * (output + scratch)), human_bytes(options.device_bytes)));
  IE_TRY(outputs, MemoryArena::create(MemoryKind::kDevice, output + scratch));
  const std::size_t rest = options.device_bytes - output - scratch, for_inputs = rest / kShareOfInputs;
  IE_TRY(pictures, MemoryArena::create(MemoryKind::kDevice, rest - for_inputs));
  // Without it the engine makes the inputs.
  if (Result<ExportedMemory> memory = allocate_exported(options.device, for_inputs)) exported = std::move(*memory);
  IE_TRY(inputs, MemoryArena::create(MemoryKind::kPinned, options.pinned_bytes));
  IE_TRY(staging, MemoryArena::create(MemoryKind::kPinned, output));
  return {};
}

// Runs `work` on a thread of its own, on this device.
template <typename Work>
std::future<std::invoke_result_t<Work>> Lanes::State::start_on_device(Work work) const {
  return std::async(std::launch::async, [device = options.device, work = std::move(work)] {
    cudaSetDevice(device);
    return work();
  });
}

// A lane that has decoded pictures of its own, so that all that a library opens at its first picture is open.
Result<std::unique_ptr<Lanes::Lane>> Lanes::State::open_lane(GpuRoute route) {
  if (route == GpuRoute::kHybrid) yield_to_others();
  auto lane = std::make_unique<Lane>(*this, route);
  IE_CHECK(lane->open(*codec, route == GpuRoute::kHybrid ? options.threads : kEngineThreads));
  IE_CHECK(lane->warm_up());
  return lane;
}

Status Lanes::State::open_lanes(std::size_t engine_lanes) {
  std::vector<std::future<Result<std::unique_ptr<Lane>>>> opening;
  for (std::size_t i = 0; i <= engine_lanes; ++i)
    opening.push_back(start_on_device(
        [this, route = i < engine_lanes ? GpuRoute::kHardware : GpuRoute::kHybrid] { return open_lane(route); }));
  Status opened;
  for (std::size_t i = 0; i <= engine_lanes; ++i) {
    Result<std::unique_ptr<Lane>> lane = opening[i].get();
    if (lane)
      lanes.push_back(std::move(*lane));
    else if (i == engine_lanes)  // the others: a GPU without an engine, or with one that does not work
      opened = fail(lane.error());
  }
  has_engine = lanes.size() > 1;
  return opened;
}

Result<std::unique_ptr<Lanes>> Lanes::create(const LaneOptions& options) {
  std::unique_ptr<Lanes> lanes(new Lanes);
  State& state = *lanes->state_;
  state.options = options;
  std::size_t free = 0, total = 0;
  cudaError_t error = cudaSetDevice(options.device);
  if (error == cudaSuccess) error = cudaMemGetInfo(&free, &total);
  if (error != cudaSuccess)
    return fail(ErrorCode::kPermission, fmt::format("the GPU cannot be used: {}", cudaGetErrorString(error)));
  state.options.device_bytes = std::min(options.device_bytes, free / 2);
  const std::size_t engine_lanes = state.options.device_bytes >= kTwoEngineLanesBytes ? 2 : 1;
  std::future<Status> allocated =
      state.start_on_device([&state, engine_lanes] { return state.allocate(engine_lanes + 1); });
  Result<std::unique_ptr<Codec>> codec = Codec::create(options.folders);
  IE_CHECK(allocated.get());
  IE_TRY(state.codec, std::move(codec));
  IE_CHECK(state.open_lanes(engine_lanes));
  state.waiting = std::make_unique<WaitingPictures>(state.has_engine, engine_lanes * kBatch);
  return lanes;
}

namespace {

// A picture with detail in every block.
Result<std::vector<std::byte>> coded_sample(std::uint32_t width, std::uint32_t height, bool progressive) {
  std::vector<std::uint8_t> rgb(std::size_t{width} * height * 3);
  std::uint32_t random = 1;
  for (std::uint8_t& level : rgb) level = static_cast<std::uint8_t>((random = random * 1664525 + 1013904223) >> 24);
  return media::encode_jpeg({width, height, rgb}, 90, progressive);
}

}  // namespace

Status Lanes::Lane::warm_up() {
  for (const bool progressive : {false, true}) {
    if (progressive && route_ == GpuRoute::kHardware) continue;
    for (const std::uint32_t width : {320U, 1600U}) {
      IE_TRY(const std::vector<std::byte> jpeg, coded_sample(width, width * 3 / 4, progressive));
      IE_CHECK(try_one(jpeg));
    }
  }
  return {};
}

void Lanes::start(Answers& answers) {
  state_->answers = &answers;
  state_->finishers = std::make_unique<TaskThreads>(std::max(2, state_->options.threads / 2));
  for (const auto& lane : state_->lanes)
    std::thread([lane = lane.get(), state = state_.get()] {
      cudaSetDevice(state->options.device);
      for (;;) lane->work(state->waiting->take(lane->route(), kBatch));
    }).detach();
}

void Lanes::push(JobPointer job) {
  // No gap is ever large enough for it.
  if (std::size_t{job->jpeg.width} * job->jpeg.height * 3 > state_->pictures->size() / 2)
    state_->answer_none(*job);
  else
    state_->waiting->push(std::move(job));
}

std::optional<MemoryArena::Part> Lanes::take_input(std::size_t bytes) {
  constexpr std::size_t kMostBytes = std::size_t{64} << 20;
  // A file that needs a large part of it would wait for long among small ones.
  if (bytes > std::min(kMostBytes, state_->inputs->size() / 4)) return std::nullopt;
  return state_->inputs->take(bytes);
}

Result<ExportedAreas> Lanes::make_areas(const GpuInputs& inputs) {
  ExportedAreas areas;
  IE_TRY(areas.layout, ModelInputs::lay_out(inputs, state_->exported.bytes));
  areas.handle = std::move(state_->exported.handle);
  state_->model_inputs = std::make_unique<ModelInputs>(inputs, areas.layout, state_->exported.data);
  return areas;
}

bool Lanes::has_engine() const { return state_->has_engine; }

}  // namespace image_engine::worker
