// The GPU worker's decoders, on the CPU. What it does wrong its program's name says; pictures of 13 pixels' width are
// the ones to do it at.
#include <errno.h>  // NOLINT: program_invocation_short_name
#include <sys/mman.h>
#include <turbojpeg.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>
#include <string_view>
#include <thread>

#include "worker/gpu_process/lanes.h"
#include "worker/gpu_process/results.h"

namespace image_engine::worker {
namespace {

bool is_named(std::string_view manner) { return program_invocation_short_name == manner; }

bool decode(std::span<const std::byte> jpeg, const RoutedJpeg& routed, std::byte* rgb) {
  struct Destroy {
    void operator()(void* handle) const { tjDestroy(handle); }
  };
  const std::unique_ptr<void, Destroy> handle(tjInitDecompress());
  return tjDecompress2(handle.get(), reinterpret_cast<const unsigned char*>(jpeg.data()), jpeg.size(),
                       reinterpret_cast<unsigned char*>(rgb), static_cast<int>(routed.width), 0,
                       static_cast<int>(routed.height), TJPF_RGB, TJFLAG_ACCURATEDCT) == 0;
}

}  // namespace

Result<std::byte*> allocate(MemoryKind /*kind*/, std::size_t bytes) {
  return static_cast<std::byte*>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096));
}
Result<ExportedMemory> allocate_exported(int /*device*/, std::size_t bytes) {
  ExportedMemory memory{nullptr, UniqueFd(::memfd_create("areas", MFD_CLOEXEC)), bytes};
  if (::ftruncate(memory.handle.get(), static_cast<off_t>(bytes)) != 0) return fail(ErrorCode::kOutOfMemory, "full");
  void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.handle.get(), 0);
  memory.data = static_cast<std::byte*>(mapped);
  return memory;
}
void deallocate(MemoryKind /*kind*/, std::byte* memory) { std::free(memory); }

struct Lanes::State {
  std::unique_ptr<MemoryArena> pictures, inputs;
  std::unique_ptr<TaskThreads> threads;
  ExportedMemory exported;
  std::unique_ptr<ModelInputs> model_inputs;
  Answers* answers = nullptr;

  // The engine uses slots and areas again once it has read them, which orders the threads here. ThreadSanitizer sees no
  // other process: this tells it.
  std::mutex order;

  void work(Job& job) {
    order.lock(), order.unlock();
    if (job.jpeg.width == 13) misbehave(job);
    job.rgb = std::move(*pictures->take(std::size_t{job.jpeg.width} * job.jpeg.height * 3));
    const auto now = [] { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); };
    const std::int64_t from = now();
    const bool is_good = decode({job.input.data(), job.input.size()}, job.jpeg, job.rgb.data()) && reply(job);
    const GpuRoute route = job.jpeg.for_engine ? GpuRoute::kHardware : GpuRoute::kHybrid;
    if (job.jpeg.for_engine) job.engine = {from, now()};
    const std::lock_guard lock(order);
    answers->send(job, is_good ? route : GpuRoute::kNone);
  }
  [[nodiscard]] bool reply(Job& job) const {
    const Results results = lay_out(job, 0);
    std::vector<std::byte> memory(results.end);
    BatchTasks tasks;
    add_tasks(job, results, memory.data(), model_inputs.get(), tasks);
    return gpu::resample_on_host(tasks.reduce) && gpu::resample_on_host(tasks.shrink) &&
           gpu::condense_on_host(tasks.condense) &&
           fill_reply(job, results, memory.data(), answers->slot(job.request.slot));
  }
  static void misbehave(Job& job) {
    if (is_named("crash")) std::abort();
    while (is_named("hang")) std::this_thread::sleep_for(std::chrono::hours(1));
    if (is_named("liar")) job.request.request.number += 1;
  }
};

Lanes::Lanes() : state_(std::make_unique<State>()) {}
Lanes::~Lanes() = default;

Result<std::unique_ptr<Lanes>> Lanes::create(const LaneOptions& options) {
  if (is_named("stillborn")) return fail(ErrorCode::kNotFound, "nothing here: make setup GPU=1 brings it");
  std::unique_ptr<Lanes> lanes(new Lanes);
  IE_TRY(lanes->state_->exported, allocate_exported(0, std::size_t{1} << 20));
  IE_TRY(lanes->state_->pictures, MemoryArena::create(MemoryKind::kDevice, options.device_bytes));
  IE_TRY(lanes->state_->inputs, MemoryArena::create(MemoryKind::kPinned, options.pinned_bytes));
  return lanes;
}
void Lanes::start(Answers& answers) {
  state_->answers = &answers;
  state_->threads = std::make_unique<TaskThreads>(2);
}
void Lanes::push(JobPointer job) {
  state_->threads->add([this, shared = std::make_shared<JobPointer>(std::move(job))] { state_->work(**shared); });
}
std::optional<MemoryArena::Part> Lanes::take_input(std::size_t bytes) { return state_->inputs->take(bytes); }
Result<ExportedAreas> Lanes::make_areas(const GpuInputs& inputs) {
  ExportedAreas areas;
  IE_TRY(areas.layout, ModelInputs::lay_out(inputs, state_->exported.bytes));
  areas.handle = std::move(state_->exported.handle);
  state_->model_inputs = std::make_unique<ModelInputs>(inputs, areas.layout, state_->exported.data);
  return areas;
}
bool Lanes::has_engine() const { return true; }

}  // namespace image_engine::worker
