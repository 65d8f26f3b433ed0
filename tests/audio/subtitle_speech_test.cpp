// What is said by subtitles: no sounds, labels or repeated lines.
#include "audio/subtitle_speech.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace image_engine::audio {
namespace {

TEST(SpokenText, HasNoSoundsAndNoLabels) {
  EXPECT_EQ(spoken_text("Good morning."), "Good morning.");
  EXPECT_EQ(spoken_text("[music]"), "");
  EXPECT_EQ(spoken_text("[BLANK_AUDIO]"), "");
  EXPECT_EQ(spoken_text("(door\nslams) Who is\nthere?"), "Who is there?");
  EXPECT_EQ(spoken_text("- [sighs] No.\n- Yes."), "No. Yes.");
  EXPECT_EQ(spoken_text("JOHN: Come in.\nMAN #2: Thanks"), "Come in. Thanks");
  EXPECT_EQ(spoken_text(">> MARY ANN: Hello"), "Hello");
  EXPECT_EQ(spoken_text("♪ Happy birthday to you ♪"), "Happy birthday to you");
  EXPECT_EQ(spoken_text("♪♪"), "");
  EXPECT_EQ(spoken_text("…"), "");
  EXPECT_EQ(spoken_text("- - -"), "");
}

TEST(SpokenText, KeepsWhatOnlyLooksLikeThem) {
  EXPECT_EQ(spoken_text("At 10:30 we left: all of us."), "At 10:30 we left: all of us.");
  EXPECT_EQ(spoken_text("Remember: never."), "Remember: never.");
  EXPECT_EQ(spoken_text("an open [ bracket"), "an open [ bracket");
  EXPECT_EQ(spoken_text("42"), "42");
  EXPECT_EQ(spoken_text("HELP!"), "HELP!");
  EXPECT_EQ(spoken_text("Größe, Élodie"), "Größe, Élodie");
}

// Quadratic work would take hours.
TEST(SpokenText, BracketsWithoutEndCostNothing) {
  const std::string many(4'000'000, '(');
  EXPECT_EQ(spoken_text("(a) b " + many + "c").size(), 3 + many.size());
}

TEST(SpokenText, LinesOfScriptsWithoutSpacesAreJoinedWithoutOne) {
  EXPECT_EQ(spoken_text("（笑い）吾輩は\n猫である。"), "吾輩は猫である。");
  EXPECT_EQ(spoken_text("안녕\n하세요"), "안녕 하세요");
}

TEST(SpeechOfCues, IsASegmentForEachThatSaysSomething) {
  const auto speech = speech_of_cues({{1, 3, "Good day."}, {4, 5, "[music]"}, {6, 6, "Now"}, {10, 500, "Stays"}}, "en");
  ASSERT_EQ(speech.size(), 3U);
  EXPECT_EQ(speech[0].text(), "Good day.");
  EXPECT_EQ(speech[0].language, "en");
  EXPECT_DOUBLE_EQ(speech[0].confidence, 1);
  ASSERT_EQ(speech[0].words.size(), 2U);
  EXPECT_DOUBLE_EQ(speech[0].words[0].from, 1);
  EXPECT_DOUBLE_EQ(speech[0].words[1].to, 3);
  EXPECT_GT(speech[1].to, speech[1].from);
  EXPECT_DOUBLE_EQ(speech[2].to, 17) << "no word lasts eight minutes";
}

TEST(SpeechOfCues, RollingCaptionsSayEachLineOnce) {
  const auto speech = speech_of_cues({{0, 2, "one two"},
                                      {2, 2.01, "one two"},
                                      {2.01, 4, "one two\nthree four"},
                                      {4, 4.01, "three four"},
                                      {4.01, 6, "three four\nfive"},
                                      {6, 6.01, "five"}},
                                     "");
  std::string text;
  for (const SpeechSegment& segment : speech) text += segment.text() + "|";
  EXPECT_EQ(text, "one two|three four|five|");
}

TEST(SpeechOfCues, WhatIsSaidTwiceIsTwoSegments) {
  EXPECT_EQ(speech_of_cues({{0, 1, "No!"}, {1, 2, "No!"}, {3, 4, "Go."}, {5, 6, "Now."}, {7, 8, "I said."}}, "").size(),
            5U);
}

}  // namespace
}  // namespace image_engine::audio
