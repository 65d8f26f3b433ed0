#include "search/duplicates.h"

#include <gmock/gmock.h>

#include <sys/stat.h>

#include <filesystem>
#include <set>
#include <tuple>

#include "core/file.h"
#include "tests/search/duplicates_fixture.h"
#include "vision/subject_look.h"

namespace image_engine::search {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// The lowest `n` bits set: n bits away from 0.
constexpr std::uint64_t bits(int n) { return n == 0 ? 0 : ~std::uint64_t{0} >> (64 - n); }

constexpr char kPlain[] =
    R"({"sharpness":0.5,"exposure":0.5,"contrast":0.5,"colourfulness":0.5,"noise":0.1,"score":0.5})";
constexpr char kSharp[] =
    R"({"sharpness":0.9,"exposure":0.5,"contrast":0.5,"colourfulness":0.5,"noise":0.1,"score":0.7})";
constexpr char kBlank[] =
    R"({"sharpness":0.5,"exposure":0.5,"contrast":0.01,"colourfulness":0.5,"noise":0.1,"score":0.5})";

struct PlantedPhoto {
  std::uint64_t phash = 0;
  std::string taken;
  std::string model = "D90";
  std::uint32_t width = 4000, height = 3000;
  std::string quality = kPlain;  // empty: none
  std::string picture;           // names the asset; empty: the file's own
  std::string hash_record = {};  // instead of phash
  std::string thumbnail = R"({"size":256})";
  std::string colours = std::string(64, '0');
  TimePrecision precision = TimePrecision::kSecond;
  Metadata more = {};  // what else its file says
};

std::string hash_json(std::uint64_t phash, const std::string& colours) {
  std::array<char, 17> hex{};
  std::snprintf(hex.data(), hex.size(), "%016llx", static_cast<unsigned long long>(phash));
  return R"({"dhash":"0000000000000000","phash":")" + std::string(hex.data()) + R"(","colours":")" + colours + "\"}";
}

class DuplicatesTest : public DuplicateSearchTest {
 protected:
  static store::FileObservation dated(const std::string& path, std::int64_t mtime) { return seen(path, 100, mtime); }

  void plant(const std::string& name, const PlantedPhoto& photo) { plant(seen(folder_ + "/" + name), photo); }
  void plant(const store::FileObservation& observed, const PlantedPhoto& photo) {
    Metadata metadata = photo.more;
    if (metadata.format == MediaFormat::kNone) metadata.format = MediaFormat::kJpeg;
    metadata.width = photo.width;
    metadata.height = photo.height;
    metadata.model = photo.model;
    if (!photo.taken.empty()) metadata.taken = CaptureTime{photo.taken, {}, photo.precision};
    const auto asset = add_photo(observed, metadata, photo.picture.empty() ? observed.path : photo.picture);
    ASSERT_OK(asset);
    const std::string hashes = photo.hash_record.empty() ? hash_json(photo.phash, photo.colours) : photo.hash_record;
    ASSERT_TRUE(writer_->put_record(*asset, {options_.hash_stage, "cpu", "", hashes, ""}).has_value());
    ASSERT_TRUE(writer_->put_record(*asset, {options_.thumbnail_stage, "cpu", "", photo.thumbnail, ""}).has_value());
    if (!photo.quality.empty()) {
      ASSERT_TRUE(writer_->put_record(*asset, {options_.quality_stage, "cpu", "", photo.quality, ""}).has_value());
    }
  }

  // Photos of one burst unless told otherwise: same camera, a second apart.
  void plant_series(const std::vector<std::pair<std::uint64_t, std::string>>& photos) {
    for (size_t i = 0; i < photos.size(); ++i)
      plant("s" + std::to_string(i) + ".jpg", {.phash = photos[i].first, .taken = photos[i].second});
  }

  // The names in each group of that kind.
  std::vector<std::vector<std::string>> named(DuplicateKind kind) const {
    std::vector<std::vector<std::string>> list;
    for (const DuplicateGroup& group : groups())
      if (group.kind == kind) list.push_back(names(group));
    return list;
  }

  // Writes a file, unless it is there, and catalogues it as it is.
  void plant_file(const std::string& name, const std::optional<std::string>& bytes, const PlantedPhoto& photo) {
    if (bytes) scratch_.write(name, *bytes);
    struct stat info {};
    ASSERT_EQ(::stat((folder_ + "/" + name).c_str(), &info), 0);
    plant(seen(folder_ + "/" + name, info.st_size, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec), photo);
  }
  std::vector<std::string> removable() {
    std::vector<std::string> found;
    for (const DuplicateGroup& group : groups())
      for (const DuplicateFile& file : group.files)
        if (file.removable) found.emplace_back(file_name(file.path));
    return found;
  }
};

TEST_F(DuplicatesTest, KindsHaveNames) {
  EXPECT_EQ(duplicate_kind_name(DuplicateKind::kExact), "exact");
  EXPECT_EQ(duplicate_kind_name(DuplicateKind::kNear), "near");
  EXPECT_EQ(duplicate_kind_name(DuplicateKind::kBurst), "burst");
}

