// Workers that misbehave, for the pool's tests: what it does is in the name that it is started by.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <string>

#include "worker/archive.h"
#include "worker/protocol.h"

using namespace image_engine::worker;

namespace {

std::uint64_t number = 0;  // of the request at hand

void reply_with(std::span<const std::byte> bytes, ReplyHeader header) {
  header.number = number;
  void* memory = ::mmap(nullptr, kMaxReplyBytes, PROT_READ | PROT_WRITE, MAP_SHARED, kMemoryFd, 0);
  if (!bytes.empty()) std::memcpy(memory, bytes.data(), bytes.size());
  ::send(kSocketFd, &header, sizeof header, 0);
}

void reply_with(const Reply& reply) {
  ArchiveWriter writer;
  writer(reply);
  reply_with(writer.bytes(), {kProtocolVersion, static_cast<std::uint32_t>(writer.bytes().size()), 0});
}

void reply_outside_memory() {
  Reply reply;
  reply.picture = Picture{60000, 60000, 60000, 60000, ~0ULL - 100, false, false, {}};
  reply_with(reply);
}

// A chunk of sound that is not in the slot that holds it.
void send_sound_outside() {
  struct stat info {};
  ::fstat(kMemoryFd, &info);
  const auto size = static_cast<size_t>(info.st_size);
  auto* memory = static_cast<std::byte*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, kMemoryFd, 0));
  const SlotRange range = slot_range(0, size);
  ArchiveWriter writer;
  writer(SoundChunk{0, range.end - 4, 2});
  std::memcpy(memory + range.begin, writer.bytes().data(), writer.bytes().size());
  const ReplyHeader header{kProtocolVersion, static_cast<std::uint32_t>(writer.bytes().size()), number, 0};
  ::send(kSocketFd, &header, sizeof header, 0);
}

// The second answer would be taken for that about the next file.
void reply_twice() {
  reply_with(Reply{});
  reply_with(Reply{});
}

Picture picture_of(std::uint32_t width, std::uint32_t height) {
  Picture picture;
  picture.width = picture.full_width = width;
  picture.height = picture.full_height = height;
  picture.offset = kMaxReplyBytes;
  return picture;
}

// Answers that are more than was asked for, or no answers at all.
const std::map<std::string, std::function<Reply(const Request&)>> kLies = {
    {"larger", [](const Request& request) { return Reply{.picture = picture_of(request.max_edge + 1, 1)}; }},
    {"not_asked",
     [](const Request& request) {
       Reply reply;
       if ((request.operations & kDecode) == 0) reply.picture = picture_of(10, 10);
       if ((request.operations & kReadMetadata) == 0) reply.metadata = image_engine::Metadata{};
       return reply;
     }},
    {"big_thumbnail",
     [](const Request& request) {
       const std::uint64_t edge = request.thumbnail_edge;
       return Reply{.thumbnail = Thumbnail{kMaxReplyBytes, edge * edge * 4 + (2 << 20)}};
     }},
    {"zero_hash", [](const Request&) { return Reply{.hashes = Hashes{}}; }},
    {"long_text",
     [](const Request&) {
       Reply reply;
       reply.metadata = image_engine::Metadata{};
       reply.metadata->title.assign(ArchiveReader::kMostText + 1, 'a');
       return reply;
     }},
    {"long_list",
     [](const Request&) {
       Reply reply;
       reply.metadata = image_engine::Metadata{};
       reply.metadata->keywords.resize(ArchiveReader::kMostItems + 1);
       return reply;
     }},
    {"nowhere",
     [](const Request&) {
       Reply reply;
       reply.metadata = image_engine::Metadata{};
       reply.metadata->gps = image_engine::Gps{std::numeric_limits<double>::quiet_NaN(), 0, {}};
       return reply;
     }},
    {"unknown_format",
     [](const Request&) {
       Reply reply;
       reply.metadata = image_engine::Metadata{};
       reply.metadata->format = static_cast<image_engine::MediaFormat>(200);
       return reply;
     }},
    {"blames_the_run",
     [](const Request&) {
       return Reply{.metadata = image_engine::fail(image_engine::ErrorCode::kMachine, "no memory"),
                    .hashes = image_engine::fail(static_cast<image_engine::ErrorCode>(4711), "?")};
     }},
};

void eat_memory() {
  for (;;) {
    auto* block = static_cast<volatile char*>(std::malloc(16 << 20));
    for (size_t i = 0; i < (16 << 20); i += 4096) block[i] = 1;
    ::usleep(2000);
  }
}

// A line of its own in /proc/PID/status, before the true one.
void eat_memory_under_a_name() {
  ::prctl(PR_SET_NAME, "RssAnon: 0");
  eat_memory();
}

}  // namespace

int main(int, char** argv) {
  const std::string name = std::strrchr(argv[0], '/') + 1;
  Request request;
  const Hello hello;
  if (name == "stillborn") return 4;
  if (name == "mute") ::pause();
  ::send(kSocketFd, &hello, sizeof hello, 0);
  char garbage[4096];
  std::memset(garbage, 0xA5, sizeof garbage);
  while (::recv(kSocketFd, &request, sizeof request, 0) > 0) {
    number = request.number;
    if (name == "hang") ::pause();
    if (name == "crash") __builtin_trap();
    if (name == "exit") return 5;
    if (name == "eat") eat_memory();
    if (name == "garbage") reply_with(std::as_bytes(std::span(garbage)), {kProtocolVersion, sizeof garbage, 0});
    if (name == "huge") reply_with({}, {kProtocolVersion, 0xFFFFFFFF, 0});
    if (name == "version") reply_with({}, {kProtocolVersion + 1, 0, 0});
    if (name == "outside") reply_outside_memory();
    if (name == "sound_outside") send_sound_outside();
    if (name == "empty") ::send(kSocketFd, "", 0, 0);
    if (name == "short") ::send(kSocketFd, "x", 1, 0);
    if (name == "closed") ::shutdown(kSocketFd, SHUT_RDWR);
    if (name == "empty" || name == "short" || name == "closed") ::pause();
    if (name == "unasked") reply_twice();
    if (name == "renamed") eat_memory_under_a_name();
    if (const auto lie = kLies.find(name); lie != kLies.end()) reply_with(lie->second(request));
  }
  return 0;
}
