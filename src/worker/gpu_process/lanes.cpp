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

// Pictures that the JPEG engine gets at once, rounded up to a multiple of what it decodes at once: one batch after the
// other of 49 gives 1,053 photos of 12 MP and 2.95 MB a second on an H200 (bytes in memory), 128 no more, and two
// batches at once 912, as they share the engine.
constexpr std::size_t kEngineBatch = 48;
constexpr std::size_t kReducedAtOnce = 48;  // pictures whose results are made in one go
constexpr std::size_t kShareOfInputs = 4;   // one in so many bytes of the GPU's memory is for models' inputs
constexpr std::size_t kScratchBytes = std::size_t{160} << 20;  // resample()'s need for pictures of 12 MP, and more
// Reduced pictures and sums, on the GPU and page-locked: of 100 photos of 12 MP.
constexpr std::size_t kMostOutputBytes = std::size_t{384} << 20;

Status cuda(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return {};
  return fail(ErrorCode::kInternal, fmt::format("{}: {}", what, cudaGetErrorString(error)));
}

// After an error of CUDA all calls fail: the engine leaves the pictures in work to the CPU, and starts the process
// again.
[[noreturn]] void end_the_process() { ::_exit(3); }

// Makes this thread give way to others. A photo costs CUDA's decoder 20 ms of a core and the engine's 0.7: on a busy
// CPU the engine is to be fed first.
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
  std::vector<JobPointer> jobs;
  std::vector<Results> results;
  MemoryArena::Part device, host;
  std::optional<Event> done;
};

std::size_t rgb_bytes(const Job& job) { return std::size_t{job.jpeg.width} * job.jpeg.height * 3; }

CodedPicture coded(const Job& job) {
  return {{job.input.data(), job.input.size()},
          job.jpeg.header_bytes,
          job.jpeg.width,
          job.jpeg.height,
          reinterpret_cast<std::uint8_t*>(job.rgb.data())};
}

}  // namespace

// Makes the results of decoded pictures; one thread at a time.
class Reducer {
 public:
  static Result<std::unique_ptr<Reducer>> create(MemoryArena& outputs, MemoryArena& staging);
  // Queues what makes the results of the first of these jobs, at least of one, and takes them out of `jobs`; the inputs
  // of models if `inputs` is not null. Waits for memory. kTooLarge, kInternal: `jobs` is as it was.
  Result<std::shared_ptr<Batch>> reduce(std::vector<JobPointer>& jobs, const ModelInputs* inputs);

 private:
  Reducer(MemoryArena& outputs, MemoryArena& staging) : outputs_(outputs), staging_(staging) {}
  Status queue_kernels(Batch& batch, const ModelInputs* inputs);

  MemoryArena &outputs_, &staging_;
  cudaStream_t stream_ = nullptr;
  MemoryArena::Part scratch_;
};

struct Lanes::State {
  LaneOptions options;
  std::unique_ptr<Codec> codec;
  std::unique_ptr<MemoryArena> pictures, outputs, inputs, staging;
  std::unique_ptr<EngineDecoder> engine;  // null: there is none
  std::vector<std::unique_ptr<CudaDecoder>> cuda_decoders;
  std::unique_ptr<Reducer> reducer;
  ExportedMemory exported;                    // for models' inputs; null: there is none
  std::unique_ptr<ModelInputs> model_inputs;  // null: none are asked for
  std::unique_ptr<WaitingPictures> waiting;
  DecodedPictures decoded;
  std::unique_ptr<TaskThreads> finishers;
  Answers* answers = nullptr;

  Status allocate();
  Status open_engine();
  Status open_cuda_decoders();
  template <typename Decode>
  Status warm_up(bool progressive, const Decode& decode);
  template <typename Work>
  [[nodiscard]] std::future<std::invoke_result_t<Work>> start_on_device(Work work) const;
  template <typename Work>
  void run_on_device(Work work) const;
  bool take_memory(Job& job, bool waits);
  void feed_engine();
  void feed(CudaDecoder& decoder);
  void reduce_decoded();
  void answer_none(const Job& job) { answers->send(job, GpuRoute::kNone); }
  void finish(Batch& batch);
};