TEST_F(DuplicatesTest, AnEmptyCatalogueHasNone) { EXPECT_THAT(groups(), IsEmpty()); }

TEST_F(DuplicatesTest, ExactFilesHaveTheSamePictureAndTheOldestIsBest) {
  plant(dated(folder_ + "/a.jpg", 30), {.phash = 1, .picture = "cat"});
  plant(dated(folder_ + "/b.jpg", 10), {.phash = 1, .picture = "cat"});
  plant(dated(folder_ + "/c.jpg", 20), {.phash = 1, .picture = "cat"});
  plant("other.jpg", {.phash = ~std::uint64_t{0}});
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].kind, DuplicateKind::kExact);
  EXPECT_THAT(names(found[0]), ElementsAre("b.jpg", "a.jpg", "c.jpg"));
  EXPECT_THAT(found[0].reasons, ElementsAre("older"));
  EXPECT_EQ(found[0].files[0].same_bytes, std::nullopt);
  EXPECT_EQ(found[0].files[0].bytes, 100);
  EXPECT_EQ(found[0].files[0].width, 4000);
}

TEST_F(DuplicatesTest, ASidecarOutweighsAge) {
  store::FileObservation with = dated(folder_ + "/z.jpg", 99);
  with.sidecar = store::Sidecar{folder_ + "/z.jpg.xmp", {10, 1}};
  plant("a.jpg", {.picture = "cat"});
  plant(with, {.picture = "cat"});
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_THAT(names(found[0]), ElementsAre("z.jpg", "a.jpg"));
  EXPECT_THAT(found[0].reasons, ElementsAre("has a sidecar"));
}

