// Whether photos are decoded on a GPU in this run, and by what.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <string>

#include "core/config.h"
#include "core/result.h"
#include "pipeline/stages.h"
#include "worker/gpu_decoder.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

struct GpuDecoding {
  std::unique_ptr<worker::GpuDecoder> decoder;  // null: the CPU decodes
  std::string reason;                           // why it does although a GPU is here; may be empty
};

// Lets the decoder make the inputs of those stages that offer it and run on its GPU. Their numbers, for
// GpuPicture::input().
using InputNumbers = std::map<const PictureStage*, std::uint32_t>;
InputNumbers make_inputs_on_gpu(const Config& config, std::span<const PictureStage> stages,
                                worker::GpuDecoder& decoder);

// Starts the GPU's decoder, which gets ready while other work goes on, where the configuration allows it and there is a
// GPU. With inference.gpu_decode: on, an error where there is none: kNotFound, kMachine.
Result<GpuDecoding> start_gpu_decoding(const Config& config, const worker::PoolOptions& pool);

// With inference.gpu_decode: on, waits until the decoder is ready or a stop is requested. Its error where it cannot
// start; null: none was asked for.
Status wait_if_demanded(const Config& config, worker::GpuDecoder* decoder, const std::stop_token& stop);

}  // namespace image_engine::pipeline
