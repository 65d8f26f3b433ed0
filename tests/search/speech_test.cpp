// What is said and heard, as a person asks for it, beside what is seen at the same time.
#include <gmock/gmock.h>

#include "tests/search/fixture.h"
#include "tests/support/speech.h"

namespace image_engine::search {
namespace {

using store::MomentKind;
using store::TextField;
using store::Why;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class SpeechSearchTest : public SearchedTest {
 protected:
  void SetUp() override {
    SearchedTest::SetUp();
    ASSERT_OK(writer_->add_root("/p", 1));
    party_ = add("party.mp4");
    ASSERT_OK(put_speech(*writer_, party_,
                         {{10, 14, "Who wants some cake?"}, {30, 32, "Happy birthday"}, {60, 64, "the cake is gone"}}));
    for (int i = 0; i < 70; ++i) ASSERT_OK(see(party_, i, 12 <= i && i < 40 ? "person" : "table"));
    ASSERT_OK(hear(party_, 0, 28, 40, "music"));
    ASSERT_OK(hear(party_, 1, 0, 70, "speech"));
    ASSERT_OK(writer_->put_record(
        party_, {{"objects", "m", "1", ""}, "", "", "{}", ""},
        std::vector<store::Fact>{store::CountFacts{TextField::kObjects, {{"person", 1, 0.9}, {"table", 1, 0.9}}}}));
    ASSERT_OK(writer_->put_record(
        party_, {{"sounds", "m", "1", ""}, "", "", "{}", ""},
        std::vector<store::Fact>{store::ClassFacts{TextField::kSound, {{"music", 0.9, {}}, {"speech", 0.8, {}}}}}));
    const store::AssetId memo = add("memo.mp4");
    ASSERT_OK(put_speech(*writer_, memo, {{5, 9, "Buy music cakes and candles"}}));
    ASSERT_OK(add_photo(seen("/p/cake.jpg"), titled("cake"), "cake.jpg"));
    writer_.reset();
    open_reader();
  }
  store::AssetId add(const std::string& name) {
    store::FileObservation video = seen("/p/" + name);
    video.kind = MediaKind::kVideo;
    video.format = MediaFormat::kMp4;
    return *add_photo(video, {}, name);
  }
  Status see(store::AssetId asset, int second, const std::string& object) {
    IE_CHECK(writer_->put_moment(asset, {second + 1, MomentKind::kFrame, second + 0.0, second + 1.0}));
    return writer_->put_moment_record(
        asset, {second + 1, "objects", "{}"},
        std::vector<store::Fact>{store::CountFacts{TextField::kObjects, {{object, 1, 0.9}}}});
  }
  Status hear(store::AssetId asset, int number, double from, double to, const std::string& sound) {
    const store::MomentId moment = store::kFirstSoundMoment + number;
    IE_CHECK(writer_->put_moment(asset, {moment, MomentKind::kSound, from, to}));
    return writer_->put_moment_record(
        asset, {moment, "sounds", ""},
        std::vector<store::Fact>{store::ClassFacts{TextField::kSound, {{sound, 0.9, {}}}}});
  }
  // "10–14: WHY, WHY" for each moment of the first result.
  std::vector<std::string> moments(const std::string& query) const {
    std::vector<std::string> lines;
    const SearchResults found = results(query);
    if (found.results.empty()) return lines;
    for (const store::FoundMoment& moment : found.results.front().moments) {
      std::string line =
          std::to_string(static_cast<int>(moment.from)) + "-" + std::to_string(static_cast<int>(moment.to));
      for (const Why& why : moment.why) line += " [" + why.field + ": " + why.text + "]";
      lines.push_back(line);
    }
    return lines;
  }

  store::AssetId party_ = 0;
};

TEST_F(SpeechSearchTest, FieldsPhrasesPrefixesAndExclusionsWorkAsInOtherFields) {
  EXPECT_THAT(names(results("said:cake")), UnorderedElementsAre("party.mp4", "memo.mp4"));
  EXPECT_THAT(names(results("said:\"cake\"")), ElementsAre("party.mp4"));
  EXPECT_THAT(names(results("said:\"happy birthday\"")), ElementsAre("party.mp4"));
  EXPECT_THAT(names(results("said:\"cake happy\"")), ElementsAre("party.mp4"));
  EXPECT_THAT(names(results("said:birth*")), ElementsAre("party.mp4"));
  EXPECT_THAT(names(results("said:candles -said:birthday")), ElementsAre("memo.mp4"));
  EXPECT_THAT(names(results("cake")), UnorderedElementsAre("cake.jpg", "party.mp4", "memo.mp4"));
  EXPECT_THAT(names(results("\"wants some cake\"")), ElementsAre("party.mp4"));
  EXPECT_THAT(names(results("title:cake")), ElementsAre("cake.jpg"));
  EXPECT_THAT(results("said:cake").notes, IsEmpty());
}

TEST_F(SpeechSearchTest, SoundsAreNotWords) {
  EXPECT_THAT(names(results("sound:music")), ElementsAre("party.mp4"));
  EXPECT_THAT(names(results("said:music")), ElementsAre("memo.mp4"));
  EXPECT_THAT(names(results("music")), UnorderedElementsAre("party.mp4", "memo.mp4"));
  EXPECT_THAT(moments("sound:music"), ElementsAre("28-40 [sound: music 0.90]"));
  EXPECT_THAT(moments("sound:speech"), ElementsAre("0-70 [sound: speech 0.90]"));
  EXPECT_THAT(results("sound:music").results.at(0).why, ElementsAre(Why{"sound", "music 0.90"}));
}

TEST_F(SpeechSearchTest, WhatIsSaidSeenAndHeardAtOneTimeIsOneLine) {
  EXPECT_THAT(moments("said:\"cake\""),
              ElementsAre("10-14 [said: 0:12 Who wants some cake? Happy birthday the cake is gone]",
                          "60-64 [said: 1:00 Who wants some cake? Happy birthday the cake is gone]"));
  EXPECT_THAT(
      moments("said:cake object:person"),
      ElementsAre("10-14 [said: 0:12 Who wants some cake? Happy birthday the cake is gone] [object: person 0.90]"));
  EXPECT_THAT(
      moments("said:birthday object:person sound:music"),
      ElementsAre("30-32 [said: 0:30 Who wants some cake? Happy birthday the cake is gone] [object: person 0.90] "
                  "[sound: music 0.90]"));
  EXPECT_THAT(moments("sound:music object:person"), ElementsAre("28-40 [object: person 0.90] [sound: music 0.90]"));
}

TEST_F(SpeechSearchTest, ANoteTellsThatNothingHasBeenHeard) {
  const std::string empty = scratch_.path() + "/empty.db";
  {
    auto lock = store::WriterLock::acquire(empty, "test");
    ASSERT_OK(lock);
    ASSERT_OK(store::CatalogueWriter::open(empty, std::move(*lock)));
  }
  const auto reader = store::CatalogueReader::open(empty);
  ASSERT_OK(reader);
  for (const char* field : {"said", "sound"})
    EXPECT_THAT(search(*reader, std::string(field) + ":word")->notes,
                ElementsAre("nothing has been analysed for " + std::string(field) + ": yet, so it finds nothing"));
}

}  // namespace
}  // namespace image_engine::search