TEST_F(DuplicatesTest, VerifyingComparesEveryByte) {
  const std::string large(700'000, 'x');  // more than is read at a time
  scratch_.write("a.jpg", large);
  scratch_.write("same.jpg", large);
  scratch_.write("last.jpg", large.substr(1) + "y");
  scratch_.write("longer.jpg", large + "x");
  for (const char* name : {"a.jpg", "same.jpg", "last.jpg", "longer.jpg", "vanished.jpg"})
    plant(dated(folder_ + "/" + name, name[0] == 'a' ? 1 : 2), {.picture = "cat"});
  options_.verify = true;
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  std::map<std::string, std::optional<bool>> same;
  for (const DuplicateFile& file : found[0].files) same[std::string(file_name(file.path))] = file.same_bytes;
  const std::map<std::string, std::optional<bool>> expected = {
      {"a.jpg", true}, {"same.jpg", true}, {"last.jpg", false}, {"longer.jpg", false}, {"vanished.jpg", std::nullopt}};
  EXPECT_EQ(same, expected);
}

TEST_F(DuplicatesTest, OneFileIsNoDuplicateOfItself) {
  plant_file("a.jpg", "x", {.picture = "cat"});
  std::filesystem::create_symlink("a.jpg", folder_ + "/link.jpg");
  std::filesystem::create_directory_symlink(folder_, folder_ + "/again");
  for (const char* name : {"link.jpg", "again/a.jpg"}) plant_file(name, {}, {.picture = "cat"});
  EXPECT_THAT(groups(), IsEmpty());
  // Nor when it was another picture by its other name, at another time.
  plant_file("again/link.jpg", {}, {.phash = bits(3), .picture = "cat edited"});
  EXPECT_THAT(groups(), IsEmpty());
}

TEST_F(DuplicatesTest, HardLinksAreShownAndNeverRemovable) {
  plant_file("a.jpg", "x", {.picture = "cat"});
  std::filesystem::create_hard_link(folder_ + "/a.jpg", folder_ + "/hard.jpg");
  plant_file("hard.jpg", {}, {.picture = "cat"});
  options_.verify = true;
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_TRUE(found[0].files[1].hard_link);
  EXPECT_EQ(found[0].files[1].sameness, Sameness::kHardLink);
  EXPECT_FALSE(found[0].files[1].removable);
}

TEST_F(DuplicatesTest, OnlyWhatIsAsItWasAnalyzedIsRemovable) {
  plant_file("a.jpg", "xx", {.phash = bits(40), .picture = "cat"});
  plant_file("b.jpg", "xx", {.phash = bits(40), .picture = "cat"});
  plant_file("near.jpg", "y", {.phash = bits(41), .width = 1000, .height = 750});
  options_.verify = true;
  EXPECT_THAT(removable(), UnorderedElementsAre("b.jpg", "near.jpg"));
  scratch_.write("near.jpg", "other");
  EXPECT_THAT(removable(), ElementsAre("b.jpg"));
  scratch_.write("a.jpg", "other");  // the best one: b.jpg is the only copy now
  EXPECT_THAT(removable(), IsEmpty());
}

// What is "no better, but first" replaces nothing, whatever is asked for.
TEST_F(DuplicatesTest, EqualsAreNotRemovable) {
  for (const char* name : {"a.jpg", "b.jpg", "c.jpg"}) plant_file(name, "x", {.phash = bits(40)});
  options_.verify = true;
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_THAT(found[0].reasons, ElementsAre("no better, but first"));
  EXPECT_THAT(removable(), IsEmpty());
}

// Each has one thing that large.jpg lacks, and says so; plain.jpg has nothing.
TEST_F(DuplicatesTest, WhatHasAnythingOfItsOwnIsNotRemovable) {
  plant_file("large.jpg", "large", {.phash = bits(40)});
  const auto small = [](Metadata more) {
    return PlantedPhoto{.phash = bits(40), .width = 1000, .height = 750, .more = std::move(more)};
  };
  plant_file("plain.jpg", "1", small({}));
  std::map<std::string, std::pair<Metadata, std::string>> own;
  own["deep.jpg"] = {Metadata{.bit_depth = 12}, "more colours"};
  own["format.webp"] = {Metadata{.format = MediaFormat::kWebp}, "another format"};
  own["gps.jpg"] = {Metadata{.gps = Gps{1, 2, {}}}, "has GPS"};
  own["keyword.jpg"] = {Metadata{.keywords = {"cat"}}, "has own keywords"};
  own["lossless.png"] = {Metadata{.format = MediaFormat::kPng}, "lossless"};
  own["pages.jpg"] = {Metadata{.frames = 2}, "more frames or pages"};
  own["title.jpg"] = {Metadata{.title = "Cat"}, "has its own title"};
  for (const auto& [name, has] : own) plant_file(name, "1", small(has.first));
  PlantedPhoto timed = small({});
  timed.taken = "2020-01-01T10:00:00";
  plant_file("time.jpg", "1", timed);
  own["time.jpg"].second = "has its time";
  plant_file("label.jpg", "1", small({}));
  const auto label = reader_->find_asset_by_path(folder_ + "/label.jpg");
  ASSERT_OK(label);
  ASSERT_OK(writer_->add_label(*label, "mine"));
  own["label.jpg"].second = "has own keywords";
  options_.verify = true;
  EXPECT_THAT(removable(), ElementsAre("plain.jpg"));
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  ASSERT_THAT(names(found[0]), testing::Contains("large.jpg"));
  std::map<std::string, std::vector<std::string>> told;
  for (const DuplicateFile& file : found[0].files) told[std::string(file_name(file.path))] = file.advantages;
  if (names(found[0]).front() == "large.jpg") {
    for (const auto& [name, has] : own) EXPECT_THAT(told[name], ElementsAre(has.second)) << name;
  }
}

TEST_F(DuplicatesTest, ShotsOfABurstAreDifferentPictures) {
  const auto shot = [](int hash, const char* second, std::uint32_t width) {
    return PlantedPhoto{.phash = bits(hash),
                        .taken = std::string("2020-01-01T10:00:0") + second,
                        .width = width,
                        .quality = hash == 40 ? kSharp : kPlain};
  };
  plant_file("1.jpg", "best", shot(40, "0", 4000));
  plant_file("2.jpg", "x", shot(41, "0", 4000));  // near, within the same second
  plant_file("3.jpg", "x", shot(40, "0", 1000));  // a reduced copy that kept its time
  plant_file("4.jpg", "x", shot(52, "1", 4000));
  ASSERT_TRUE(writer_->set_user_rating(*reader_->find_asset_by_path(folder_ + "/1.jpg"), 5).has_value());
  options_.verify = true;
  EXPECT_THAT(removable(), ElementsAre("3.jpg"));
  options_.kinds = {DuplicateKind::kBurst};
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  for (size_t i = 1; i < found[0].files.size(); ++i)
    EXPECT_THAT(found[0].files[i].advantages, ElementsAre("another shot"));
  EXPECT_THAT(removable(), IsEmpty());
}

// Sixteen parts of one colour: Cb and Cr.
std::string coloured(const char* chroma) {
  std::string hex;
  for (int part = 0; part < 16; ++part) hex += chroma;
  return hex;
}

TEST_F(DuplicatesTest, OtherColoursAreAnotherPicture) {
  plant("blue1.jpg", {.phash = 1, .colours = coloured("30f0")});
  plant("red1.jpg", {.phash = 1, .colours = coloured("f030")});
  plant("blue2.jpg", {.phash = 1, .colours = coloured("31f0")});
  plant("red2.jpg", {.phash = 1, .colours = coloured("f031")});
  plant("grey.jpg", {.phash = 1});
  EXPECT_THAT(named(DuplicateKind::kNear), ElementsAre(UnorderedElementsAre("blue1.jpg", "blue2.jpg"),
                                                       UnorderedElementsAre("red1.jpg", "red2.jpg")));
}

TEST_F(DuplicatesTest, AnimationsAreNoCopiesOfTheirFirstFrames) {
  for (const char* name : {"one.gif", "two.gif"})
    plant(name, {.phash = 1, .thumbnail = R"({"size":256,"animated":true})"});
  plant("still.png", {.phash = 1});
  EXPECT_THAT(groups(), IsEmpty());
}

PlantedPhoto raw_photo(const char* picture = "") {
  return {.phash = bits(40), .taken = "2020-01-01T10:00:00", .picture = picture, .more = {.format = MediaFormat::kCr2}};
}
PlantedPhoto camera_jpeg(const char* picture = "") {
  return {.phash = bits(41), .taken = "2020-01-01T10:00:00", .width = 3984, .height = 2988, .picture = picture};
}

TEST_F(DuplicatesTest, RawAndJpegAreOnePicture) {
  plant_file("IMG_1.CR2", "raw", raw_photo());
  plant_file("IMG_1.JPG", "x", camera_jpeg());
  EXPECT_THAT(groups(), IsEmpty());
  plant_file("mail.jpg", "x", {.phash = bits(41), .taken = "2020-01-01T10:00:00", .width = 1000, .height = 750});
  options_.verify = true;
  const auto found = groups();
  ASSERT_THAT(found, Not(IsEmpty()));
  EXPECT_THAT(names(found[0]), ElementsAre("IMG_1.CR2", "mail.jpg"));
  EXPECT_EQ(found[0].files[0].pair, folder_ + "/IMG_1.JPG");
  EXPECT_THAT(removable(), IsEmpty());  // what was developed from raw data may be a person's work
}

// Not even for a better version of the JPEG does a half go.
TEST_F(DuplicatesTest, HalvesOfAPairStay) {
  plant_file("raw/IMG_1.CR2", "raw", raw_photo());
  plant_file("jpeg/IMG_1.JPG", "x", camera_jpeg());
  PlantedPhoto rated = camera_jpeg();
  rated.more.rating = 5;
  rated.width = 8000, rated.height = 6000;
  plant_file("edited.tif", "more", rated);
  options_.verify = true;
  EXPECT_THAT(removable(), IsEmpty());
}

TEST_F(DuplicatesTest, CopiesOfPairsGoTogetherOrNotAtAll) {
  for (const char* folder : {"a", "b"}) {
    plant_file(std::string(folder) + "/IMG_1.CR2", "raw", raw_photo("raw"));
    plant_file(std::string(folder) + "/IMG_1.JPG", "jpeg", camera_jpeg("jpeg"));
  }
  options_.verify = true;
  std::vector<std::string> gone;
  for (const DuplicateGroup& group : groups())
    for (const DuplicateFile& file : group.files)
      if (file.removable) gone.push_back(file.path.substr(folder_.size()));
  EXPECT_THAT(gone, UnorderedElementsAre("/b/IMG_1.CR2", "/b/IMG_1.JPG"));
  scratch_.write("b/IMG_1.CR2", "changed since");
  EXPECT_THAT(removable(), IsEmpty());
}

TEST_F(DuplicatesTest, FarHashesMakeNothingRemovable) {
  plant_file("large.jpg", "large", {.phash = bits(40)});
  plant_file("far.jpg", "x", {.phash = bits(48), .width = 1000, .height = 750});
  options_.verify = true;
  options_.max_distance = 16;
  EXPECT_THAT(groups(), SizeIs(1));
  EXPECT_THAT(removable(), IsEmpty());
}

// The picture is one, what was written to the files is not: the file that knows more is kept, and of the others each
// that has a copy byte for byte.
TEST_F(DuplicatesTest, AnExactGroupLosesNoMetadata) {
  const auto with = [](Metadata more) { return PlantedPhoto{.picture = "cat", .more = std::move(more)}; };
  plant_file("plain.jpg", "x", with({}));
  plant_file("again.jpg", "x", with({}));
  plant_file("gps.jpg", "xy", with({.gps = Gps{1, 2, {}}}));
  plant_file("rated.jpg", "xz", with({.rating = 3}));
  for (const char* name : {"plain.jpg", "again.jpg"})
    std::filesystem::last_write_time(folder_ + "/" + name, std::filesystem::file_time_type::min());
  options_.verify = true;
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(names(found[0]).front(), "rated.jpg");
  EXPECT_THAT(found[0].reasons, ElementsAre("rated higher"));
  std::map<std::string, std::vector<std::string>> told;
  for (const DuplicateFile& file : found[0].files) told[std::string(file_name(file.path))] = file.advantages;
  EXPECT_THAT(told["gps.jpg"], ElementsAre("has GPS"));
  EXPECT_THAT(told["plain.jpg"], IsEmpty());
}

TEST_F(DuplicatesTest, ACopyOfTheSecondBestIsRemovable) {
  plant_file("titled.jpg", "xy", {.picture = "cat", .more = {.title = "Cat"}});
  plant_file("plain1.jpg", "x", {.picture = "cat"});
  plant_file("plain2.jpg", "x", {.picture = "cat"});
  options_.verify = true;
  const std::vector<std::string> gone = removable();
  ASSERT_THAT(gone, SizeIs(1));
  EXPECT_THAT(gone[0], testing::StartsWith("plain"));
  EXPECT_EQ(names(groups()[0]).front(), "titled.jpg");
}

TEST_F(DuplicatesTest, WhatHasASidecarIsNotRemovable) {
  for (const char* name : {"a.jpg", "b.jpg"}) {
    scratch_.write(name, "x");
    struct stat info {};
    ASSERT_EQ(::stat((folder_ + "/" + name).c_str(), &info), 0);
    store::FileObservation file =
        seen(folder_ + "/" + name, 1, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec);
    file.sidecar = store::Sidecar{folder_ + "/" + name + ".xmp", {10, 1}};
    plant(file, {.picture = "cat"});
  }
  plant_file("c.jpg", "x", {.picture = "cat"});
  options_.verify = true;
  EXPECT_THAT(removable(), ElementsAre("c.jpg"));
}

TEST_F(DuplicatesTest, WhatIsCutOffIsTheBestOfNone) {
  plant_file("cut.jpg", "larger",
             {.phash = bits(40), .quality = kSharp, .thumbnail = R"({"size":256,"partial":true})"});
  plant_file("whole.jpg", "y", {.phash = bits(41)});
  plant_file("unknown.jpg", "u", {.phash = bits(43), .thumbnail = "{"});
  options_.verify = true;
  EXPECT_THAT(removable(), IsEmpty()) << "each of the others may show something that whole.jpg lacks";
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_FALSE(found[0].files[0].partial);
}

// near keeps sharp.jpg and lets plain.jpg go; a burst keeps what no other group lets go.
TEST_F(DuplicatesTest, NoGroupLetsGoWhatAnotherKeeps) {
  plant_file("plain.jpg", "1", {.phash = bits(0), .taken = "2020-01-01T10:00:00", .picture = "p"});
  plant_file("copy.jpg", "1", {.phash = bits(0), .taken = "2020-01-01T10:00:00", .picture = "p"});
  plant_file("sharp.jpg", "2", {.phash = bits(4), .taken = "2020-01-01T10:00:01", .quality = kSharp});
  plant_file("other.jpg", "3", {.phash = bits(20), .taken = "2020-01-01T10:00:02"});
  options_.verify = true;
  const std::vector<std::string> gone = removable();
  std::set<std::string> left = {"plain.jpg", "copy.jpg", "sharp.jpg", "other.jpg"};
  for (const std::string& name : gone) EXPECT_EQ(left.erase(name), 1U) << name << " goes twice";
  for (const DuplicateGroup& group : groups()) {
    const std::vector<std::string> all = names(group);
    EXPECT_TRUE(std::ranges::any_of(all, [&](const std::string& name) { return left.contains(name); }))
        << "nothing is left of " << testing::PrintToString(all);
  }
}

TEST_F(DuplicatesTest, FilesThatAreGoneAreLeftOut) {
  plant("a.jpg", {.picture = "cat"});
  plant("b.jpg", {.picture = "cat"});
  plant("near1.jpg", {.phash = bits(20)});
  plant("near2.jpg", {.phash = bits(20)});
  plant("near3.jpg", {.phash = bits(20)});
  EXPECT_THAT(named(DuplicateKind::kExact), ElementsAre(ElementsAre("a.jpg", "b.jpg")));
  EXPECT_THAT(named(DuplicateKind::kNear), ElementsAre(SizeIs(3)));
  for (const char* name : {"/b.jpg", "/near2.jpg"})
    ASSERT_OK(set_state(*writer_, folder_ + name, store::FileState::kMissing));
  EXPECT_THAT(named(DuplicateKind::kExact), IsEmpty());
  EXPECT_THAT(named(DuplicateKind::kNear), ElementsAre(UnorderedElementsAre("near1.jpg", "near3.jpg")));
  for (const char* name : {"/a.jpg", "/near1.jpg", "/near3.jpg"})
    ASSERT_OK(set_state(*writer_, folder_ + name, store::FileState::kOffline));
  EXPECT_THAT(named(DuplicateKind::kNear), ElementsAre(UnorderedElementsAre("near1.jpg", "near3.jpg")));
}

TEST_F(DuplicatesTest, NearPicturesDoNotChain) {
  // 0 – 5 – 10: each is near to the next, the ends are not near to each other.
  plant("a.jpg", {.phash = bits(0)});
  plant("b.jpg", {.phash = bits(5)});
  plant("c.jpg", {.phash = bits(10)});
  plant("d.jpg", {.phash = bits(11)});
  EXPECT_THAT(named(DuplicateKind::kNear),
              ElementsAre(UnorderedElementsAre("a.jpg", "b.jpg"), UnorderedElementsAre("c.jpg", "d.jpg")));
}

TEST_F(DuplicatesTest, TheDistanceIsInclusive) {
  plant("a.jpg", {.phash = bits(0)});
  plant("b.jpg", {.phash = bits(6)});
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].files[0].distance, 0);
  EXPECT_EQ(found[0].files[1].distance, 6);
  options_.max_distance = 5;
  EXPECT_THAT(groups(), IsEmpty());
}

