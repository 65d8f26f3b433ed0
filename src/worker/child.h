// A sandboxed program that the engine starts and watches: a socket to it, memory shared with it, limits, its end.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "core/file.h"
#include "core/result.h"
#include "worker/protocol.h"

namespace image_engine::worker {

// "<folder of this program>/<name>", or ../libexec/image-engine/<name> where that is missing.
std::string helper_program(const std::string& name);
// A child's environment: only the user's variables that its libraries need, so that no key leaks into it.
std::vector<std::string> worker_environment();

// Sends one packet with at most two descriptors, which are borrowed; flags of sendmsg(). kIo.
Status send_packet(int socket, const void* data, size_t bytes, std::span<const int> descriptors, int flags = 0);

struct Packet {
  size_t bytes = 0;     // 0: the other end is closed
  UniqueFd descriptor;  // the one that came with it, if any
};
// Waits for one packet; of a larger one the rest is lost. kIo.
Result<Packet> receive_packet(int socket, std::span<std::byte> into);

// How a child ended without an answer. kKilled: by a SIGKILL that was not ours. kStopped: by a stop that was requested.
enum class Death { kNone, kCrashed, kTimeout, kMemory, kKilled, kStopped };

struct ChildOptions {
  std::vector<std::string> arguments;                  // the program's path first
  std::vector<std::pair<int, int>> descriptors;        // besides the socket and the memory: (ours, its number)
  std::uint64_t shared_bytes = 0;                      // of the memory that is shared
  std::uint64_t memory_limit = 0;                      // bytes, private and shared
  bool writable = false;                               // the engine writes to the shared memory, too
  std::string name = "a worker";                       // in messages
  std::string memory_key = "worker.memory_limit_mb";   // of the limits, likewise
  std::string timeout_key = "worker.timeout_seconds";  //
};

// Not thread-safe, except id().
class Child {
 public:
  // Started, in namespaces of its own where the system allows it. kMachine, with the remedy: the program is missing, or
  // memory, processes or descriptors are short.
  static Result<std::unique_ptr<Child>> create(ChildOptions options);
  ~Child();
  Child(const Child&) = delete;

  [[nodiscard]] int socket() const { return socket_.get(); }
  // The shared memory, as a descriptor that cannot be written to: for another child. Below 0 where /proc is missing.
  [[nodiscard]] int read_only_memory();
  [[nodiscard]] std::span<std::byte> memory() const { return {memory_, memory_bytes_}; }  // writable if asked for
  [[nodiscard]] int id() const { return process_id_; }                                    // below 0: it has ended

  // The first packet, a Hello of that version of the protocol: the layers in which the child works. kMachine, with the
  // remedy: it is not ready within a minute, has a problem, or ended at once.
  Result<Layers> read_hello(std::uint32_t version);
  // Waits for a packet or the end of the connection. On an error, with `death` as its reason, the child still runs:
  // kOutOfMemory, kTimeout, kInterrupted.
  Status wait_readable(std::chrono::milliseconds timeout, Death& death, const std::stop_token& stop = {});
  // Ends it, unless it ended by itself, and returns its exit status as of waitpid().
  int end();
  [[nodiscard]] bool has_ended_by_itself() const { return has_ended_by_itself_; }
  void kill_and_reap();
  // Gives the pages of the shared memory beyond the first `kept` bytes back to the system.
  void release_pages(std::uint64_t kept);

 private:
  Child() = default;
  Status share_memory();
  [[nodiscard]] std::uint64_t resident_bytes() const;

  ChildOptions options_;
  UniqueFd socket_, memory_fd_, read_only_fd_;
  std::byte* memory_ = nullptr;
  size_t memory_bytes_ = 0;
  int process_id_ = -1, exit_status_ = 0;
  bool has_ended_by_itself_ = false;
};

}  // namespace image_engine::worker
