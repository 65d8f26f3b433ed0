// Subtitles against what make_subtitles.py wrote, and files that are none.
#include "media/subtitles.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/text.h"
#include "tests/media/inputs.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"
#include "types/language.h"

namespace image_engine::media {
namespace {

constexpr const char* kSubtitles = "subtitle_inputs";

Result<SubtitleTrack> read_text(std::string_view text) {
  return read_subtitles(std::as_bytes(std::span(text.data(), text.size())), {});
}

void expect_sound(const SubtitleTrack& track) {
  double last = 0;
  size_t bytes = 0;
  for (const SubtitleCue& cue : track.cues) {
    EXPECT_GE(cue.from, last);
    EXPECT_GE(cue.to, cue.from);
    EXPECT_FALSE(cue.text.empty());
    EXPECT_TRUE(is_utf8(cue.text));
    EXPECT_EQ(cue.text.find('\0'), std::string::npos);
    last = cue.from;
    bytes += cue.text.size();
  }
  EXPECT_LE(track.cues.size(), kMostCues);
  EXPECT_LE(bytes, kMostCuesBytes);
}

TEST(Subtitles, AreThoseThatWereWritten) {
  const nlohmann::json cases = json_of(std::string(kSubtitles) + "/manifest.json");
  ASSERT_GE(cases.size(), 18U) << "tests/media/make_subtitles.py has not run";
  for (const auto& entry : cases) {
    SCOPED_TRACE(entry["file"].get<std::string>() + " " + entry["wanted"].get<std::string>());
    const Buffer file = load(entry["file"], kSubtitles);
    const auto track = read_subtitles(file, {entry["wanted"], false});
    ASSERT_OK(track);
    EXPECT_EQ(track->stream, entry["stream"].get<int>());
    EXPECT_EQ(track->codec, entry["codec"].get<std::string>());
    EXPECT_EQ(track->language, entry["language"].get<std::string>());
    EXPECT_EQ(track->text_streams, entry["text"].get<unsigned>());
    EXPECT_EQ(track->other_streams, entry["other"].get<unsigned>());
    EXPECT_THAT(track->warnings, testing::IsEmpty());
    expect_sound(*track);
    ASSERT_EQ(track->cues.size(), entry["cues"].size());
    for (size_t i = 0; i < track->cues.size(); ++i) {
      EXPECT_NEAR(track->cues[i].from, entry["cues"][i][0].get<double>(),
                  0.01);  // muxers shift all streams by the sound's first packet
      EXPECT_NEAR(track->cues[i].to, entry["cues"][i][1].get<double>(),
                  0.01);  // muxers shift all streams by the sound's first packet
      EXPECT_EQ(track->cues[i].text, entry["cues"][i][2].get<std::string>());
    }
  }
}

TEST(Subtitles, MarkupIsNoText) {
  const auto track = read_text(
      "1\n00:00:01,000 --> 00:00:02,000\n{\\an8}<i>One</i> <font color=\"#ff0000\">two</font>\n<b>three</b> "
      "{four}\n\n");
  ASSERT_OK(track);
  ASSERT_EQ(track->cues.size(), 1U);
  EXPECT_EQ(track->cues[0].text, "One two\nthree");
}

TEST(Subtitles, AnEventsTextIsItsLastField) {
  EXPECT_EQ(text_of_event("0,0,Default,,0,0,0,,a, b\\Nc"), "a, b\nc");
  EXPECT_EQ(text_of_event("0,0,Default,,0,0,0,,{\\p1}m 0 0{\\p0}text{\\pos(1,2)}!"), "text!");
  EXPECT_EQ(text_of_event("0,0,Default,,0,0,0,,\\{kept\\} {open"), "{kept} {open");
  EXPECT_EQ(text_of_event("0,0"), "");
  const std::string many(4'000'000, '{');  // quadratic work would take hours
  EXPECT_EQ(text_of_event("0,0,Default,,0,0,0,,a{b}" + many), "a" + many);
  EXPECT_EQ(text_of_event(""), "");
}

TEST(Subtitles, TimesThatAreNoneAreBounded) {
  const auto track = read_text(
      "1\n00:00:10,000 --> 00:00:05,000\nbackwards\n\n"
      "2\n00:00:01,000 --> 00:00:02,000\nearlier\n\n"
      "3\n99999999:00:00,000 --> 99999999:00:01,000\nnever\n\n"
      "4\n00:01:00,000 --> 00:01:00,000\nat once\n\n");
  ASSERT_OK(track);
  expect_sound(*track);
  ASSERT_GE(track->cues.size(), 3U);
  EXPECT_EQ(track->cues[0].text, "earlier");
  EXPECT_EQ(track->cues[1].text, "backwards");
  EXPECT_DOUBLE_EQ(track->cues[2].to, 65);
}

TEST(Subtitles, FilesThatAreNoneAreRefused) {
  std::mt19937 random(1);
  std::string noise(100'000, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  for (const std::string& text : {std::string("\0\0\0\0", 4), noise, std::string("no subtitles at all\n"),
                                  std::string("-->"), std::string("WEBVTT\n\n"), std::string("a --> b\ntext\n")}) {
    const auto track = read_text(text);
    ASSERT_FALSE(track);
    EXPECT_EQ(track.error().code, ErrorCode::kUnsupported);
  }
  const auto large = read_text(std::string(kMostSubtitleFileBytes + 1, ' '));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::kTooLarge);
  const auto picture = read_text(std::string("\xFF\xD8\xFF\xE0", 4));
  ASSERT_FALSE(picture);
}

