#include "scan/subtitle_sidecar.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::scan {
namespace {

// The name of what is found beside film.mp4 where only these files are; "" where nothing is.
std::string found_among(const std::vector<std::string>& names, const std::string& language = "") {
  const Scratch folder;
  for (const std::string& name : names) folder.write(name, "x");
  const auto found = SubtitleFolders().find(folder / "film.mp4", language);
  EXPECT_OK(found);
  return found && *found ? std::filesystem::path((*found)->path).filename().string() : "";
}

TEST(SubtitleSidecars, HaveTheStemAndALanguage) {
  EXPECT_EQ(found_among({"film.srt"}), "film.srt");
  EXPECT_EQ(found_among({"film.SRT"}), "film.SRT");
  EXPECT_EQ(found_among({"film.en.vtt"}), "film.en.vtt");
  EXPECT_EQ(found_among({"film.mp4.srt"}), "film.mp4.srt");
  EXPECT_EQ(found_among({"film.German.sdh.srt"}), "film.German.sdh.srt");
  EXPECT_EQ(found_among({"film.pt-BR.srt"}), "film.pt-BR.srt");
}

TEST(SubtitleSidecars, OfOthersAreNotTaken) {
  EXPECT_EQ(found_among({}), "");
  EXPECT_EQ(found_among({"film.part2.srt", "film2.srt", "Film.srt", "film.txt", "other.srt", "film", "filmsrt"}), "");
  EXPECT_EQ(found_among({"film.en.forced.srt"}), "") << "of foreign parts only";
}

TEST(SubtitleSidecars, ThePreferredLanguageIsFirst) {
  const std::vector<std::string> names = {"film.srt", "film.de.srt", "film.en.vtt", "film.en.hi.srt", "film.hi.srt"};
  EXPECT_EQ(found_among(names), "film.srt");
  EXPECT_EQ(found_among(names, "de"), "film.de.srt");
  EXPECT_EQ(found_among(names, "en"), "film.en.vtt") << "without descriptions of sounds";
  EXPECT_EQ(found_among(names, "hi"), "film.hi.srt");
  EXPECT_EQ(found_among(names, "ja"), "film.srt");
  EXPECT_EQ(found_among({"film.de.srt"}, "en"), "film.de.srt");
  EXPECT_EQ(found_among({"film.vtt", "film.srt"}), "film.srt");
}

TEST(SubtitleSidecars, LinksAndFoldersAreNone) {
  const Scratch folder;
  folder.write("elsewhere/film.srt", "x");
  std::filesystem::create_symlink(folder / "elsewhere/film.srt", folder / "film.srt");
  std::filesystem::create_symlink(folder / "film.en.srt", folder / "film.en.srt");
  std::filesystem::create_directory(folder / "film.de.srt");
  const auto none = SubtitleFolders().find(folder / "film.mp4", "");
  ASSERT_OK(none);
  EXPECT_FALSE(*none);
  const auto missing = SubtitleFolders().find(folder / "missing/film.mp4", "");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  folder.write("film.fr.srt", "four");
  const auto found = SubtitleFolders().find(folder / "film.mp4", "");
  ASSERT_OK(found);
  const auto& sidecar = *found;
  ASSERT_TRUE(sidecar);
  EXPECT_EQ(sidecar->language, "fr");
  EXPECT_EQ(sidecar->size, 4U);
  EXPECT_GT(sidecar->mtime_ns, 0);
}

}  // namespace
}  // namespace image_engine::scan
