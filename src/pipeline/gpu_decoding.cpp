#include "pipeline/gpu_decoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

#include "core/log.h"
#include "gpu/cuda.h"
#include "infer/session.h"

namespace image_engine::pipeline {
namespace {

// Of the largest picture that a stage asks for: detectors of 1,024 × 1,024 take twice their edge. Memory is only used
// for what is asked for.
constexpr std::uint32_t kMostEdge = 2048;
// The engine's batch of 49 photos of 12 MP, those that the CUDA decoders have, and what is on its way back.
constexpr std::uint64_t kMostMemory = std::uint64_t{12} << 30;

// The GPU of inference.device; none where models are to run on the CPU.
std::optional<int> chosen_gpu(const std::string& device) {
  constexpr std::string_view kNumbered = "cuda:";
  if (device == "cpu") return std::nullopt;
  int number = 0;
  if (device.starts_with(kNumbered))
    std::from_chars(device.data() + kNumbered.size(), device.data() + device.size(), number);
  return number;
}

// Models, their libraries and the desktop need the rest.
std::uint64_t memory_for_pictures(const Config& config, std::uint64_t gpu_bytes) {
  if (config.inference.gpu_memory_mb > 0) return static_cast<std::uint64_t>(config.inference.gpu_memory_mb) << 20;
  return std::min(kMostMemory, gpu_bytes * 2 / 5);
}

Result<gpu::CudaDevice> find_gpu(int number) {
  IE_TRY(const std::vector<gpu::CudaDevice> devices, gpu::cuda_devices());
  const auto found = std::ranges::find(devices, number, &gpu::CudaDevice::index);
  if (found == devices.end()) return fail(ErrorCode::kNotFound, "there is no such GPU");
  return *found;
}

Result<std::unique_ptr<worker::GpuDecoder>> start(const Config& config, const worker::PoolOptions& pool,
                                                  const gpu::CudaDevice& gpu) {
  worker::GpuDecoderOptions options;
  options.folders = gpu::library_folders();
  options.device = gpu.index;
  options.device_bytes = memory_for_pictures(config, gpu.memory_bytes);
  options.pinned_bytes = std::uint64_t{640} << 20;
  // Of 16 cores, 10 and 8 were the fastest (an H200): with more readers, the decoders of both kinds lose more.
  options.threads = std::max(2, pool.workers * 5 / 8);
  options.readers = std::max(2, pool.workers / 2);
  options.slots = static_cast<std::uint32_t>(std::clamp(pool.workers * 32, 64, 512));
  options.max_edge = kMostEdge;
  options.thumbnail_edge = static_cast<std::uint32_t>(config.thumbnails.size);
  options.max_pixels = pool.memory_limit / 3;
  options.timeout = pool.timeout;
  options.require_sandbox = pool.require_sandbox;
  return worker::GpuDecoder::create(std::move(options));
}

}  // namespace

Result<GpuDecoding> start_gpu_decoding(const Config& config, const worker::PoolOptions& pool) {
  GpuDecoding decoding;
  const bool is_demanded = config.inference.gpu_decode == "on";
  const std::optional<int> number = chosen_gpu(config.inference.device);
  if (config.inference.gpu_decode == "off" || (!number && !is_demanded)) return decoding;
  const Result<gpu::CudaDevice> gpu = find_gpu(number.value_or(0));
  if (!gpu && !is_demanded) return decoding;  // nothing is amiss on a machine without a GPU
  Result<std::unique_ptr<worker::GpuDecoder>> decoder =
      gpu ? start(config, pool, *gpu) : Result<std::unique_ptr<worker::GpuDecoder>>(fail(gpu.error()));
  if (decoder)
    decoding.decoder = std::move(*decoder);
  else if (is_demanded)
    return fail(decoder.error().code, "inference.gpu_decode is on: " + decoder.error().message);
  else
    decoding.reason = decoder.error().message;
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

}  // namespace

InputNumbers make_inputs_on_gpu(const Config& config, std::span<const PictureStage> stages,
                                worker::GpuDecoder& decoder) {
  const int device = chosen_gpu(config.inference.device).value_or(0);
  InputNumbers numbers;
  std::vector<worker::GpuInput> inputs;
  for (const PictureStage& stage : stages) {
    if (!stage.gpu_input || stage.device != fmt::format("cuda:{}", device) || inputs.size() == worker::kMostInputs)
      continue;
    numbers[&stage] = static_cast<std::uint32_t>(inputs.size());
    inputs.push_back(*stage.gpu_input);
  }
  if (inputs.empty()) return numbers;
  const auto map = [device](const UniqueFd& handle, std::uint64_t bytes) { return map_memory(device, handle, bytes); };
  if (!decoder.make_inputs(inputs, map)) numbers.clear();
  return numbers;
}

Status wait_if_demanded(const Config& config, worker::GpuDecoder* decoder, const std::stop_token& stop) {
  if (decoder == nullptr || config.inference.gpu_decode != "on") return {};
  const Status ready = decoder->wait_until_ready(stop, true);
  if (ready || ready.error().code == ErrorCode::kInterrupted) return {};
  return fail(ready.error().code, "inference.gpu_decode is on: " + ready.error().message);
}

}  // namespace image_engine::pipeline
