#include "infer/made_graphs.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/log.h"
#include "core/text.h"
#include "graph/rewrite.h"
#include "infer/external_data.h"
#include "infer/graph_runtime.h"
#include "infer/library.h"
#include "infer/run_watch.h"
#include "infer/session.h"
#include "models/folder_lock.h"

namespace image_engine::infer {
namespace {

// What says something of the model, not of the machine or of this moment.
constexpr ErrorCode kLasting[] = {ErrorCode::kInvalidArgument, ErrorCode::kCorrupt, ErrorCode::kUnsupported,
                                  ErrorCode::kTooLarge};

// As files' names and the rewriter have it.
struct ChainedRow {
  Chained chained;
  std::string_view suffix;
  graph::Chains chains;
};
constexpr ChainedRow kChainedRows[] = {{Chained::kNot, "", graph::Chains::kNone},
                                       {Chained::kChannelsFirst, "-chained", graph::Chains::kChannelsFirst},
                                       {Chained::kChannelsLast, "-chained-last", graph::Chains::kChannelsLast}};

// A key of everything that the file depends on. The source counts by name, size and time: reading hundreds of megabytes
// at each start would be too slow.
Result<std::string> graph_key(const GraphRequest& request) {
  struct stat info {};
  if (::stat(request.source.c_str(), &info) != 0) return fail(errno_error(printable(request.source)));
  IE_TRY(const std::string runtime, runtime_version());
  // A refusal may be the operators' fault.
  const std::string operators = request.chained == Chained::kNot ? "" : "\n" + operators_identity();
  return hash128(fmt::format("{}\n{} {} {}\n{} {}\n{}{}", absolute_path(request.source), info.st_size,
                             info.st_mtim.tv_sec, info.st_mtim.tv_nsec, request.batch, graph::kMakerVersion, runtime,
                             operators))
      .hex();
}

// The error of an earlier attempt, if that is remembered.
std::optional<Error> refusal_in(const std::string& file) {
  const auto text = read_file(file);
  if (!text) return std::nullopt;
  const nlohmann::json json = parse_json(*text);
  const auto member = [&](const char* name) {
    return json.is_object() && json.contains(name) && json[name].is_string() ? json[name].get<std::string>() : "";
  };
  const ErrorCode code = error_code_from_name(member("error"));
  if (std::ranges::find(kLasting, code) == std::end(kLasting)) return std::nullopt;
  return Error{code, member("reason")};
}

void remember_refusal(const std::string& file, const GraphRequest& request, const Error& error) {
  if (std::ranges::find(kLasting, error.code) == std::end(kLasting)) return;
  const nlohmann::json json{{"model", to_utf8(request.source)},
                            {"precision", request.precision},
                            {"error", error_name(error.code)},
                            {"reason", error.message}};
  if (const Status kept = write_file_atomically(file, json_text(json, 2) + "\n"); !kept)
    log_debug("{} is not kept: {}", printable(file), printable(kept.error().message));
}

Status make_graph(const std::string& source, const std::string& target, const graph::RewriteOptions& options) {
  if (const Status sound = check_external_data(source); !sound)
    return fail(sound.error().code, fmt::format("{}: {}", printable(source), sound.error().message));
  const std::string operators = options.chains != graph::Chains::kNone ? operators_library() : "";
  if (options.chains != graph::Chains::kNone && operators.empty())
    return fail(ErrorCode::kNotFound, "the library of our operators for GPUs is not here");
  IE_TRY([[maybe_unused]] const auto made, graph::rewrite_graph(source, target, options, GraphRuntime(operators)));
  return {};
}

}  // namespace

Result<std::string> made_graph(const GraphRequest& request) {
  IE_TRY(const std::string key, graph_key(request));
  const ChainedRow& row = *std::ranges::find(kChainedRows, request.chained, &ChainedRow::chained);
  const std::string name = join_path(request.folder, fmt::format("{}-{}{}", key, request.precision, row.suffix));
  const std::string file = name + ".onnx", refusal = name + ".refused.json";
  if (::access(file.c_str(), R_OK) == 0) return file;
  if (auto error = refusal_in(refusal)) return fail(std::move(*error));
  IE_CHECK(make_folders(request.folder, 0700));
  IE_TRY(const auto lock, models::FolderLock::take(file + ".lock", run_limits().stop));
  if (::access(file.c_str(), R_OK) == 0) return file;  // another process has made it meanwhile
  if (auto error = refusal_in(refusal)) return fail(std::move(*error));
  const graph::RewriteOptions options{.precision = request.precision, .batch = request.batch, .chains = row.chains};
  if (const Status made = make_graph(request.source, file, options); !made) {
    remember_refusal(refusal, request, made.error());
    return fail(made.error());
  }
  return file;
}

Status make_tensorrt_graph(const std::string& source, const std::string& target) {
  return make_graph(source, target, {.precision = "fp16", .onnx_only = true});
}

}  // namespace image_engine::infer
