#include <gmock/gmock.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/text.h"
#include "search/duplicates.h"
#include "tests/search/duplicates_fixture.h"
#include "tests/support/moving_picture.h"
#include "video/fingerprint.h"

namespace image_engine::search {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

struct PlantedVideo {
  double from = 0, seconds = 20;  // of the recording
  unsigned recording = 1;
  std::uint32_t width = 1920, height = 1080;
  std::size_t bytes = 40'000;
  std::string codec = "h264";
  int audio = 0, subtitles = 0;
  bool hdr = false, flawed = false;
  double rate = 25;
  std::string taken = {}, model = {};
  std::string picture = {};      // names the asset; empty: the file's own
  std::string fingerprint = {};  // instead of the record
};

class VideoDuplicatesTest : public DuplicateSearchTest {
 protected:
  void SetUp() override {
    DuplicateSearchTest::SetUp();
    options_.fingerprint_stage = {"fingerprint", "", "1", ""};
    options_.verify = true;
  }

  void plant(const std::string& name, const PlantedVideo& video) {
    const std::string path = scratch_.write(name, std::string(video.bytes, 'x'));
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    store::FileObservation observed =
        seen(folder_ + "/" + name, info.st_size, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec);
    observed.format = MediaFormat::kMp4;
    observed.kind = MediaKind::kVideo;
    Metadata metadata;
    metadata.format = MediaFormat::kMp4;
    metadata.width = video.width, metadata.height = video.height;
    metadata.model = video.model;
    if (!video.taken.empty()) metadata.taken = CaptureTime{video.taken, {}};
    metadata.video = VideoInfo{video.seconds, video.rate, video.codec, video.audio > 0 ? "aac" : "", 0};
    const auto asset = add_photo(observed, metadata, video.picture.empty() ? observed.path : video.picture);
    ASSERT_OK(asset);
    const std::string data = video.fingerprint.empty() ? record(video) : video.fingerprint;
    ASSERT_OK(writer_->put_record(*asset, {options_.fingerprint_stage, "cpu", "", data, ""}));
  }

  static std::string record(const PlantedVideo& video) {
    const video::MovingPicture picture(1, video.recording);
    video::Fingerprinter maker(1);
    for (double at = 0; at < video.seconds; at += 0.1) maker.add(at, picture.frame(video.from + at));
    maker.finish(video.seconds);
    return nlohmann::json{{"cells", base64_encode(maker.take())},
                          {"duration", video.seconds},
                          {"frame_rate", video.rate},
                          {"audio_streams", video.audio},
                          {"subtitle_streams", video.subtitles},
                          {"hdr", video.hdr},
                          {"flawed", video.flawed}}
        .dump();
  }

