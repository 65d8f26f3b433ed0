#include "pipeline/gpu_decoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <string_view>
#include <vector>

#include "core/log.h"
#include "gpu/cuda.h"
#include "gpu/lanes.h"
#include "infer/choose_device.h"
#include "infer/session.h"

namespace image_engine::pipeline {
namespace {

// Of the largest picture that a stage asks for: detectors of 1,024 × 1,024 take twice their edge. Memory is only used
// for what is asked for.
constexpr std::uint32_t kMostEdge = 2048;
// The engine's batch of 49 photos of 12 MP, those that the CUDA decoders have, and what is on its way back.
constexpr std::uint64_t kMostMemory = std::uint64_t{12} << 30;

// Page-locked memory for files, of all decoders on one GPU.
constexpr std::uint64_t kPinnedMemory = std::uint64_t{768} << 20;

// Of one GPU; models, their libraries and the desktop need the rest.
std::uint64_t memory_for_pictures(const Config& config, std::uint64_t gpu_bytes) {
  if (config.inference.gpu_memory_mb > 0) return static_cast<std::uint64_t>(config.inference.gpu_memory_mb) << 20;
  return std::min(kMostMemory, gpu_bytes * 2 / 5);
}

// Those on which models run, of the same kind. With inference.device: cpu the first.
Result<std::vector<gpu::CudaDevice>> chosen_gpus(const Config& config) {
  const std::string& device = config.inference.device;
  IE_TRY(const std::vector<gpu::CudaDevice> devices, gpu::cuda_devices());
  std::vector<int> numbers{0};
  if (device != "cpu") {
    IE_TRY(numbers, infer::gpus_for(device));
  }
  std::vector<gpu::CudaDevice> chosen;
  for (const int number : numbers) {
    const auto found = std::ranges::find(devices, number, &gpu::CudaDevice::index);
    if (found == devices.end()) return fail(ErrorCode::kNotFound, "there is no such GPU");
    chosen.push_back(*found);
  }
  return chosen;
}

// Of one of `decoders`; `number` counts those on its GPU, from 1 to `sharers`.
worker::GpuDecoderOptions options_of(const Config& config, const worker::PoolOptions& pool, const gpu::CudaDevice& gpu,
                                     int number, int sharers, int decoders) {
  worker::GpuDecoderOptions options;
  options.folders = gpu::library_folders();
  options.device = gpu.index;
  options.sharers = sharers;
  options.device_bytes = memory_for_pictures(config, gpu.memory_bytes) / static_cast<std::uint64_t>(options.sharers);
  options.pinned_bytes = kPinnedMemory / static_cast<std::uint64_t>(sharers);
  // Of 16 cores, 10 and 8 were the fastest on one H200: with more readers, the decoders of both kinds lose more.
  options.threads = std::max(2, pool.workers * 5 / 8 / decoders);
  options.readers = std::max(2, pool.workers / 2 / decoders);
  options.slots = static_cast<std::uint32_t>(std::clamp(pool.workers * 32 / decoders, 64, 512));
  options.max_edge = kMostEdge;
  options.thumbnail_edge = static_cast<std::uint32_t>(config.thumbnails.size);
  options.max_pixels = pool.memory_limit / 3;
  options.timeout = pool.timeout;
  options.require_sandbox = pool.require_sandbox;
  options.on_answer = [lane = fmt::format("cuda:{} decoder #{}", gpu.index, number)](auto worked_from) {
    gpu::record_lane(lane, gpu::LaneWork::kBusy, worked_from);
  };
  return options;
}

Result<std::unique_ptr<worker::GpuDecoders>> start(const Config& config, const worker::PoolOptions& pool,
                                                   const std::vector<gpu::CudaDevice>& gpus) {
  const int on_each = decoders_on(config, gpus.front(), pool.workers);  // all are of one kind
  std::vector<worker::GpuDecoderOptions> options;
  for (int number = 1; number <= on_each; ++number)
    for (const gpu::CudaDevice& gpu : gpus)
      options.push_back(options_of(config, pool, gpu, number, on_each, on_each * static_cast<int>(gpus.size())));
  return worker::GpuDecoders::create(std::move(options));
}

}  // namespace

int decoders_on(const Config& config, const gpu::CudaDevice& gpu, int workers) {
  if (config.inference.gpu_decoders > 0) return static_cast<int>(config.inference.gpu_decoders);
  // Two keep Hopper's JPEG engine busier than one: 1,172 photos/s beside 1,052 on an H200 with 16 cores. Each needs
  // memory for batches of 49 photos, and threads.
  constexpr int kHopper = 9, kLeastWorkers = 8;
  const bool has_room = memory_for_pictures(config, gpu.memory_bytes) >= kMostMemory && workers >= kLeastWorkers;
  return gpu.major == kHopper && has_room ? 2 : 1;
}

Result<GpuDecoding> start_gpu_decoding(const Config& config, const worker::PoolOptions& pool) {
  GpuDecoding decoding;
  const bool is_demanded = config.inference.gpu_decode == "on";
  if (config.inference.gpu_decode == "off" || (config.inference.device == "cpu" && !is_demanded)) return decoding;
  const Result<std::vector<gpu::CudaDevice>> gpus = chosen_gpus(config);
  if (!gpus && !is_demanded) return decoding;  // nothing is amiss on a machine without a GPU
  Result<std::unique_ptr<worker::GpuDecoders>> decoders =
      gpus ? start(config, pool, *gpus) : Result<std::unique_ptr<worker::GpuDecoders>>(fail(gpus.error()));
  if (decoders)
    decoding.decoders = std::move(*decoders);
  else if (is_demanded)
    return fail(decoders.error().code, "inference.gpu_decode is on: " + decoders.error().message);
  else
    decoding.reason = decoders.error().message;
  return decoding;
}

namespace {

// For the decoder's thread. null: the driver refuses it, and the CPU makes the inputs.
std::shared_ptr<const std::byte> map_memory(int device, const UniqueFd& handle, std::uint64_t bytes) {
  const auto quiet = infer::no_recording();
  Result<std::shared_ptr<gpu::SharedMemory>> memory = gpu::SharedMemory::import(device, handle, bytes);
  if (memory) return {*memory, (*memory)->data()};
  log_warning("models' inputs are made on the CPU: {}", memory.error().message);
  return nullptr;
}

// `device`: that of a stage, "cuda:0" or "cuda:0+cuda:1".
bool runs_on(std::string_view device, int gpu) {
  return std::ranges::any_of(std::views::split(device, '+'), [&](const auto& part) {
    return std::string_view(part.begin(), part.end()) == fmt::format("cuda:{}", gpu);
  });
}

}  // namespace

InputNumbers make_inputs_on_gpus(std::span<const PictureStage> stages, worker::GpuDecoders& decoders) {
  const auto runs_where_they_are = [&](const PictureStage& stage) {
    return std::ranges::all_of(decoders.each(), [&](const auto& one) { return runs_on(stage.device, one->device()); });
  };
  InputNumbers numbers;
  std::vector<worker::GpuInput> inputs;
  for (const PictureStage& stage : stages) {
    if (!stage.gpu_input || inputs.size() == worker::kMostInputs || !runs_where_they_are(stage)) continue;
    numbers[&stage] = static_cast<std::uint32_t>(inputs.size());
    inputs.push_back(*stage.gpu_input);
  }
  if (!inputs.empty() && !decoders.make_inputs(inputs, map_memory)) numbers.clear();
  return numbers;
}

Status wait_if_demanded(const Config& config, worker::GpuDecoders* decoders, const std::stop_token& stop) {
  if (decoders == nullptr || config.inference.gpu_decode != "on") return {};
  const Status ready = decoders->wait_until_ready(stop, true);
  if (ready || ready.error().code == ErrorCode::kInterrupted) return {};
  return fail(ready.error().code, "inference.gpu_decode is on: " + ready.error().message);
}

}  // namespace image_engine::pipeline
