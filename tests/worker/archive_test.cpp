#include "worker/archive.h"

#include <gtest/gtest.h>

#include <random>

#include "worker/protocol.h"

namespace image_engine::worker {
namespace {

Metadata full_metadata() {
  Metadata m;
  m.format = MediaFormat::kHeif;
  m.width = 4032, m.height = 3024, m.orientation = 6;
  m.taken = CaptureTime{"2024-06-01T10:22:03.120", 120, TimePrecision::kDay, TimeSource::kGps};
  m.make = "Apple";
  m.gps = Gps{48.1, 11.5, -3.5};
  m.rating = 4;
  m.keywords = {"beach", "海"};
  m.video = VideoInfo{61.5, 29.97, "h264", "aac", 8'000'000};
  m.warnings = {std::string("a\0b", 3)};
  return m;
}

Reply full_reply() {
  Reply reply;
  reply.metadata = full_metadata();
  reply.hashes = fail(ErrorCode::kCorrupt, "broken");
  reply.picture = Picture{640, 480, 4032, 3024, 8 << 20, true, false, {"cut short"}};
  return reply;
}

std::vector<std::byte> bytes_of(const Reply& reply) {
  ArchiveWriter writer;
  writer(reply);
  return writer.bytes();
}

TEST(Archive, EveryFieldComesBack) {
  const auto bytes = bytes_of(full_reply());
  ArchiveReader reader(bytes);
  Reply reply;
  reader(reply);
  ASSERT_TRUE(reader.complete());
  EXPECT_EQ(*reply.metadata, full_metadata());
  EXPECT_EQ(reply.hashes.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(reply.hashes.error().message, "broken");
  EXPECT_EQ(reply.picture->full_width, 4032U);
  EXPECT_TRUE(reply.picture->partial);
  EXPECT_EQ(reply.picture->warnings, std::vector<std::string>{"cut short"});
  EXPECT_FALSE(reply.thumbnail);
}

TEST(Archive, AnyCutIsNoticed) {
  const auto bytes = bytes_of(full_reply());
  for (size_t size = 0; size < bytes.size(); ++size) {
    ArchiveReader reader{std::span<const std::byte>(bytes).first(size)};
    Reply reply;
    reader(reply);
    EXPECT_FALSE(reader.complete()) << size;
  }
}

TEST(Archive, HostileBytesNeitherCrashNorFillTheMemory) {
  std::mt19937 random(7);
  const auto sound = bytes_of(full_reply());
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = sound;
    for (int i = 0; i < 4; ++i) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    ArchiveReader reader(bytes);
    Reply reply;
    reader(reply);
    if (reply.metadata) {
      EXPECT_LE(reply.metadata->keywords.size(), bytes.size());
    }
  }
}

}  // namespace
}  // namespace image_engine::worker