TEST_F(DuplicatesTest, TheBestComesFirstWithItsReasons) {
  plant("a_small.jpg", {.phash = 1, .width = 1000, .height = 750});
  plant("b_full.jpg", {.phash = 1, .quality = kSharp});
  plant("c_mid.jpg", {.phash = 1, .width = 2000, .height = 1500});
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_THAT(names(found[0]), ElementsAre("b_full.jpg", "a_small.jpg", "c_mid.jpg"));
  // c_mid.jpg is the next best: a quarter of the pixels, 0.4 less sharp.
  EXPECT_THAT(found[0].reasons, ElementsAre("more detail"));
}

TEST_F(DuplicatesTest, APersonsRatingOutweighsPixels) {
  plant("a.jpg", {.phash = 1});
  plant("b.jpg", {.phash = 1, .width = 1000, .height = 750});
  const auto asset = reader_->find_asset_by_path(folder_ + "/b.jpg");
  ASSERT_TRUE(asset.has_value());
  ASSERT_TRUE(writer_->set_user_rating(*asset, 5).has_value());
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_THAT(names(found[0]), ElementsAre("b.jpg", "a.jpg"));
  EXPECT_EQ(found[0].reasons.front(), "rated higher");
}

TEST_F(DuplicatesTest, SizesThatOverflowDoNoHarm) {
  plant("a.jpg", {.phash = 1, .width = 4294967295U, .height = 4294967295U});
  plant("b.jpg", {.phash = 1, .width = 1, .height = 1});
  EXPECT_THAT(named(DuplicateKind::kNear), ElementsAre(ElementsAre("a.jpg", "b.jpg")));
}

