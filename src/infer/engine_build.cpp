#include "infer/engine_build.h"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "core/file.h"
#include "core/secrets.h"
#include "core/subprocess.h"
#include "core/text.h"
#include "infer/tensorrt.h"

namespace image_engine::infer {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostLines = 40;
constexpr std::string_view kRuntimeMark = "ONNX Runtime: ";  // as onnx_runtime.cpp logs it
constexpr std::string_view kOwnMark = "image-engine: ";

std::vector<std::string> arguments_of(const EngineJob& job, const std::string& folder) {
  const TensorRtOptions& wanted = *job.options.tensorrt;
  std::vector<std::string> all{join_path(executable_folder(), "image-engine"),
                               "convert-to-tensorrt",
                               "--here",
                               "--log-level",
                               "debug",
                               "--onnx",
                               job.model,
                               "--output",
                               join_path(folder, kBuiltEngine),
                               "--precision",
                               wanted.precision,
                               "--least-batch",
                               std::to_string(wanted.least_batch),
                               "--optimum-batch",
                               std::to_string(wanted.best_batch),
                               "--max-batch-size",
                               std::to_string(wanted.most_batch),
                               "--workspace-bytes",
                               std::to_string(wanted.workspace_bytes),
                               "--gpu",
                               std::to_string(job.options.device)};
  for (const auto& [name, size] : job.options.fixed_dimensions)
    all.insert(all.end(), {"--dimension", fmt::format("{}={}", name, size)});
  return all;
}

// TensorRT's kernel timings, which speed up the next build; a failure only costs time.
void copy_timings(const std::string& from, const std::string& to) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(from, ignored))
    if (entry.path().extension() == ".timing") {
      const std::string target = join_path(to, entry.path().filename().string());
      fs::copy_file(entry.path(), target + ".new", fs::copy_options::overwrite_existing, ignored);
      if (!ignored) fs::rename(target + ".new", target, ignored);
    }
}

// The lines that contain `mark`, from the mark on, without duplicates.
std::vector<std::string> lines_with(std::string_view text, std::string_view mark) {
  std::vector<std::string> lines;
  while (!text.empty() && lines.size() < kMostLines) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t at = line.find(mark);
    if (at == line.npos) continue;
    std::string own = printable(line.substr(at + mark.size()).substr(0, 500));
    if (std::ranges::find(lines, own) == lines.end()) lines.push_back(std::move(own));
  }
  return lines;
}

constexpr std::string_view kMemoryWords[] = {"out of memory", "OutOfMemory", "failed to allocate", "no memory is left"};

bool is_about_memory(std::string_view text) {
  return std::ranges::any_of(kMemoryWords, [&](std::string_view word) { return text.find(word) != text.npos; });
}

}  // namespace

Error build_error(std::string_view written, int exit_code, int signal) {
  const std::vector<std::string> own = lines_with(written, kOwnMark), runtime = lines_with(written, kRuntimeMark);
  std::string message;
  ErrorCode code = ErrorCode::kUnsupported;
  if (signal == SIGKILL || (signal != 0 && is_about_memory(written))) {
    code = ErrorCode::kOutOfMemory;
    message = "TensorRT's builder was stopped by the system, most likely because memory ran out";
  } else if (signal != 0) {
    code = ErrorCode::kCrashed;
    message = fmt::format("TensorRT's builder crashed (signal {}, {})", signal, ::strsignal(signal));
  } else {
    message = own.empty() ? fmt::format("TensorRT's builder failed with exit code {}", exit_code) : own.back();
    if (is_about_memory(written)) code = ErrorCode::kOutOfMemory;
  }
  for (const std::string& line : runtime)
    if (message.find(line) == message.npos) message += "\n  " + line;
  return {code, std::move(message)};
}

Result<EngineRecord> build_engine(const EngineJob& job, const std::string& folder, const BuildWatch& watch) {
  IE_CHECK(check_tensorrt_options(*job.options.tensorrt));
  const std::string& timings = job.options.tensorrt->cache_folder;
  if (!timings.empty()) copy_timings(timings, folder);
  SpawnOptions options;
  options.arguments = arguments_of(job, folder);
  options.environment = child_environment();
  options.folder.clear();  // its paths may be relative
  IE_TRY(
      const Finished finished,
      run_program(options, {.stop = watch.stop, .waiting = watch.waiting, .keep_errors = true, .name = "the builder"}));
  if (!timings.empty()) copy_timings(folder, timings);
  if (finished.exit_code != 0) return fail(build_error(finished.errors, finished.exit_code, finished.signal));
  return read_engine_record(join_path(folder, kBuiltEngine));
}

}  // namespace image_engine::infer
