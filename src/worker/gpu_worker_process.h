// One process of image-engine-gpu-worker, as the engine sees it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/file.h"
#include "core/result.h"
#include "worker/gpu_decoder.h"
#include "worker/gpu_protocol.h"

namespace image_engine::worker {

// image-engine-gpu-worker beside the running program, or where a bundle has it.
std::string gpu_program();

// Not thread-safe.
class GpuWorkerProcess {
 public:
  // Starts options.program and waits until it is ready. `memory`: of the slots, which it shares; `alone`: in a PID
  // namespace of its own; `stop`: readable once nobody waits any more. Errors: kPermission, CUDA is refused; kTimeout;
  // kInterrupted, for `stop`; kMachine. Then it has ended, or is stuck in the driver.
  static Result<std::unique_ptr<GpuWorkerProcess>> create(const GpuDecoderOptions& options, std::uint64_t slot_bytes,
                                                          int memory, bool alone, int stop);
  GpuWorkerProcess(const GpuWorkerProcess&) = delete;
  // Kills it. Nobody waits for its end, which takes half a second where it holds a GPU.
  ~GpuWorkerProcess();

  [[nodiscard]] int socket() const { return socket_.get(); }
  [[nodiscard]] int id() const { return id_; }  // below 0: it was killed
  [[nodiscard]] const GpuHello& hello() const { return hello_; }
  // Kills it and waits. False when it does not end: it is stuck in the driver, say.
  bool stop();

 private:
  GpuWorkerProcess() = default;
  Status spawn_it(const GpuDecoderOptions& options, std::uint64_t slot_bytes, int memory, bool alone);
  Status read_hello(bool require_sandbox, int stop);

  UniqueFd socket_;
  int id_ = -1;  // below 0: it was killed
  GpuHello hello_;
};

}  // namespace image_engine::worker