TEST_F(DuplicatesTest, BlankPicturesAreLikeNothing) {
  plant("a.jpg", {.phash = 1, .taken = "2020-01-01T10:00:00", .quality = kBlank});
  plant("b.jpg", {.phash = 1, .taken = "2020-01-01T10:00:01", .quality = kBlank});
  plant("c.jpg", {.phash = 1, .taken = "2021-01-01T10:00:00"});
  EXPECT_THAT(groups(), IsEmpty());
  plant("d.jpg", {.phash = 1, .quality = ""});  // not known to be blank
  EXPECT_THAT(named(DuplicateKind::kNear), ElementsAre(UnorderedElementsAre("c.jpg", "d.jpg")));
}

TEST_F(DuplicatesTest, BlankFilesWithTheSamePictureAreExact) {
  plant("a.jpg", {.quality = kBlank, .picture = "white"});
  plant("b.jpg", {.quality = kBlank, .picture = "white"});
  EXPECT_THAT(named(DuplicateKind::kExact), ElementsAre(SizeIs(2)));
}

TEST_F(DuplicatesTest, ABurstGoesOnWhilePhotosFollowSoonAndAlike) {
  plant_series({{bits(0), "2020-01-01T23:59:58"},
                {bits(10), "2020-01-02T00:00:01"},  // 3 s later, over midnight
                {bits(22), "2020-01-02T00:00:04"},  // as unlike the first as may be
                {bits(10), "2020-01-02T00:00:08"},  // 4 s: a burst of its own
                {bits(20), "2020-01-02T00:00:09"}});
  EXPECT_THAT(named(DuplicateKind::kBurst), UnorderedElementsAre(UnorderedElementsAre("s0.jpg", "s1.jpg", "s2.jpg"),
                                                                 UnorderedElementsAre("s3.jpg", "s4.jpg")));
}

