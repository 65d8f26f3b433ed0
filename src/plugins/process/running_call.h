// One run of the plugin: what plugin.h calls an ie_call.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/file.h"
#include "plugins/process/loader.h"
#include "plugins/protocol.h"
#include "worker/child.h"

namespace image_engine::plugins {

// Thread-safe where plugin.h says so: all but done().
class RunningCall {
 public:
  // `memory`: all that is shared. `photo`: the attached memory of the photo; empty if it is in the shared memory.
  RunningCall(const Description& description, Call call, std::uint64_t number, std::span<std::byte> memory,
              std::span<const std::byte> photo);
  RunningCall(const RunningCall&) = delete;

  [[nodiscard]] const ie_call& table() const { return table_; }
  // What the engine is told once run() has returned `status`.
  [[nodiscard]] Done done(ie_status status);

  // The members of ie_call and of the extensions.
  [[nodiscard]] const ie_picture* picture(std::uint32_t input) const;
  [[nodiscard]] const char* record(std::uint32_t input) const;
  [[nodiscard]] const Value* value(std::uint32_t parameter) const;
  ie_picture* new_picture(ie_format format, std::uint32_t width, std::uint32_t height);
  ie_status give_picture(std::uint32_t output, const ie_picture* picture);
  ie_status give_record(std::uint32_t output, const char* json);
  void message(const char* text);
  void progress(double done);
  [[nodiscard]] const void* extension(const char* name) const;
  ie_picture* resize(const ie_picture* picture, std::uint32_t width, std::uint32_t height);
  ie_status segment(const ie_picture* picture, const char* target, const ie_picture** mask);
  ie_status detect(const ie_picture* picture, const char* what, const ie_region** regions, std::uint32_t* count);
  ie_status run_model(const char* model, const ie_tensor* inputs, std::uint32_t count, const ie_tensor** outputs,
                      std::uint32_t* output_count);

 private:
  // Space in the shared memory; nothing if there is none.
  std::byte* take(std::uint64_t bytes);
  // The picture's pixels there, copied unless they are there without padding; no channels: no memory.
  Pixels shared(const ie_picture& picture);
  const ie_picture* wrap(const Pixels& pixels, std::byte* at);
  ie_status refuse(const std::string& problem);
  Result<Answer> ask(Ask ask);
  // The engine's answer to a question about a picture; else the status that the plugin is to get.
  tl::expected<Answer, ie_status> ask_about(const char* extension, const ie_picture* picture, const char* name);

  const Description& description_;
  Call call_;
  std::uint64_t number_;
  std::span<std::byte> memory_;
  ie_call table_;
  std::vector<const ie_picture*> inputs_;
  std::mutex mutex_;             // of what follows
  std::uint64_t free_;           // the first free byte of memory_
  std::deque<ie_picture> made_;  // stay where they are
  std::deque<std::vector<ie_tensor>> tensors_;
  std::deque<std::vector<ie_region>> regions_;
  std::vector<Item> outputs_;
  std::vector<std::string> messages_;
  std::string problem_;
  std::int64_t last_progress_ = 0;  // milliseconds
  std::mutex asking_;               // one Ask at a time
};

// Writes an archived message into the shared memory and sends its packet. False: it is too large, or the engine has
// gone.
template <typename Message>
bool send_message(std::span<std::byte> memory, PacketKind kind, std::uint64_t number, const Message& message) {
  worker::ArchiveWriter writer;
  writer(message);
  if (writer.bytes().size() > kMostMessageBytes) return false;
  std::copy(writer.bytes().begin(), writer.bytes().end(), memory.begin() + kFromHost);
  const Packet packet{kind, static_cast<std::uint32_t>(writer.bytes().size()), number, 0};
  return worker::send_packet(worker::kSocketFd, &packet, sizeof packet, {}).has_value();
}

// The engine's archived message of that packet. False: it makes no sense.
template <typename Message>
bool read_message(std::span<const std::byte> memory, const Packet& packet, Message& message) {
  if (packet.bytes > kMostMessageBytes) return false;
  worker::ArchiveReader reader(memory.subspan(kFromEngine, packet.bytes));
  reader(message);
  return reader.complete();
}

}  // namespace image_engine::plugins
