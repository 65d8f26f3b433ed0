#include "infer/gpu_rows.h"

#include <algorithm>
#include <cstring>

#include "gpu/cuda.h"
#include "infer/session.h"

namespace image_engine::infer {
namespace {

Status copy_rows(const Tensor& input, const gpu::Stream& stream, Tensor& copy) {
  const std::size_t row = copy.data.size() / input.gpu_rows.size();
  std::size_t host = 0;
  for (std::size_t i = 0; i < input.gpu_rows.size(); ++i) {
    std::byte* const to = copy.data.data() + i * row;
    if (const GpuRow& on_gpu = input.gpu_rows[i])
      IE_CHECK(gpu::copy_to_host(to, on_gpu.get(), row, stream));
    else
      std::memcpy(to, input.data.data() + host++ * row, row);
  }
  return stream.wait();
}

}  // namespace

bool has_gpu_rows(std::span<const Tensor> inputs) {
  return std::ranges::any_of(inputs, [](const Tensor& input) { return !input.gpu_rows.empty(); });
}

Result<std::vector<Tensor>> on_host(std::span<const Tensor> inputs, int device) {
  std::vector<Tensor> copies;
  const auto copied = [&]() -> Status {
    const auto quiet = no_recording();
    IE_TRY(const gpu::Stream stream, gpu::Stream::create(device));
    for (const Tensor& input : inputs) {
      if (input.gpu_rows.empty()) {
        copies.push_back(input);
        continue;
      }
      Tensor& copy = copies.emplace_back(Tensor::zeros(input.type, input.shape));
      IE_CHECK(copy_rows(input, stream, copy));
    }
    return {};
  };
  if (const Status done = copied(); !done)
    return fail(ErrorCode::kKilled, "its input was lost with the GPU: " + done.error().message);
  return copies;
}

}  // namespace image_engine::infer
