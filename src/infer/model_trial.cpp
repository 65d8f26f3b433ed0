#include "infer/model_trial.h"

#include <fmt/format.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/sanitizers.h"
#include "core/secrets.h"
#include "core/subprocess.h"
#include "core/text.h"
#include "infer/run_watch.h"
#include "infer/session.h"

namespace image_engine::infer {
namespace {

constexpr std::uint64_t kLeastMemory = std::uint64_t{4} << 30, kMemoryTimes = 8;
constexpr std::chrono::seconds kStarting{10};  // of the process, before the model
constexpr std::int64_t kSide = 224;            // of free dimensions

Status judged(int code, int signal, const RunLimits& limits) {
  if (code == static_cast<int>(ErrorCode::kTimeout) + kTrialCodes)
    return fail(ErrorCode::kTimeout,
                fmt::format("it did not finish within {}; inference.run_timeout_seconds allows more",
                            human_duration(std::chrono::duration<double>(limits.longest).count())));
  if (code == static_cast<int>(ErrorCode::kOutOfMemory) + kTrialCodes)
    return fail(ErrorCode::kOutOfMemory, "it needs more memory than allowed for a model of its size");
  if (code < 0)
    return fail(ErrorCode::kCrashed, fmt::format("it ended its process (signal {}, {})", signal, ::strsignal(signal)));
  return {};
}

Status try_file(const std::string& file, std::uint64_t memory, const RunLimits& limits) {
  SpawnOptions options;
  options.arguments = {join_path(executable_folder(), "image-engine"),
                       "models",
                       "verify",
                       "--try",
                       file,
                       "--memory",
                       std::to_string(memory)};
  options.environment = child_environment();
  const auto longest = limits.longest.count() > 0 ? limits.longest + kStarting : limits.longest;
  const auto finished =
      run_program(options, {.timeout = longest, .stop = limits.stop, .name = "the process that tries a model"});
  if (!finished && finished.error().code == ErrorCode::kTimeout)
    return judged(static_cast<int>(ErrorCode::kTimeout) + kTrialCodes, 0, limits);
  if (!finished) return fail(finished.error());
  return judged(finished->exit_code, finished->signal, limits);
}

std::vector<Tensor> zeros_for(const Session& session) {
  std::vector<Tensor> inputs;
  for (const TensorInfo& info : session.inputs()) {
    std::vector<std::int64_t> shape = info.shape;
    for (std::size_t i = 0; i < shape.size(); ++i)
      if (shape[i] < 0) shape[i] = i == 0 ? 1 : kSide;
    inputs.push_back(Tensor::zeros(info.type, std::move(shape)));
  }
  return inputs;
}

}  // namespace

Status try_model(const ModelTrial& trial) {
  const std::string mark = join_path(trial.memory_folder, "tried-" + hash128(trial.key).hex());
  if (::access(mark.c_str(), F_OK) == 0) return {};
  const RunLimits limits = run_limits();
  for (const std::string& file : trial.files)
    if (const Status passed = try_file(file, kLeastMemory + kMemoryTimes * trial.bytes, limits); !passed)
      return fail(passed.error().code, passed.error().code == ErrorCode::kInterrupted
                                           ? passed.error().message
                                           : fmt::format("{} is not used: tried in a separate process, {}",
                                                         printable(file), passed.error().message));
  Status kept = make_folders(trial.memory_folder, 0700);
  if (kept) kept = write_file_atomically(mark, std::string_view(""), 0600);
  if (!kept) log_warning("a model will be tried again: {}", printable(kept.error().message));
  return {};
}

Status try_model_here(const std::string& file, std::uint64_t memory) {
  const rlimit none{0, 0}, most{memory, memory};
  ::setrlimit(RLIMIT_CORE, &none);
  if (IE_ADDRESS_SANITIZER + IE_THREAD_SANITIZER == 0) ::setrlimit(RLIMIT_DATA, &most);
  IE_TRY(const auto session, Session::create(file, {}));
  IE_CHECK(session->run(zeros_for(*session)));
  return {};
}

}  // namespace image_engine::infer