TEST(Subtitles, VeryManyAreCut) {
  std::string text;
  for (size_t i = 0; i < 400'000; ++i)
    text += fmt::format("{:02}:{:02}:{:02},{:03}-->{:02}:{:02}:{:02},{:03}\nx\n\n", i / 36000 % 100, i / 600 % 60,
                        i / 10 % 60, i % 10 * 100, i / 36000 % 100, i / 600 % 60, i / 10 % 60, i % 10 * 100 + 50);
  ASSERT_LT(text.size(), kMostSubtitleFileBytes);
  const auto track = read_text(text);
  ASSERT_OK(track);
  expect_sound(*track);
  EXPECT_EQ(track->cues.size(), kMostCues);
  ASSERT_EQ(track->warnings.size(), 1U);
  EXPECT_THAT(track->warnings[0], testing::HasSubstr("only the first 40000"));
}

TEST(Subtitles, ADamagedPartOfWebVttIsLeftOut) {
  const auto track = read_text(
      "WEBVTT - title\nKind: captions\n\nREGION\nid:a\n\n00:01.000 --> 00:02.000\none\n\nab:cd --> 1\nbad\n\n"
      "7\r\n00:00:03.000 --> 00:00:04.000 line:0\r\n<00:00:03.500><c>two</c> &amp; three\r\n");
  ASSERT_OK(track);
  ASSERT_EQ(track->cues.size(), 2U);
  EXPECT_EQ(track->cues[0].text, "one");
  EXPECT_EQ(track->cues[1].text, "two & three");
}

TEST(Subtitles, OneLongCueIsCut) {
  const auto track = read_text("1\n00:00:01,000 --> 00:00:02,000\n" + std::string(1 << 20, 'x') + "\n\n");
  ASSERT_OK(track);
  ASSERT_EQ(track->cues.size(), 1U);
  EXPECT_LE(track->cues[0].text.size(), kMostCueBytes);
}

TEST(Languages, HaveOneCode) {
  for (const char* name : {"de", "ger", "deu", "DE-at", "German", "deutsch", "de_DE"})
    EXPECT_EQ(language_code(name), "de");
  EXPECT_EQ(language_code("zh-Hans"), "zh");
  EXPECT_EQ(language_code("yue"), "yue");
  for (const char* name : {"", "und", "mul", "klingon", "-", "d"}) EXPECT_EQ(language_code(name), "");
}

}  // namespace
}  // namespace image_engine::media
