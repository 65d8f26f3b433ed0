// Subtitles that a subverted worker may send.
#include <gtest/gtest.h>

#include <cmath>

#include "worker/answer.h"
#include "worker/archive.h"

namespace image_engine::worker {
namespace {

bool is_taken(Subtitles subtitles, std::uint32_t operations = kSubtitles) {
  Request request;
  request.operations = operations;
  Reply reply;
  reply.subtitles = std::move(subtitles);
  return is_answer_to(request, reply, kMaxReplyBytes);
}

Subtitles with(std::vector<SubtitleCue> cues) { return {.stream = 2, .codec = "subrip", .cues = std::move(cues)}; }

TEST(SubtitlesAnswer, IsTakenWhereItIsSound) {
  EXPECT_TRUE(is_taken({}));
  EXPECT_TRUE(is_taken(with({{1, 2, "one"}, {1, 1, "at once"}, {5, 9, "zwölf"}})));
  EXPECT_FALSE(is_taken({}, kHash)) << "nobody asked";
}

TEST(SubtitlesAnswer, IsRefusedWhereNoSubtitlesAreSo) {
  EXPECT_FALSE(is_taken({.cues = {{1, 2, "one"}}})) << "of no codec";
  EXPECT_FALSE(is_taken(with({{5, 6, "five"}, {1, 2, "one"}})));
  EXPECT_FALSE(is_taken(with({{3, 2, "backward"}})));
  EXPECT_FALSE(is_taken(with({{-1, 2, "before"}})));
  EXPECT_FALSE(is_taken(with({{std::nan(""), 2, "never"}})));
  EXPECT_FALSE(is_taken(with({{1, HUGE_VAL, "for ever"}})));
  EXPECT_FALSE(is_taken(with({{1, 2, ""}})));
  EXPECT_FALSE(is_taken(with({{1, 2, "\xff"}})));
  EXPECT_FALSE(is_taken(with(std::vector<SubtitleCue>(kMostSubtitleCues + 1, {1, 2, "x"}))));
  EXPECT_FALSE(is_taken(with(std::vector<SubtitleCue>(5, {1, 2, std::string(size_t{1} << 20, 'x')}))));
}

TEST(SubtitlesAnswer, TheLargestFitsIntoAReply) {
  Reply reply;
  reply.subtitles = with(
      std::vector<SubtitleCue>(kMostSubtitleCues, {1, 2, std::string(kMostSubtitleBytes / kMostSubtitleCues, 'x')}));
  ArchiveWriter writer;
  writer(reply);
  ASSERT_LE(writer.bytes().size(), kMaxReplyBytes);
  ArchiveReader reader(writer.bytes());
  Reply read;
  reader(read);
  ASSERT_TRUE(reader.complete());
  ASSERT_TRUE(read.subtitles);
  EXPECT_EQ(read.subtitles->cues.size(), kMostSubtitleCues);
}

}  // namespace
}  // namespace image_engine::worker