Result<std::unique_ptr<Reducer>> Reducer::create(MemoryArena& outputs, MemoryArena& staging) {
  std::unique_ptr<Reducer> reducer(new Reducer(outputs, staging));
  IE_CHECK(cuda(cudaStreamCreateWithFlags(&reducer->stream_, cudaStreamNonBlocking), "no CUDA stream"));
  std::optional<MemoryArena::Part> scratch = outputs.try_take(kScratchBytes);
  if (!scratch) return fail(ErrorCode::kOutOfMemory, "no GPU memory to reduce pictures");
  reducer->scratch_ = std::move(*scratch);
  return reducer;
}

Status Reducer::queue_kernels(Batch& batch, const ModelInputs* inputs) {
  BatchTasks tasks;
  std::byte* device = batch.device.data();
  for (std::size_t i = 0; i < batch.jobs.size(); ++i)
    add_tasks(*batch.jobs[i], batch.results[i], device, inputs, tasks);
  const gpu::Scratch scratch{scratch_.data(), scratch_.size()};
  IE_CHECK(gpu::resample(tasks.reduce, scratch, stream_));
  if (!tasks.shrink.empty()) IE_CHECK(gpu::resample(tasks.shrink, scratch, stream_));
  if (!tasks.condense.empty()) IE_CHECK(gpu::condense(tasks.condense, scratch, stream_));
  IE_CHECK(cuda(cudaMemcpyAsync(batch.host.data(), device, batch.device.size(), cudaMemcpyDeviceToHost, stream_),
                "CUDA could not copy"));
  return batch.done->record(stream_);
}

Result<std::shared_ptr<Batch>> Reducer::reduce(std::vector<JobPointer>& jobs, const ModelInputs* inputs) {
  auto batch = std::make_shared<Batch>();
  IE_TRY(batch->done, Event::create());
  std::size_t bytes = 0;
  for (const JobPointer& job : jobs) {
    const Results results = lay_out(*job, bytes);
    if (!batch->results.empty() && (batch->results.size() == kReducedAtOnce || results.end > staging_.size() / 2))
      break;
    batch->results.push_back(results);
    bytes = results.end;
  }
  std::optional<MemoryArena::Part> device = outputs_.take(bytes), host = staging_.take(bytes);
  if (!device || !host) return fail(ErrorCode::kTooLarge, "the reduced pictures do not fit");
  batch->device = std::move(*device);
  batch->host = std::move(*host);
  const auto end = jobs.begin() + static_cast<std::ptrdiff_t>(batch->results.size());
  batch->jobs.assign(std::make_move_iterator(jobs.begin()), std::make_move_iterator(end));
  if (Status queued = queue_kernels(*batch, inputs); !queued) {
    cudaStreamSynchronize(stream_);
    std::ranges::move(batch->jobs, jobs.begin());
    return fail(queued.error());
  }
  jobs.erase(jobs.begin(), end);
  return batch;
}

// For its pixels. False: there is none for now.
bool Lanes::State::take_memory(Job& job, bool waits) {
  std::optional<MemoryArena::Part> part = waits ? pictures->take(rgb_bytes(job)) : pictures->try_take(rgb_bytes(job));
  if (part) job.rgb = std::move(*part);
  return part.has_value();
}

// One batch, of as many pictures as there is memory for.
void Lanes::State::feed_engine() {
  std::vector<JobPointer> jobs = waiting->take_for_engine(engine->most());
  std::size_t with_memory = 0;
  while (with_memory < jobs.size() && take_memory(*jobs[with_memory], with_memory == 0)) ++with_memory;
  for (; jobs.size() > with_memory; jobs.pop_back()) waiting->put_back(std::move(jobs.back()));
  std::vector<CodedPicture> pictures_of_batch;
  for (const JobPointer& job : jobs) pictures_of_batch.push_back(coded(*job));
  const Result<std::vector<bool>> is_there = engine->decode(pictures_of_batch);
  if (!is_there) end_the_process();
  std::vector<JobPointer> done;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    JobPointer& job = jobs[i];
    if ((*is_there)[i]) {
      job->input = {};
      job->route = GpuRoute::kHardware;
      done.push_back(std::move(job));
    } else {
      job->rgb = {};
      job->jpeg.for_engine = false;
      waiting->push(std::move(job));
    }
  }
  decoded.push(std::move(done));
}

