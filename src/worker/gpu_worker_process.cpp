#include "worker/gpu_worker_process.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

#include "core/subprocess.h"
#include "core/text.h"
#include "worker/process.h"

namespace image_engine::worker {
namespace {

constexpr std::chrono::seconds kGpuStartTime{90};  // of a machine whose driver is not yet in memory

}  // namespace

std::string gpu_program() {
  const std::string folder = executable_folder();
  const std::string beside = join_path(folder, "image-engine-gpu-worker");
  if (::access(beside.c_str(), X_OK) == 0) return beside;
  return join_path(folder, "../libexec/image-engine/image-engine-gpu-worker");
}

Result<std::unique_ptr<GpuWorkerProcess>> GpuWorkerProcess::create(const GpuDecoderOptions& options,
                                                                   std::uint64_t slot_bytes, int memory, bool alone,
                                                                   int stop) {
  std::unique_ptr<GpuWorkerProcess> process(new GpuWorkerProcess);
  IE_CHECK(process->spawn_it(options, slot_bytes, memory, alone));
  if (Status ready = process->read_hello(options.require_sandbox, stop); !ready) {
    process->stop();
    return fail(ready.error());
  }
  return process;
}

GpuWorkerProcess::~GpuWorkerProcess() {
  if (id_ < 0) return;
  ::kill(id_, SIGKILL);
  std::thread([id = id_] { ::waitpid(id, nullptr, 0); }).detach();
}

Status GpuWorkerProcess::spawn_it(const GpuDecoderOptions& options, std::uint64_t slot_bytes, int memory, bool alone) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return fail(ErrorCode::kMachine, errno_error("cannot make a socket to the GPU worker").message);
  socket_.reset(ends[0]);
  const UniqueFd theirs(ends[1]);
  SpawnOptions spawn_options;
  spawn_options.arguments = {options.program,
                             "--device",
                             std::to_string(options.device),
                             "--threads",
                             std::to_string(options.threads),
                             "--readers",
                             std::to_string(options.readers),
                             "--device-bytes",
                             std::to_string(options.device_bytes),
                             "--sharers",
                             std::to_string(options.sharers),
                             "--pinned-bytes",
                             std::to_string(options.pinned_bytes),
                             "--slot-bytes",
                             std::to_string(slot_bytes)};
  for (const std::string& folder : options.folders) {
    spawn_options.arguments.emplace_back("--folder");
    spawn_options.arguments.push_back(folder);
  }
  spawn_options.environment = worker_environment();
  // The GPUs' numbers are the engine's.
  for (const char* name : {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"})
    if (const char* value = std::getenv(name)) spawn_options.environment.push_back(std::string(name) + "=" + value);
  // Nothing is left to be loaded in the sandbox.
  spawn_options.environment.emplace_back("CUDA_MODULE_LOADING=EAGER");
  spawn_options.descriptors = {{theirs.get(), kSocketFd}, {memory, kMemoryFd}};
  spawn_options.alone = alone;
  spawn_options.own_proc = true;
  if (std::getenv("IMAGE_ENGINE_WORKER_STDERR") != nullptr) spawn_options.descriptors.emplace_back(2, 2);
  IE_TRY(id_, spawn(spawn_options));
  return {};
}

Status GpuWorkerProcess::read_hello(bool require_sandbox, int stop) {
  pollfd waiting[] = {{socket_.get(), POLLIN, 0}, {stop, POLLIN, 0}};
  const int count = ::poll(waiting, 2, static_cast<int>(std::chrono::milliseconds(kGpuStartTime).count()));
  if (count == 0) return fail(ErrorCode::kTimeout, "the GPU worker was not ready in time");
  if (waiting[1].revents != 0) return fail(ErrorCode::kInterrupted, "the run ends");
  GpuHello found;
  const ssize_t bytes = ::recv(socket_.get(), &found, sizeof found, 0);
  if (bytes == 0) return fail(ErrorCode::kMachine, "the GPU worker ended at once: are all its libraries here?");
  if (bytes != sizeof found || found.version != kGpuProtocolVersion)
    return fail(ErrorCode::kMachine, "the GPU worker speaks another protocol: install all programs of one version");
  found.problem[sizeof found.problem - 1] = 0;
  if (found.problem[0] != 0)
    return fail(found.is_refused != 0 ? ErrorCode::kPermission : ErrorCode::kMachine, found.problem);
  const std::vector<std::string> missing = missing_layers(found.layers);
  if (require_sandbox && !missing.empty())
    return fail(ErrorCode::kMachine,
                fmt::format("worker.sandbox is strict, and these sandbox layers do not hold for the "
                            "GPU worker: {}",
                            fmt::join(missing, ", ")));
  hello_ = found;
  return {};
}

bool GpuWorkerProcess::stop() {
  socket_ = {};
  const int id = std::exchange(id_, -1);
  if (id < 0) return true;
  ::kill(id, SIGKILL);
  constexpr std::chrono::milliseconds kStep{5}, kPatience{5000};
  for (auto waited = kStep; waited < kPatience; waited += kStep) {
    if (::waitpid(id, nullptr, WNOHANG) != 0) return true;
    std::this_thread::sleep_for(kStep);
  }
  return false;
}

}  // namespace image_engine::worker
