// Whether photos are decoded on GPUs in this run, and by what.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <string>

#include "core/config.h"
#include "core/result.h"
#include "gpu/cuda.h"
#include "pipeline/stages.h"
#include "worker/gpu_decoders.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

struct GpuDecoding {
  std::unique_ptr<worker::GpuDecoders> decoders;  // null: the CPU decodes
  std::string reason;                             // why it does although a GPU is here; may be empty
};

// Lets the decoders make the inputs of those stages that offer it and run on all their GPUs. Their numbers, for
// GpuPicture::input().
using InputNumbers = std::map<const PictureStage*, std::uint32_t>;
InputNumbers make_inputs_on_gpus(std::span<const PictureStage> stages, worker::GpuDecoders& decoders);

// inference.gpu_decoders; where that is 0, as many as were measured to be fastest on that kind of GPU, with that many
// threads of the CPU.
int decoders_on(const Config& config, const gpu::CudaDevice& gpu, int workers);

// Starts decoders_on() decoders on each GPU that the run uses, which get ready while other work goes on, where
// the configuration allows it and there is a GPU. They share the CPU's threads, and the lanes in which their work is
// recorded (gpu/lanes.h) are named after their GPUs. With inference.gpu_decode: on, an error where there is none:
// kNotFound, kMachine.
Result<GpuDecoding> start_gpu_decoding(const Config& config, const worker::PoolOptions& pool);

// With inference.gpu_decode: on, waits until the decoders are ready or have failed, or a stop is requested. An error
// where none can start; null: none was asked for.
Status wait_if_demanded(const Config& config, worker::GpuDecoders* decoders, const std::stop_token& stop);

}  // namespace image_engine::pipeline