void Lanes::State::feed(CudaDecoder& decoder) {
  JobPointer job = waiting->take_for_cuda();
  if (!take_memory(*job, true)) return answer_none(*job);
  const Result<bool> is_there = decoder.decode(coded(*job));
  if (!is_there) end_the_process();
  if (!*is_there) return answer_none(*job);
  job->input = {};
  job->route = GpuRoute::kHybrid;
  std::vector<JobPointer> done;
  done.push_back(std::move(job));
  decoded.push(std::move(done));
}

void Lanes::State::reduce_decoded() {
  std::vector<JobPointer> jobs = decoded.take();
  while (!jobs.empty()) {
    Result<std::shared_ptr<Batch>> batch = reducer->reduce(jobs, model_inputs.get());
    if (batch) {
      finishers->add([this, batch = *batch] { finish(*batch); });
      continue;
    }
    for (const JobPointer& job : jobs) answer_none(*job);
    jobs.clear();
  }
}

void Lanes::State::finish(Batch& batch) {
  if (!batch.done->wait()) end_the_process();
  for (const JobPointer& job : batch.jobs) job->rgb = {};
  for (std::size_t i = 0; i < batch.jobs.size(); ++i) {
    Job& job = *batch.jobs[i];
    const Status filled = fill_reply(job, batch.results[i], batch.host.data(), answers->slot(job.request.slot));
    answers->send(job, filled ? job.route : GpuRoute::kNone);
  }
}

Lanes::Lanes() : state_(std::make_unique<State>()) {}
Lanes::~Lanes() = default;