  // Of two videos: the best one's name, then what the other one has, or that it may go.
  std::vector<std::string> outcome(const PlantedVideo& a, const PlantedVideo& b) {
    plant("a.mp4", a);
    plant("b.mp4", b);
    const auto found = groups();
    if (found.size() != 1 || found[0].kind != DuplicateKind::kVideo || found[0].files.size() != 2) return {};
    const DuplicateFile& other = found[0].files[1];
    std::vector<std::string> list = {names(found[0])[0]};
    list.insert(list.end(), other.advantages.begin(), other.advantages.end());
    if (other.removable) list.emplace_back("may go");
    return list;
  }
};

TEST_F(VideoDuplicatesTest, AWorseCopyMayGo) {
  const std::vector<std::string> found = outcome({.width = 640, .height = 360, .bytes = 9000}, {});
  EXPECT_THAT(found, ElementsAre("b.mp4", "may go"));
  const DuplicateGroup group = groups()[0];
  EXPECT_THAT(group.reasons, ElementsAre("larger picture", "more bits a second"));
  EXPECT_EQ(group.files[1].part, std::nullopt);
  EXPECT_EQ(group.files[1].seconds, 20);
}

TEST_F(VideoDuplicatesTest, APartSaysWhereItIs) {
  EXPECT_THAT(outcome({}, {.from = 4.3, .seconds = 9, .bytes = 9000}), ElementsAre("a.mp4", "may go"));
  const DuplicateFile file = groups()[0].files[1];
  ASSERT_TRUE(file.part);
  EXPECT_NEAR(file.part->first, 4.3, 0.1);
  EXPECT_NEAR(file.part->second, 13.3, 0.1);
}

TEST_F(VideoDuplicatesTest, ALargerPartIsKept) {
  EXPECT_THAT(outcome({.width = 640, .height = 360, .bytes = 20'000}, {.from = 4, .seconds = 10, .bytes = 9000}),
              ElementsAre("a.mp4", "larger picture"));
}

TEST_F(VideoDuplicatesTest, WhatTheBestLacksKeepsACopy) {
  const PlantedVideo best = {.bytes = 60'000};
  const auto kept = [&](const PlantedVideo& other) {
    const auto found = outcome(best, other);
    return found.size() == 2 && found[0] == "a.mp4" ? found[1] : testing::PrintToString(found);
  };
  EXPECT_EQ(kept({.width = 640, .height = 360, .subtitles = 1}), "more subtitles");
  EXPECT_EQ(kept({.width = 640, .height = 360, .hdr = true}), "HDR");
  EXPECT_EQ(kept({.width = 640, .height = 360, .rate = 50}), "higher frame rate");
  EXPECT_EQ(kept({.width = 640, .height = 360, .taken = "2020-01-01T10:00:00"}), "has its time");
  EXPECT_EQ(kept({.width = 640, .height = 360, .model = "GoPro"}), "names its camera");
  EXPECT_EQ(kept({.width = 640, .height = 360, .bytes = 70'000}), "more bits a second");
  EXPECT_EQ(kept({.width = 640, .height = 360, .codec = "hevc"}), "more bits a second") << "it is worth more";
  EXPECT_EQ(kept({.width = 640, .height = 360, .codec = "unheard"}), "more bits a second") << "nobody knows";
  EXPECT_EQ(kept({.width = 640, .height = 360}), "may go");
}

TEST_F(VideoDuplicatesTest, TheOneWithSoundIsTheBest) {
  EXPECT_THAT(outcome({.bytes = 60'000}, {.width = 640, .height = 360, .bytes = 9000, .audio = 1, .flawed = true}),
              ElementsAre("b.mp4", "undamaged", "larger picture", "more bits a second"));
  const DuplicateGroup group = groups()[0];
  EXPECT_THAT(group.reasons, ElementsAre("has sound"));
  EXPECT_FALSE(group.files[0].silent);
  EXPECT_TRUE(group.files[1].silent);
}

TEST_F(VideoDuplicatesTest, ASilentCopyThatIsWorseMayGo) {
  EXPECT_THAT(outcome({.audio = 1}, {.width = 640, .height = 360, .bytes = 9000}), ElementsAre("a.mp4", "may go"));
}

TEST_F(VideoDuplicatesTest, MoreSoundTracksKeepACopy) {
  EXPECT_THAT(outcome({.bytes = 60'000, .audio = 1}, {.width = 640, .height = 360, .bytes = 9000, .audio = 2}),
              ElementsAre("a.mp4", "more sound"));
}

// A part has what its longer, silent copy lacks.
TEST_F(VideoDuplicatesTest, APartWithSoundIsKept) {
  EXPECT_THAT(outcome({.bytes = 60'000}, {.from = 4, .seconds = 10, .bytes = 9000, .audio = 1}),
              ElementsAre("a.mp4", "has sound"));
  EXPECT_FALSE(groups()[0].files[1].silent);
}

// The same pictures with another language, or with music instead of voices.
TEST_F(VideoDuplicatesTest, SoundKeepsACopy) {
  EXPECT_THAT(outcome({.bytes = 60'000, .audio = 1}, {.width = 640, .height = 360, .bytes = 9000, .audio = 1}),
              ElementsAre("a.mp4", "sound, which is not compared"));
}

TEST_F(VideoDuplicatesTest, AFlawedOneIsNotTheBestAndReplacesNone) {
  EXPECT_THAT(outcome({.flawed = true}, {.width = 640, .height = 360}), ElementsAre("b.mp4", "larger picture"));
  EXPECT_THAT(outcome({.flawed = true}, {.seconds = 12, .bytes = 9000}), ElementsAre("a.mp4", "undamaged"));
  EXPECT_THAT(outcome({.flawed = true}, {.width = 640, .height = 360, .bytes = 9000, .flawed = true}),
              ElementsAre("a.mp4"));
}

TEST_F(VideoDuplicatesTest, AnIntactSilentCopyOfAFlawedOneWithSoundIsKept) {
  EXPECT_THAT(outcome({.audio = 1, .flawed = true}, {.width = 640, .height = 360, .bytes = 9000}),
              ElementsAre("a.mp4", "undamaged"));
}

TEST_F(VideoDuplicatesTest, PartsOfOneAreOneGroupAndAllAreInTheBest) {
  plant("whole.mp4", {.seconds = 30, .bytes = 90'000});
  plant("begin.mp4", {.seconds = 10, .bytes = 9000});
  plant("end.mp4", {.from = 15, .seconds = 12, .bytes = 9000});
  plant("other.mp4", {.recording = 5});
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_THAT(names(found[0]), ElementsAre("whole.mp4", "begin.mp4", "end.mp4"));
}

TEST_F(VideoDuplicatesTest, EqualFilesAreExactAndOneSpeaksForThem) {
  plant("a.mp4", {.picture = "film"});
  plant("b.mp4", {.picture = "film"});
  plant("small.mp4", {.width = 640, .height = 360, .bytes = 9000});
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_EQ(found[0].kind, DuplicateKind::kExact);
  EXPECT_THAT(names(found[0]), ElementsAre("a.mp4", "b.mp4"));
  EXPECT_TRUE(found[0].files[1].removable);
  EXPECT_THAT(names(found[1]), ElementsAre("a.mp4", "small.mp4"));
}

TEST_F(VideoDuplicatesTest, RecordsThatAreDamagedAreIgnored) {
  for (const char* damaged : {"null", "{}", R"({"cells":"?"})", R"({"cells":"AAAA","duration":1})"})
    plant(std::to_string(std::string(damaged).size()) + ".mp4", {.fingerprint = damaged});
  plant("a.mp4", {});
  EXPECT_THAT(groups(), IsEmpty());
}

}  // namespace
}  // namespace image_engine::search
