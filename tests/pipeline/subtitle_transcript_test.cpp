// Subtitles of files on the disk, read by real workers.
#include "pipeline/subtitle_transcript.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::pipeline {
namespace {

constexpr const char* kInputs = "subtitle_inputs";
constexpr const char* kHello = "1\n00:00:01,000 --> 00:00:03,000\nHello there.\n\n";

class SubtitleTranscripts : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    Result<std::unique_ptr<worker::Pool>> pool = worker::Pool::create({});
    ASSERT_OK(pool);
    pool_ = std::move(*pool);
  }
  static void TearDownTestSuite() { pool_.reset(); }

  std::string video(const std::string& name) const {
    const std::string path = scratch_ / "film.mkv";
    std::filesystem::copy_file(std::string(kInputs) + "/" + name, path);
    return path;
  }
  // Fails the test on an error.
  std::optional<Transcript> read(const std::string& path, const std::string& language = "", bool has_streams = true) {
    const auto sidecar = scan::SubtitleFolders().find(path, language);
    EXPECT_OK(sidecar);
    if (!sidecar) return std::nullopt;
    Result<std::optional<Transcript>> found = read_subtitles(*pool_, path, *sidecar, has_streams, language, notes_);
    EXPECT_OK(found);
    return found ? std::move(*found) : std::nullopt;
  }

  static inline std::unique_ptr<worker::Pool> pool_;
  Scratch scratch_;
  SubtitleNotes notes_;
};

TEST_F(SubtitleTranscripts, AreOfAStreamInTheLanguage) {
  const std::string path = video("several.mkv");
  const auto english = read(path);
  ASSERT_TRUE(english);
  EXPECT_EQ(english->source, "subtitles: stream 5, subrip, en");
  EXPECT_EQ(english->language, "en");
  ASSERT_EQ(english->speech.size(), 3U);
  EXPECT_EQ(english->speech[1].text(), "How are you, my friend?");
  EXPECT_EQ(english->speech[1].words.size(), 5U);
  const auto german = read(path, "de");
  ASSERT_TRUE(german);
  EXPECT_EQ(german->speech[0].text(), "Guten Morgen.");
  EXPECT_FALSE(read(path, "", false));
  EXPECT_THAT(notes_.warnings, testing::IsEmpty());
}

TEST_F(SubtitleTranscripts, ASidecarComesFirst) {
  const std::string path = video("several.mkv");
  scratch_.write("film.srt", kHello);
  const auto found = read(path);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->source, "subtitles: film.srt");
  EXPECT_EQ(found->speech[0].text(), "Hello there.");
}

TEST_F(SubtitleTranscripts, AStreamInTheLanguageComesBeforeASidecarInAnother) {
  const std::string path = video("several.mkv");
  scratch_.write("film.en.srt", kHello);
  EXPECT_EQ(read(path, "de")->source, "subtitles: stream 4, subrip, de");
  EXPECT_EQ(read(path, "en")->source, "subtitles: film.en.srt");
  EXPECT_EQ(read(path, "ja")->source, "subtitles: film.en.srt");
}

TEST_F(SubtitleTranscripts, AreNoneWithoutText) {
  const std::string path = video("foreign.mkv");
  EXPECT_FALSE(read(path));
  scratch_.write("film.srt", "1\n00:00:01,000 --> 00:00:03,000\n[music]\n\n");
  EXPECT_FALSE(read(path));
  EXPECT_THAT(notes_.warnings, testing::IsEmpty());
}

TEST_F(SubtitleTranscripts, PicturesAreNotRead) {
  EXPECT_FALSE(read(video("pictures.mkv")));
  EXPECT_THAT(notes_.warnings, testing::ElementsAre(testing::HasSubstr("pictures")));
}

TEST_F(SubtitleTranscripts, ABrokenSidecarIsNoErrorOfTheVideo) {
  const std::string path = video("several.mkv");
  scratch_.write("film.srt", std::string("\x7f"
                                         "ELF\0\1\2\3 --> \0",
                                         14));
  EXPECT_EQ(read(path)->source, "subtitles: stream 5, subrip, en");
  ASSERT_EQ(notes_.warnings.size(), 1U);
  EXPECT_THAT(notes_.warnings[0], testing::StartsWith("film.srt cannot be read: "));

  // Two gigabytes of nothing.
  ASSERT_EQ(::truncate((scratch_ / "film.srt").c_str(), off_t{2} << 30), 0);
  EXPECT_EQ(read(path)->source, "subtitles: stream 5, subrip, en");
  EXPECT_THAT(notes_.warnings.back(), testing::HasSubstr("are read up to"));

  scratch_.write("film.srt", "");
  EXPECT_EQ(read(path)->source, "subtitles: stream 5, subrip, en");
  std::filesystem::copy_file(std::string(kInputs) + "/movie.mp4", scratch_ / "film.srt",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(read(path)->source, "subtitles: stream 5, subrip, en");
  EXPECT_EQ(notes_.warnings.size(), 4U);
  EXPECT_FALSE(notes_.is_sidecar_closed) << "the same bytes are damaged the next time, too";
  EXPECT_EQ(pool_->deaths(), 0U);
}

TEST_F(SubtitleTranscripts, ASidecarThatCannotBeOpenedIsTold) {
  const std::string path = video("several.mkv");
  scratch_.write("film.srt", kHello);
  const auto sidecar = scan::SubtitleFolders().find(path, "");
  ASSERT_OK(sidecar);
  std::filesystem::remove(scratch_ / "film.srt");
  const auto found = read_subtitles(*pool_, path, *sidecar, true, "", notes_);
  ASSERT_OK(found);
  EXPECT_EQ((*found)->source, "subtitles: stream 5, subrip, en");
  EXPECT_THAT(notes_.warnings, testing::SizeIs(1));
  EXPECT_TRUE(notes_.is_sidecar_closed);
}

TEST_F(SubtitleTranscripts, AMissingVideoIsAnError) {
  const auto found = read_subtitles(*pool_, scratch_ / "gone.mkv", std::nullopt, true, "", notes_);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace image_engine::pipeline
