#include "infer/tensorrt.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::infer {
namespace {

constexpr std::int64_t kLargestBatch = 4096;

struct PrecisionRow {
  std::string_view name;
  bool half, int8;
  std::string_view refusal;  // empty: it is built
};
// Int8 engines run in fp16 what is not quantised.
constexpr PrecisionRow kPrecisions[] = {
    {"fp32", false, false, {}},
    {"fp16", true, false, {}},
    {"int8", true, true, {}},
    {"int4", false, false, "TensorRT supports int4 only for weights of large language models"},
    {"bf16", false, false, "RTX 20 GPUs lack it, and fp16 is as fast and more exact where both exist"},
    {"fp8", false, false, "only RTX 40 GPUs and later have it, and int8 is as fast there"}};

const PrecisionRow* find_precision(std::string_view name) {
  const auto* row = std::ranges::find(kPrecisions, name, &PrecisionRow::name);
  return row == std::end(kPrecisions) ? nullptr : row;
}

bool is_free(std::int64_t side) { return side < 0; }

bool has_free_side(const TensorInfo& info) { return std::ranges::any_of(info.shape, is_free); }

// "pixels:1x3x224x224", with `batch` for the free dimension. Inputs are separated by commas.
std::string profile(std::span<const TensorInfo> inputs, std::int64_t batch) {
  std::vector<std::string> parts;
  for (const TensorInfo& info : inputs) {
    if (!has_free_side(info)) continue;
    std::vector<std::int64_t> shape = info.shape;
    shape[0] = batch;
    parts.push_back(fmt::format("{}:{}", info.name, fmt::join(shape, "x")));
  }
  return fmt::format("{}", fmt::join(parts, ","));
}

// Option names differ by provider: "trt_profile_min_shapes", "nv_profile_min_shapes".
void add_profiles(ProviderOptions& all, std::string_view family, const TensorRtOptions& options,
                  std::span<const TensorInfo> inputs) {
  if (std::ranges::none_of(inputs, has_free_side) || !check_engine_inputs(inputs)) return;
  const std::pair<const char*, std::int64_t> ends[] = {
      {"min", options.least_batch}, {"max", options.most_batch}, {"opt", options.best_batch}};
  for (const auto& [end, batch] : ends)
    all.emplace_back(fmt::format("{}_profile_{}_shapes", family, end), profile(inputs, batch));
}

}  // namespace

ProviderOptions tensorrt_provider_options(const SessionOptions& options, std::span<const TensorInfo> inputs) {
  const TensorRtOptions wanted = options.tensorrt.value_or(TensorRtOptions{});
  const PrecisionRow* precision = find_precision(wanted.precision);
  ProviderOptions all{{"device_id", std::to_string(options.device)},
                      {"trt_max_workspace_size", std::to_string(wanted.workspace_bytes)},
                      {"trt_fp16_enable", flag(precision != nullptr && precision->half)},
                      {"trt_int8_enable", flag(precision != nullptr && precision->int8)},
                      {"trt_layer_norm_fp32_fallback", "1"},
                      {"trt_cuda_graph_enable", flag(options.cuda_graph)}};
  add_profiles(all, "trt", wanted, inputs);
  if (wanted.cache_folder.empty()) return all;
  all.insert(all.end(), {{"trt_engine_cache_enable", "1"},
                         {"trt_engine_cache_path", wanted.cache_folder},
                         {"trt_timing_cache_enable", "1"},
                         {"trt_timing_cache_path", wanted.cache_folder}});
  if (!wanted.cache_prefix.empty()) all.emplace_back("trt_engine_cache_prefix", wanted.cache_prefix);
  return all;
}

ProviderOptions rtx_provider_options(const SessionOptions& options, std::span<const TensorInfo> inputs) {
  const TensorRtOptions wanted = options.tensorrt.value_or(TensorRtOptions{});
  ProviderOptions all{{"nv_max_workspace_size", std::to_string(wanted.workspace_bytes)},
                      {"enable_cuda_graph", flag(options.cuda_graph)}};
  add_profiles(all, "nv", wanted, inputs);
  if (!wanted.cache_folder.empty()) all.emplace_back("nv_runtime_cache_path", wanted.cache_folder);
  return all;
}

Status check_tensorrt_options(const TensorRtOptions& options) {
  const PrecisionRow* row = find_precision(options.precision);
  if (row == nullptr)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("there is no precision '{}': fp32, fp16 or int8", printable(options.precision)));
  if (!row->refusal.empty())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is not supported: {}; use fp16 or int8", row->name, row->refusal));
  const auto [least, best, most] = std::tuple(options.least_batch, options.best_batch, options.most_batch);
  if (least < 1 || best < least || most < best || most > kLargestBatch)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("batches from {} to {}, best at {}: they must be ascending, from 1 to at most {}", least,
                            most, best, kLargestBatch));
  if (options.workspace_bytes == 0) return fail(ErrorCode::kInvalidArgument, "an engine needs a workspace");
  return {};
}

Status check_engine_inputs(std::span<const TensorInfo> inputs) {
  for (const TensorInfo& info : inputs)
    if (!info.shape.empty() && std::ranges::any_of(std::span(info.shape).subspan(1), is_free))
      return fail(ErrorCode::kUnsupported,
                  fmt::format("its input {} has any size, but an engine has one: fix its dimensions with --dimension "
                              "NAME=SIZE",
                              printable(info.name)));
  return {};
}

BatchDefaults default_batches(std::string_view model_file) {
  const bool is_detr = ascii_lower(file_name(model_file)).find("detr") != std::string::npos;
  return is_detr ? BatchDefaults{8, 8} : BatchDefaults{16, 8};
}

}  // namespace image_engine::infer