TEST_F(DuplicatesTest, ABurstEndsWithAnotherSubject) {
  plant_series({{bits(0), "2020-01-01T10:00:00"},
                {bits(12), "2020-01-01T10:00:01"},
                {bits(40), "2020-01-01T10:00:02"},
                {bits(50), "2020-01-01T10:00:03"}});
  EXPECT_THAT(named(DuplicateKind::kBurst),
              UnorderedElementsAre(UnorderedElementsAre("s0.jpg", "s1.jpg"), UnorderedElementsAre("s2.jpg", "s3.jpg")));
  options_.burst_distance = 9;
  EXPECT_THAT(named(DuplicateKind::kBurst), IsEmpty());
}

TEST_F(DuplicatesTest, ABurstIsOfOneCameraWithAClock) {
  plant("a.jpg", {.phash = bits(0), .taken = "2020-01-01T10:00:00", .model = "D90"});
  plant("b.jpg", {.phash = bits(10), .taken = "2020-01-01T10:00:00", .model = "EOS"});
  plant("c.jpg", {.phash = bits(20), .taken = "2020-01-01T10:00:00", .model = ""});
  plant("d.jpg", {.phash = bits(10) << 20, .taken = "2020-01-01T10:00:00", .model = ""});
  plant("e.jpg", {.phash = bits(10) << 30, .model = "D90"});
  EXPECT_THAT(groups(), IsEmpty());
}

TEST_F(DuplicatesTest, PhotosOfADayAreNoBurst) {
  for (const auto precision : {TimePrecision::kDay, TimePrecision::kMinute}) {
    const std::string name(precision_name(precision));
    const std::uint64_t base = precision == TimePrecision::kDay ? 0 : bits(40) << 24;
    plant(name + "1.jpg", {.phash = base, .taken = "2020-01-01T00:00:00", .precision = precision});
    plant(name + "2.jpg", {.phash = base ^ bits(10), .taken = "2020-01-01T00:00:00", .precision = precision});
  }
  EXPECT_THAT(groups(), IsEmpty());
}

