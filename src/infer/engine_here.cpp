#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <filesystem>

#include "core/file.h"
#include "core/text.h"
#include "gpu/cuda.h"
#include "infer/engine_build.h"
#include "infer/onnx_runtime.h"
#include "infer/tensorrt.h"

namespace image_engine::infer {
namespace {

namespace fs = std::filesystem;

constexpr CodeRow kCodes[] = {{ORT_NO_SUCHFILE, ErrorCode::kNotFound}};
constexpr std::size_t kMostNamed = 12;

// Nodes of other providers, "Resize_41 (Resize)".
std::vector<std::string> left_over(const Ort::Session& session) {
  std::vector<std::string> names;
  for (const auto& part : session.GetEpGraphAssignmentInfo())
    if (part.GetEpName() != provider_runtime_name(Provider::kTensorRt))
      for (const auto& node : part.GetNodes())
        names.push_back(printable(fmt::format("{} ({})", node.GetName(), node.GetOperatorType())));
  return names;
}

std::vector<std::string> engines_in(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().extension() == ".engine") found.push_back(entry.path().string());
  return found;
}

// A graph in one piece is one engine; anything else cannot be one file.
Status check_whole(std::vector<std::string> rest, std::size_t engines) {
  if (rest.empty() && engines == 1) return {};
  if (engines == 0) return fail(ErrorCode::kUnsupported, "TensorRT supports no part of this graph");
  const std::size_t all = rest.size();
  if (all > kMostNamed) rest.resize(kMostNamed);
  return fail(ErrorCode::kUnsupported,
              fmt::format("TensorRT supports this graph only in {} parts; {} nodes are left to others{}{}{}", engines,
                          all, all > 0 ? ": " : "", fmt::join(rest, ", "), all > kMostNamed ? ", …" : ""));
}

std::optional<std::uint64_t> free_bytes(int device) {
  const auto info = gpu::memory_info(device);
  return info ? std::optional<std::uint64_t>(info->free) : std::nullopt;
}

}  // namespace

Status build_engine_here(const EngineJob& job, const std::string& engine) {
  IE_CHECK(check_tensorrt_options(*job.options.tensorrt));
  IE_CHECK(check_provider(Provider::kTensorRt));
  SessionOptions plain;
  plain.fixed_dimensions = job.options.fixed_dimensions;
  EngineRecord record;
  {
    IE_TRY(const auto session, Session::create(job.model, plain));
    record.inputs = session->inputs();
    record.outputs = session->outputs();
  }
  IE_CHECK(check_engine_inputs(record.inputs));

  SessionOptions options = job.options;
  options.provider = Provider::kTensorRt;
  options.tensorrt->inputs = record.inputs;
  options.tensorrt->cache_folder = std::string(parent_path(engine));
  options.tensorrt->cache_prefix = "part";
  const auto before = free_bytes(options.device);
  const auto start = std::chrono::steady_clock::now();
  return guarded({"TensorRT built no engine of it", kCodes, ErrorCode::kUnsupported}, [&]() -> Status {
    const Ort::Session session(runtime()->env, job.model.c_str(), session_options(options, nullptr));
    record.build_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const auto after = free_bytes(options.device);
    if (before && after && *before > *after) record.device_bytes = *before - *after;
    const std::vector<std::string> made = engines_in(options.tensorrt->cache_folder);
    IE_CHECK(check_whole(left_over(session), made.size()));
    fs::rename(made.front(), engine);
    return write_file_atomically(sidecar_of(engine), engine_record_text(record));
  });
}

}  // namespace image_engine::infer
