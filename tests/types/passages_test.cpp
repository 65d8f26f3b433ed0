#include "types/passages.h"

#include <gmock/gmock.h>

namespace image_engine {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

SpeechSegment says(double from, double to, const std::string& text) {
  return {from, to, "en", 1, spread_words(text, from, to)};
}

std::vector<std::string> texts(const std::vector<SpeechSegment>& segments) {
  std::vector<std::string> list;
  for (const Passage& passage : passages_of(segments)) list.push_back(passage.text);
  return list;
}

TEST(PassagesTest, JoinsSegmentsUntilAPause) {
  const std::vector<SpeechSegment> speech = {says(1, 2, "Has everybody got a glass?"), says(2.5, 4, "Cheers!"),
                                             says(8.9, 10, "To the happy couple."), says(15, 16, "Look, a dog.")};
  const std::vector<Passage> passages = passages_of(speech);
  ASSERT_THAT(passages, SizeIs(2));
  EXPECT_EQ(passages[0].text, "Has everybody got a glass? Cheers! To the happy couple.");
  EXPECT_EQ(passages[0].first, 0U);
  EXPECT_EQ(passages[0].from, 1);
  EXPECT_EQ(passages[0].to, 10);
  EXPECT_EQ(passages[1].text, "Look, a dog.") << "five seconds of silence part them";
  EXPECT_EQ(passages[1].first, 3U);
  EXPECT_EQ(passages[1].from, 15);
}

TEST(PassagesTest, AreNotLongerThanAModelReads) {
  EXPECT_THAT(texts({says(0, 9, "one"), says(9, 15, "two"), says(15, 16, "three")}), ElementsAre("one two", "three"));
  const std::string half(100, 'x'), most(99, 'y'), umlauts = "ä" + std::string(98, 'z');
  EXPECT_THAT(texts({says(0, 1, half), says(1, 2, most), says(2, 3, "z")}), ElementsAre(half + " " + most, "z"));
  EXPECT_THAT(texts({says(0, 1, half), says(1, 2, umlauts)}), ElementsAre(half + " " + umlauts)) << "not of bytes";
  EXPECT_THAT(texts({says(0, 1, "a"), says(1, 40, std::string(900, 'b')), says(40, 41, "c")}), SizeIs(3));
}

TEST(PassagesTest, SegmentsWithoutTextBelongToNone) {
  EXPECT_THAT(passages_of({}), IsEmpty());
  EXPECT_THAT(texts({says(0, 1, ""), says(1, 2, "  ")}), IsEmpty());
  const std::vector<SpeechSegment> speech = {says(0, 1, ""), says(1, 2, "a"), says(2, 3, ""), says(3, 4, "b")};
  const std::vector<Passage> passages = passages_of(speech);
  ASSERT_THAT(passages, SizeIs(1));
  EXPECT_EQ(passages[0].text, "a b");
  EXPECT_EQ(passages[0].first, 1U);
}

// So that the text of a passage can be read without that of the whole recording.
TEST(PassagesTest, DependOnlyOnSegmentsFromTheirFirstOneOn) {
  std::vector<SpeechSegment> speech;
  for (int i = 0; i < 300; ++i)
    speech.push_back(says(i * 0.25, i * 0.25 + 0.2, i % 7 == 0 ? "" : "word " + std::to_string(i)));
  for (const Passage& passage : passages_of(speech)) {
    const auto rest = passages_of(std::span(speech).subspan(passage.first));
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(rest.front().text, passage.text);
  }
}

}  // namespace
}  // namespace image_engine
