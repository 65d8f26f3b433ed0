// Subtitles of speech: the limits of their cues, and ffmpeg's reading of the files.
#include "audio/subtitle_text.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <regex>
#include <sstream>

#include "core/subprocess.h"
#include "core/text.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"
#include "types/script.h"

namespace image_engine::audio {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

SpeechSegment said(double from, double to, const std::string& text) {
  return {from, to, "en", 1, spread_words(text, from, to)};
}

constexpr char kTwoCities[] =
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it "
    "was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of "
    "Darkness, it was the spring of hope, it was the winter of despair.";

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(line);
  }
  return lines;
}

// Without what separates lines and words.
std::string letters(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  return text;
}

void expect_within_limits(const std::vector<SubtitleCue>& cues) {
  double end = -1;
  for (const SubtitleCue& cue : cues) {
    SCOPED_TRACE(fmt::format("{} {} {}", cue.from, cue.to, cue.text));
    EXPECT_GE(cue.from, end + kCueGap - 1e-9);
    EXPECT_GT(cue.to, cue.from);
    EXPECT_LE(cue.to - cue.from, kMostCueSeconds + 1e-9);
    EXPECT_NEAR(cue.from * 1000, std::round(cue.from * 1000), 1e-6);
    end = cue.to;
    const std::vector<std::string> lines = lines_of(cue.text);
    EXPECT_LE(lines.size(), kCueLines);
    for (const std::string& line : lines) {
      size_t narrow = 0, wide = 0;
      for (std::string_view rest = line; !rest.empty();) {
        const char32_t c = take_character(rest);
        if (!is_combining(c)) ++(is_wide(c) ? wide : narrow);
      }
      EXPECT_LE(narrow * kLineWideCharacters + wide * kLineCharacters, kLineCharacters * kLineWideCharacters) << line;
      EXPECT_EQ(line, line.substr(std::min(line.find_first_not_of(' '), line.size())));
    }
  }
}

std::string text_of(const std::vector<SubtitleCue>& cues) {
  std::string text;
  for (const SubtitleCue& cue : cues) text += cue.text + "\n";
  return text;
}

TEST(SubtitleCues, KeepTheLimitsAndLoseNoWord) {
  for (const double seconds : {4.0, 20.0, 60.0, 200.0}) {
    SCOPED_TRACE(seconds);
    const auto cues = subtitle_cues({said(10, 10 + seconds, kTwoCities)});
    expect_within_limits(cues);
    EXPECT_EQ(letters(text_of(cues)), letters(kTwoCities));
    EXPECT_DOUBLE_EQ(cues.front().from, 10);
  }
}

TEST(SubtitleCues, EndAtPunctuationRatherThanWithinAPart) {
  const auto cues = subtitle_cues({said(0, 20, kTwoCities)});
  for (const SubtitleCue& cue : cues) EXPECT_THAT(std::string(",."), HasSubstr(cue.text.substr(cue.text.size() - 1)));
}

TEST(SubtitleCues, OneIsLongEnoughToRead) {
  const auto cues = subtitle_cues({said(5, 5.3, "Yes."), said(20, 20.2, "No."), said(20.3, 24, "But why not?")});
  ASSERT_THAT(cues, SizeIs(2));
  EXPECT_DOUBLE_EQ(cues[0].to, 6);
  EXPECT_EQ(cues[1].text, "No. But why not?");
  expect_within_limits(cues);
}

TEST(SubtitleCues, SegmentsStayApartWhereThereIsTime) {
  const auto cues = subtitle_cues({said(0, 2, "How are you?"), said(2, 4, "Very well."), said(9, 10, "Good.")});
  ASSERT_THAT(cues, SizeIs(3));
  EXPECT_EQ(cues[1].text, "Very well.");
  expect_within_limits(cues);
}

TEST(SubtitleCues, ScriptsWithoutSpacesAreBrokenBetweenCharacters) {
  const std::string text =
      "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
      "何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。";
  const auto cues = subtitle_cues({said(0, 16, text)});
  expect_within_limits(cues);
  EXPECT_EQ(letters(text_of(cues)), text);
  EXPECT_GE(cues.size(), 2U);
  for (const std::string& line : lines_of(text_of(cues)))
    for (const char* never_first : {"。", "ー", "っ"}) EXPECT_FALSE(line.starts_with(never_first)) << line;
  EXPECT_THAT(transcript_text({said(0, 4, "你好。"), said(4, 6, "再见。")}, false), "你好。再见。\n");
}

TEST(SubtitleCues, AWordLongerThanALineIsSplit) {
  const std::string word(100, 'w');
  const auto cues = subtitle_cues({said(0, 9, "see " + word + " there")});
  expect_within_limits(cues);
  EXPECT_EQ(letters(text_of(cues)), "see" + word + "there");
}

TEST(SubtitleCues, TextWithoutASpaceBelongsToTheWordBefore) {
  const SpeechSegment segment{0, 2, "en", 1, {{" I", 0, 0.2}, {" don", 0.2, 0.6}, {"'t", 0.6, 1}, {" know", 1, 2}}};
  EXPECT_EQ(subtitle_cues({segment})[0].text, "I don't know");
  EXPECT_EQ(transcript_text({segment}, false), "I don't know\n");
}

TEST(SubtitleCues, OddTimesAreMadeEven) {
  const double nan = std::nan("");
  std::vector<SpeechSegment> speech = {said(3, 5, "second here"),   said(-4, 1, "first"),    said(4, 4, "at once"),
                                       said(4.5, 4.2, "backwards"), said(nan, nan, "never"), said(7, 400, "long")};
  const auto cues = subtitle_cues(speech);
  expect_within_limits(cues);
  EXPECT_GE(cues.front().from, 0);
  for (const char* word : {"first", "second", "once", "backwards", "never", "long"})
    EXPECT_THAT(text_of(cues), HasSubstr(word));
  EXPECT_THAT(subtitle_cues({}), IsEmpty());
  EXPECT_EQ(transcript_text({}, true), "");
  EXPECT_EQ(webvtt({}), "WEBVTT\n");
}