TEST_F(DuplicatesTest, TwoCamerasAtOnceMakeTwoBursts) {
  for (const char* model : {"D90", "EOS"}) {
    const std::uint64_t base = *model == 'D' ? 0 : bits(40) << 24;
    plant(std::string(model) + "1.jpg", {.phash = base, .taken = "2020-01-01T10:00:00", .model = model});
    plant(std::string(model) + "2.jpg", {.phash = base ^ bits(10), .taken = "2020-01-01T10:00:01", .model = model});
  }
  EXPECT_THAT(named(DuplicateKind::kBurst), UnorderedElementsAre(UnorderedElementsAre("D901.jpg", "D902.jpg"),
                                                                 UnorderedElementsAre("EOS1.jpg", "EOS2.jpg")));
}

TEST_F(DuplicatesTest, ABurstThatIsNearAsAWholeIsToldOnce) {
  plant_series({{bits(0), "2020-01-01T10:00:00"}, {bits(2), "2020-01-01T10:00:01"}});
  plant("later.jpg", {.phash = bits(4), .taken = "2022-01-01T10:00:01"});
  auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].kind, DuplicateKind::kNear);
  EXPECT_THAT(found[0].files, SizeIs(3));

  plant("s9.jpg", {.phash = bits(14), .taken = "2020-01-01T10:00:02"});  // not near: now the burst says more
  EXPECT_THAT(named(DuplicateKind::kNear), ElementsAre(SizeIs(3)));
  EXPECT_THAT(named(DuplicateKind::kBurst), ElementsAre(UnorderedElementsAre("s0.jpg", "s1.jpg", "s9.jpg")));
}

TEST_F(DuplicatesTest, ABurstOfTwoNearGroupsIsTold) {
  plant_series({{bits(0), "2020-01-01T10:00:00"},
                {bits(1), "2020-01-01T10:00:01"},
                {bits(14), "2020-01-01T10:00:02"},
                {bits(15), "2020-01-01T10:00:03"}});
  EXPECT_THAT(named(DuplicateKind::kNear), SizeIs(2));
  EXPECT_THAT(named(DuplicateKind::kBurst), ElementsAre(SizeIs(4)));
}

TEST_F(DuplicatesTest, RecordsThatAreDamagedArePassedOver) {
  const char* const kDamaged[] = {"null",
                                  "[]",
                                  "7",
                                  R"({"phash":7})",
                                  R"({"phash":"12"})",
                                  R"({"phash":"zzzzzzzzzzzzzzzz"})",
                                  R"({"dhash":"0000000000000001"})",
                                  R"({"phash":"0000000000000001"})"};  // and no colours
  int number = 0;
  for (const char* data : kDamaged) plant("damaged" + std::to_string(number++) + ".jpg", {.hash_record = data});
  EXPECT_THAT(groups(), IsEmpty());
  plant("a.jpg", {.phash = 1});
  plant("b.jpg", {.phash = 1});
  EXPECT_THAT(named(DuplicateKind::kNear), ElementsAre(ElementsAre("a.jpg", "b.jpg")));
}

TEST_F(DuplicatesTest, ADamagedQualityIsNone) {
  const char* const kDamaged[] = {
      "null", "{}", R"({"contrast":"high"})", R"({"score":1})",
      R"({"sharpness":1e300,"exposure":0.5,"contrast":0.5,"colourfulness":0.5,"noise":0.1,"score":0.5})"};
  int number = 0;
  for (const char* data : kDamaged)
    plant("damaged" + std::to_string(number++) + ".jpg", {.phash = 1, .width = 10, .quality = data});
  plant("whole.jpg", {.phash = 1});
  const auto found = groups();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_THAT(found[0].files, SizeIs(6));
  EXPECT_EQ(names(found[0]).front(), "whole.jpg");
}

TEST_F(DuplicatesTest, RecordsOfAnotherVersionDoNotCount) {
  plant("a.jpg", {.phash = 1});
  plant("b.jpg", {.phash = 1});
  options_.hash_stage.version = "3";
  EXPECT_THAT(groups(), IsEmpty());
}

TEST_F(DuplicatesTest, GroupsAreOrderedByKindThenPath) {
  plant("x1.jpg", {.phash = bits(60), .picture = "x"});
  plant("x2.jpg", {.phash = bits(60), .picture = "x"});
  plant("n1.jpg", {.phash = bits(1)});
  plant("n2.jpg", {.phash = bits(1)});
  plant("m1.jpg", {.phash = bits(30)});
  plant("m2.jpg", {.phash = bits(30)});
  plant("a1.jpg", {.phash = bits(15) << 40, .taken = "2020-01-01T10:00:00"});
  plant("a2.jpg", {.phash = bits(24) << 40, .taken = "2020-01-01T10:00:00"});
  std::vector<std::string> firsts;
  for (const DuplicateGroup& group : groups()) firsts.push_back(names(group).front());
  EXPECT_THAT(firsts, ElementsAre("x1.jpg", "m1.jpg", "n1.jpg", "a1.jpg"));
}

