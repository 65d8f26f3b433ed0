#include "infer/gpu_rows.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "gpu/cuda.h"
#include "infer/session.h"

namespace image_engine::infer {
namespace {

// One for each GPU that copies.
class RowCopies {
 public:
  Status begin(std::byte* to, const GpuRow& row, std::size_t bytes) {
    auto found = streams_.find(row.device);
    if (found == streams_.end()) {
      IE_TRY(gpu::Stream stream, gpu::Stream::create(row.device));
      found = streams_.emplace(row.device, std::move(stream)).first;
    }
    return gpu::copy_to_host(to, row.address.get(), bytes, found->second);
  }
  Status wait() const {
    for (const auto& [device, stream] : streams_) IE_CHECK(stream.wait());
    return {};
  }

 private:
  std::map<int, gpu::Stream> streams_;
};

Result<Tensor> with_rows_on_host(const Tensor& input, std::optional<int> kept, RowCopies& copies) {
  Tensor made{input.type, input.shape, {}, input.gpu_rows};
  const auto is_kept = [&](const GpuRow& row) { return row && row.device == kept; };
  const std::size_t rows = input.gpu_rows.size(), bytes = input.count() * element_size(input.type) / rows;
  const auto staying = static_cast<std::size_t>(std::ranges::count_if(input.gpu_rows, is_kept));
  made.data.resize((rows - staying) * bytes);
  const std::byte* from = input.data.data();
  std::byte* to = made.data.data();
  for (GpuRow& row : made.gpu_rows) {
    if (is_kept(row)) continue;
    if (row) {
      IE_CHECK(copies.begin(to, row, bytes));
      row = {};
    } else {
      std::memcpy(to, from, bytes);
      from += bytes;
    }
    to += bytes;
  }
  if (staying == 0) made.gpu_rows.clear();
  return made;
}

}  // namespace

bool has_gpu_rows(std::span<const Tensor> inputs) {
  return std::ranges::any_of(inputs, [](const Tensor& input) { return !input.gpu_rows.empty(); });
}

bool has_rows_elsewhere(std::span<const Tensor> inputs, int device) {
  const auto is_elsewhere = [&](const GpuRow& row) { return row && row.device != device; };
  return std::ranges::any_of(inputs,
                             [&](const Tensor& input) { return std::ranges::any_of(input.gpu_rows, is_elsewhere); });
}

std::optional<int> home_of(std::span<const Tensor> inputs) {
  std::map<int, std::size_t> rows;
  for (const Tensor& input : inputs)
    for (const GpuRow& row : input.gpu_rows)
      if (row) ++rows[row.device];
  if (rows.empty()) return std::nullopt;
  return std::ranges::max_element(rows, {}, &std::pair<const int, std::size_t>::second)->first;
}

Result<std::vector<Tensor>> on_host(std::span<const Tensor> inputs, std::optional<int> kept) {
  std::vector<Tensor> all;
  const auto copied = [&]() -> Status {
    const auto quiet = no_recording();
    RowCopies copies;
    for (const Tensor& input : inputs) {
      if (input.gpu_rows.empty()) {
        all.push_back(input);
        continue;
      }
      IE_TRY(Tensor near, with_rows_on_host(input, kept, copies));
      all.push_back(std::move(near));
    }
    return copies.wait();
  };
  if (const Status done = copied(); !done)
    return fail(ErrorCode::kKilled, "its input was lost with the GPU: " + done.error().message);
  return all;
}

}  // namespace image_engine::infer