// All memory now: exporting may open a device, and in the sandbox none can be opened.
Status Lanes::State::allocate() {
  const std::size_t output = std::min(kMostOutputBytes, options.device_bytes / 8);
  if (options.device_bytes < 2 * (output + kScratchBytes))
    return fail(
        ErrorCode::kOutOfMemory,
        fmt::format("decoding on the GPU needs {} of its memory and may use {} (of half of what is free, and of "
                    "inference.gpu_memory_mb)",
                    human_bytes(2 * (output + kScratchBytes)), human_bytes(options.device_bytes)));
  IE_TRY(outputs, MemoryArena::create(MemoryKind::kDevice, output + kScratchBytes));
  const std::size_t rest = options.device_bytes - output - kScratchBytes, for_inputs = rest / kShareOfInputs;
  IE_TRY(pictures, MemoryArena::create(MemoryKind::kDevice, rest - for_inputs));
  // Without it the engine makes the inputs.
  if (Result<ExportedMemory> memory = allocate_exported(options.device, for_inputs)) exported = std::move(*memory);
  IE_TRY(inputs, MemoryArena::create(MemoryKind::kPinned, options.pinned_bytes));
  IE_TRY(staging, MemoryArena::create(MemoryKind::kPinned, output));
  IE_TRY(reducer, Reducer::create(*outputs, *staging));
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

// Likewise; it lasts until the process ends.
template <typename Work>
void Lanes::State::run_on_device(Work work) const {
  std::thread([device = options.device, work = std::move(work)] {
    cudaSetDevice(device);
    work();
  }).detach();
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

// Decodes pictures of our own, so that all that a library opens at its first picture is open. `decode` says whether a
// picture is there.
template <typename Decode>
Status Lanes::State::warm_up(bool progressive, const Decode& decode) {
  for (const std::uint32_t width : {320U, 1600U}) {
    IE_TRY(const std::vector<std::byte> jpeg, coded_sample(width, width * 3 / 4, progressive));
    std::optional<MemoryArena::Part> input = inputs->take(jpeg.size());
    std::optional<MemoryArena::Part> rgb = pictures->take(std::size_t{width} * (width * 3 / 4) * 3);
    if (!input || !rgb) return fail(ErrorCode::kOutOfMemory, "no memory for a picture to try");
    std::ranges::copy(jpeg, input->data());
    const std::optional<RoutedJpeg> routed = route_jpeg({input->data(), input->size()});
    if (!routed) return fail(ErrorCode::kInternal, "the picture to try is not taken");
    const CodedPicture picture{{input->data(), input->size()},
                               routed->header_bytes,
                               width,
                               width * 3 / 4,
                               reinterpret_cast<std::uint8_t*>(rgb->data())};
    IE_TRY(const bool is_there, decode(picture));
    if (!is_there) return fail(ErrorCode::kInternal, "the decoder does not decode");
  }
  return {};
}

Status Lanes::State::open_engine() {
  const std::size_t width = codec->engine_width();
  if (width == 0) return {};
  const std::size_t batch = (kEngineBatch + width - 1) / width * width;
  IE_TRY(engine, EngineDecoder::create(*codec, batch));
  return warm_up(false, [&](const CodedPicture& picture) -> Result<bool> {
    IE_TRY(const std::vector<bool> is_there, engine->decode({&picture, 1}));
    return is_there[0];
  });
}

Status Lanes::State::open_cuda_decoders() {
  for (int i = 0; i < std::max(1, options.threads); ++i) {
    IE_TRY(std::unique_ptr<CudaDecoder> decoder, CudaDecoder::create(*codec));
    cuda_decoders.push_back(std::move(decoder));
  }
  for (const bool progressive : {false, true})
    IE_CHECK(warm_up(progressive, [&](const CodedPicture& picture) { return cuda_decoders[0]->decode(picture); }));
  return {};
}

Result<std::unique_ptr<Lanes>> Lanes::create(const LaneOptions& options) {
  std::unique_ptr<Lanes> lanes(new Lanes);
  State& state = *lanes->state_;
  state.options = options;
  std::size_t free = 0, total = 0;
  // Waiting threads leave their cores to others.
  cudaError_t error = cudaSetDevice(options.device);
  if (error == cudaSuccess) error = cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync);
  if (error == cudaSuccess) error = cudaMemGetInfo(&free, &total);
  if (error != cudaSuccess)
    return fail(ErrorCode::kPermission, fmt::format("the GPU cannot be used: {}", cudaGetErrorString(error)));
  state.options.device_bytes = std::min(options.device_bytes, free / 2 / options.sharers);
  std::future<Status> allocated = state.start_on_device([&state] { return state.allocate(); });
  Result<std::unique_ptr<Codec>> codec = Codec::create(options.folders);
  IE_CHECK(allocated.get());
  IE_TRY(state.codec, std::move(codec));
  std::future<Status> engine = state.start_on_device([&state] { return state.open_engine(); });
  const Status opened = state.open_cuda_decoders();
  // An engine that does not work is left out.
  if (!engine.get()) state.engine.reset();
  IE_CHECK(opened);
  state.waiting = std::make_unique<WaitingPictures>(state.engine ? state.engine->most() : 0);
  return lanes;
}

void Lanes::start(Answers& answers) {
  State& state = *state_;
  state.answers = &answers;
  state.finishers = std::make_unique<TaskThreads>(std::max(2, state.options.threads / 2));
  state.run_on_device([&state] {
    for (;;) state.reduce_decoded();
  });
  if (state.engine)
    state.run_on_device([&state] {
      for (;;) state.feed_engine();
    });
  for (const auto& decoder : state.cuda_decoders)
    state.run_on_device([&state, decoder = decoder.get()] {
      yield_to_others();
      for (;;) state.feed(*decoder);
    });
}

void Lanes::push(JobPointer job) {
  // No gap is ever large enough for it.
  if (rgb_bytes(*job) > state_->pictures->size() / 2)
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

bool Lanes::has_engine() const { return state_->engine != nullptr; }

}  // namespace image_engine::worker