TEST_F(DuplicatesTest, SimilarPhotosComeNearestFirst) {
  plant("far.jpg", {.phash = bits(30)});
  plant("b.jpg", {.phash = bits(8)});
  plant("a.jpg", {.phash = bits(3)});
  plant("damaged.jpg", {.hash_record = "[1]"});
  plant("blank.jpg", {.phash = bits(18), .quality = kBlank});
  const auto similar = [&](std::vector<std::uint64_t> query, int distance, size_t limit) {
    std::vector<std::pair<std::string, int>> found;
    const auto photos = find_similar(*reader_, options_.hash_stage, query, distance, limit);
    EXPECT_OK(photos);
    if (!photos) return found;
    for (const SimilarPhoto& photo : *photos) found.emplace_back(file_name(photo.path), photo.distance);
    return found;
  };
  using testing::Pair;
  EXPECT_THAT(similar({0}, 18, 10), ElementsAre(Pair("a.jpg", 3), Pair("b.jpg", 8), Pair("blank.jpg", 18)));
  EXPECT_THAT(similar({0}, 17, 1), ElementsAre(Pair("a.jpg", 3)));
  EXPECT_THAT(similar({~std::uint64_t{0}, bits(29)}, 2, 10), ElementsAre(Pair("far.jpg", 1)));  // any variant
  EXPECT_THAT(similar({}, 18, 10), IsEmpty());
}

// One subject before several backgrounds.
class SubjectDuplicatesTest : public DuplicatesTest {
 protected:
  void plant_subject(const std::string& name, const PlantedPhoto& photo, const vision::SubjectLook& look) {
    plant(name, photo);
    const auto asset = reader_->find_asset_by_path(folder_ + "/" + name);
    ASSERT_OK(asset);
    ASSERT_OK(writer_->put_fact(*asset, store::SubjectFacts{{{"subject", 0.3, 0.9}}, vision::to_bytes(look)}));
  }
};

TEST_F(SubjectDuplicatesTest, AreGroupsOfTheirOwn) {
  vision::SubjectLook other{.phash = 3};
  other.shape.fill(0xFF);
  plant_subject("a.jpg", {.phash = 0}, {.phash = 0});
  plant_subject("b.jpg", {.phash = bits(30), .model = "X"}, {.phash = 3});
  plant_subject("c.jpg", {.phash = bits(44)}, {.phash = bits(40)});
  plant_subject("d.jpg", {.phash = bits(60)}, other);
  plant("e.jpg", {.phash = ~bits(30)});
  EXPECT_THAT(named(DuplicateKind::kSubject), ElementsAre(UnorderedElementsAre("a.jpg", "b.jpg")));
  EXPECT_THAT(named(DuplicateKind::kNear), IsEmpty());
  const auto all = groups();
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0].files[1].distance, 2);
  EXPECT_THAT(all[0].files[1].advantages, ElementsAre("another picture"));
  options_.kinds = {DuplicateKind::kNear, DuplicateKind::kBurst};
  EXPECT_THAT(groups(), IsEmpty());
}

// Whatever the other file has, and although the best one is better for certain.
TEST_F(SubjectDuplicatesTest, NothingInThemIsRemovable) {
  options_.verify = true;
  for (const auto& [name, bytes, quality] :
       {std::tuple("a.jpg", "aaaa", kSharp), std::tuple("b.jpg", "bb", kPlain), std::tuple("c.jpg", "c", kPlain)}) {
    plant_file(name, bytes, {.phash = bits(20 * (name[0] - 'a')), .quality = quality});
    const auto asset = reader_->find_asset_by_path(folder_ + "/" + name);
    ASSERT_OK(asset);
    ASSERT_OK(writer_->put_fact(*asset, store::SubjectFacts{{}, vision::to_bytes({})}));
  }
  EXPECT_THAT(named(DuplicateKind::kSubject), SizeIs(1));
  EXPECT_THAT(removable(), IsEmpty());
}

TEST_F(SubjectDuplicatesTest, OnePictureOrOneMomentIsNone) {
  plant_subject("a.jpg", {.phash = 0}, {});
  plant_subject("a_small.jpg", {.phash = bits(2), .width = 400, .height = 300}, {});
  EXPECT_THAT(named(DuplicateKind::kSubject), IsEmpty()) << "near";
  EXPECT_THAT(named(DuplicateKind::kNear), SizeIs(1));
  plant_subject("s1.jpg", {.phash = bits(30), .taken = "2020-01-01T10:00:00"}, {.phash = bits(32)});
  plant_subject("s2.jpg", {.phash = bits(60), .taken = "2020-01-01T10:00:01"}, {.phash = bits(32)});
  EXPECT_THAT(named(DuplicateKind::kSubject), IsEmpty()) << "shots of one moment";
  plant_subject("s3.jpg", {.phash = bits(50), .taken = "2021-01-01T10:00:01"}, {.phash = bits(32)});
  EXPECT_THAT(named(DuplicateKind::kSubject), ElementsAre(SizeIs(3)));
}

TEST_F(SubjectDuplicatesTest, ALookThatIsDamagedIsIgnored) {
  plant_subject("a.jpg", {.phash = 0}, {});
  plant_subject("b.jpg", {.phash = bits(30)}, {});
  const auto asset = reader_->find_asset_by_path(folder_ + "/b.jpg");
  ASSERT_OK(writer_->put_fact(*asset, store::SubjectFacts{{}, "short"}));
  EXPECT_THAT(groups(), IsEmpty());
}

}  // namespace
}  // namespace image_engine::search