TEST(SubtitleCues, LinesAndControlCharactersOfWordsAreNone) {
  const auto cues = subtitle_cues({said(0, 2, "one\r\n\r\ntwo\x1b[31m\x07 three")});
  EXPECT_EQ(text_of(cues), "one two[31m three\n");
}

TEST(Transcripts, AParagraphBeginsAfterAPause) {
  const std::vector<SpeechSegment> speech = {said(1, 3, "Good morning."), said(4, 6, "It rains."),
                                             said(3725.4, 3727, "Good night.")};
  EXPECT_EQ(transcript_text(speech, false), "Good morning. It rains.\n\nGood night.\n");
  EXPECT_EQ(transcript_text(speech, true), "[0:01] Good morning. It rains.\n\n[1:02:05] Good night.\n");
}

// What ffmpeg reads: it writes each as SubRip again, without escapes.
std::vector<SubtitleCue> read_by_ffmpeg(const std::string& content, const std::string& name) {
  const Scratch folder;
  const std::string file = folder.write(name, content);
  SpawnOptions options;
  options.arguments = {"/usr/bin/ffmpeg", "-v", "error", "-i", file, "-f", "srt", "-"};
  const Result<Finished> done = run_program(options, {});
  EXPECT_OK(done);
  std::vector<SubtitleCue> cues;
  const std::regex times(R"((\d+):(\d\d):(\d\d),(\d{3}) --> (\d+):(\d\d):(\d\d),(\d{3}))");
  std::smatch match;
  for (const std::string& line : lines_of(done->output)) {
    if (std::regex_match(line, match, times)) {
      const auto time = [&](size_t at) {
        return std::stod(match[at]) * 3600 + std::stod(match[at + 1]) * 60 + std::stod(match[at + 2]) +
               std::stod(match[at + 3]) / 1000;
      };
      cues.push_back({time(1), time(5), ""});
    } else if (!cues.empty() && !line.empty()) {
      cues.back().text += (cues.back().text.empty() ? "" : "\n") + line;
    } else if (!cues.empty()) {
      cues.back().text += "\n";
    }
  }
  // The number of the next cue, and the empty line before it.
  for (size_t i = 0; i < cues.size(); ++i) {
    std::string& text = cues[i].text;
    const std::string number = "\n\n" + std::to_string(i + 2);
    if (i + 1 < cues.size() && text.ends_with(number)) text.resize(text.size() - number.size());
    text.resize(text.find_last_not_of('\n') + 1);
  }
  return cues;
}

void expect_same(const std::vector<SubtitleCue>& found, const std::vector<SubtitleCue>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i].from, expected[i].from, 1e-6);
    EXPECT_NEAR(found[i].to, expected[i].to, 1e-6);
    EXPECT_EQ(found[i].text, expected[i].text);
  }
}

TEST(SubtitleFiles, AreReadByFfmpeg) {
  std::vector<SpeechSegment> speech = {said(0, 20, kTwoCities), said(30, 32, "42"),
                                       said(40, 42, "Größe, naïveté, 猫。"),
                                       said(3 * 3600.0, 3 * 3600 + 2, "Three hours."),
                                       said(123 * 3600.0, 123 * 3600 + 2.5, "A hundred and twenty-three hours.")};
  const auto cues = subtitle_cues(speech);
  expect_same(read_by_ffmpeg(subrip(cues), "x.srt"), cues);
  expect_same(read_by_ffmpeg(webvtt(cues), "x.vtt"), cues);
}

TEST(SubtitleFiles, TextIsNoMarkup) {
  const std::vector<SubtitleCue> cues = {{1, 2, "a < b & c > d &amp; x"}, {3, 4, "<i>no tag</i>\n00:00:01.000 --> 2"}};
  const std::string vtt = webvtt(cues);
  EXPECT_THAT(vtt, HasSubstr("a &lt; b &amp; c &gt; d &amp;amp; x"));
  EXPECT_THAT(vtt, HasSubstr("&lt;i&gt;no tag&lt;/i&gt;\n00:00:01.000 --&gt; 2"));
  const auto back = read_by_ffmpeg(vtt, "x.vtt");
  ASSERT_THAT(back, SizeIs(2));
  EXPECT_EQ(back[0].text, cues[0].text);
  EXPECT_EQ(back[1].text, cues[1].text);

  const auto read =
      read_by_ffmpeg(subrip({{1, 2, "<b>no tag</b> {\\an8}\n00:00:05,000 --> 00:00:06,000"}, {3, 4, "x"}}), "x.srt");
  ASSERT_THAT(read, SizeIs(2));
  EXPECT_EQ(read[0].text, "‹b›no tag‹/b› (\\an8)\n00:00:05,000 → 00:00:06,000");
}

TEST(SubtitleFiles, FormatsHaveNames) {
  EXPECT_EQ(transcript_format("vtt"), TranscriptFormat::kWebVtt);
  EXPECT_EQ(transcript_format("srt"), TranscriptFormat::kSubRip);
  EXPECT_EQ(transcript_format("text"), TranscriptFormat::kText);
  EXPECT_FALSE(transcript_format("doc"));
  EXPECT_EQ(transcript_extension(TranscriptFormat::kText), ".txt");
  EXPECT_THAT(write_transcript({said(1, 2, "Hi.")}, TranscriptFormat::kWebVtt),
              "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nHi.\n");
}

}  // namespace
}  // namespace image_engine::audio
