// What is said, as one text of its asset.
#include <gmock/gmock.h>

#include "store/sql.h"
#include "tests/support/catalogue.h"
#include "tests/support/speech.h"

namespace image_engine::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class SpeechTest : public WrittenTest {
 protected:
  void SetUp() override {
    WrittenTest::SetUp();
    asset_ = add("1.mp4");
  }
  AssetId add(const std::string& name) {
    FileObservation video = seen("/p/" + name);
    video.kind = MediaKind::kVideo;
    video.format = MediaFormat::kMp4;
    return writer_->set_content(writer_->upsert_file(video, run_)->id, hash128("file " + name), hash128(name))->asset;
  }
  FoundAssets find(TextField field, const std::string& text, bool prefix = false) const {
    AssetQuery query;
    query.filters = {{TextCondition{field, text, prefix}, false}};
    auto found = reader().find(query);
    EXPECT_OK(found);
    return found ? *found : FoundAssets();
  }
  std::size_t said(const std::string& text) const { return find(TextField::kSaid, text).total; }
  // The times of the words, rounded to whole seconds.
  std::vector<int> times(const std::string& text) const {
    std::vector<int> times;
    const FoundAssets found = find(TextField::kSaid, text);
    for (const FoundAsset& asset : found.assets)
      for (const FoundMoment& moment : asset.moments) times.push_back(static_cast<int>(moment.at + 0.5));
    return times;
  }

  AssetId asset_ = 0;
};

TEST_F(SpeechTest, APhraseIsFoundAcrossThreeSegments) {
  ASSERT_OK(
      put_speech(*writer_, asset_, {{0, 4, "It was the best"}, {40, 44, "of"}, {50, 54, "times, it was the worst"}}));
  EXPECT_EQ(said("BEST of Times"), 1U);
  EXPECT_EQ(said("best times"), 0U);
  EXPECT_EQ(find(TextField::kAny, "best of times").total, 1U);
  EXPECT_EQ(find(TextField::kText, "best of times").total, 0U);
  EXPECT_EQ(find(TextField::kScene, "best").total, 0U);
  const FoundAsset found = find(TextField::kSaid, "best of times").assets.at(0);
  ASSERT_THAT(found.moments, SizeIs(1));
  EXPECT_EQ(found.moments[0].from, 0);
  EXPECT_EQ(found.moments[0].to, 54);
  EXPECT_NEAR(found.moments[0].at, 2.7, 0.4) << "the time of the word, not of the segment";
  EXPECT_THAT(found.why, ElementsAre(Why{"said", "0:02 It was the best of times, it was the worst"}));
  EXPECT_EQ(found.moments[0].why, found.why);
}

TEST_F(SpeechTest, ARepeatedWordIsFoundEachTime) {
  ASSERT_OK(put_speech(
      *writer_, asset_,
      {{0, 2, "cake"}, {10, 12, "no bread"}, {20, 22, "Cake, cake!"}, {30, 32, "a cupcake"}, {3600, 3604, "cake"}}));
  EXPECT_THAT(times("cake"), ElementsAre(0, 20, 3600));
  AssetQuery query;
  query.filters = {{TextCondition{TextField::kSaid, "cake", false}, false}};
  query.most_moments = 2;
  EXPECT_THAT(reader().find(query)->assets.at(0).moments, SizeIs(2));
}

TEST_F(SpeechTest, PhrasesAcrossSegmentsAreAsManyTimesAsAskedFor) {
  std::vector<PlantedSegment> segments;
  for (int i = 0; i < 10; ++i)
    segments.insert(segments.end(), {{i * 10.0, i * 10.0 + 2, "the best"}, {i * 10.0 + 3, i * 10.0 + 5, "of times"}});
  ASSERT_OK(put_speech(*writer_, asset_, segments));
  AssetQuery query;
  query.filters = {{TextCondition{TextField::kSaid, "best of", false}, false}};
  query.most_moments = 3;
  const FoundAsset found = reader().find(query)->assets.at(0);
  ASSERT_THAT(found.moments, SizeIs(3));
  EXPECT_EQ(found.moments[2].from, 20);
  EXPECT_EQ(found.moments[2].to, 25) << "to the end of the phrase";
  EXPECT_FALSE(found.moments[2].score.has_value());
}

TEST_F(SpeechTest, TheSurestPassagesAreChosenAndShownByTime) {
  std::vector<PlantedSegment> segments;
  for (int i = 0; i < 8; ++i) segments.push_back({i * 10.0, i * 10.0 + 5, "passage " + std::to_string(i)});
  ASSERT_OK(put_speech(*writer_, asset_, segments));
  AssetQuery query;
  query.most_moments = 2;
  query.more = [&](const IdSet&) -> Result<std::vector<Relevant>> {
    std::vector<Relevant> found;
    for (int i = 0; i < 8; ++i)
      found.push_back({asset_, i == 3 || i == 6 ? 0.5 + i / 10.0 : 0.55, {"like", ""}, kFirstSpeechMoment + i});
    return found;
  };
  const FoundAsset found = reader().find(query)->assets.at(0);
  ASSERT_THAT(found.moments, SizeIs(2));
  EXPECT_EQ(found.moments[0].from, 30);
  EXPECT_THAT(found.moments[0].score, testing::Optional(0.8));
  EXPECT_EQ(found.moments[1].from, 60);
}

TEST_F(SpeechTest, AQuoteHasAFewWordsAround) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += (i == 0 ? "w" : " w") + std::to_string(i);
  ASSERT_OK(put_speech(*writer_, asset_, {{60, 80, text}, {81, 82, "w40 end"}}));
  const auto quote = [&](const std::string& word) { return find(TextField::kSaid, word).assets.at(0).why.at(0).text; };
  EXPECT_EQ(quote("w20"), "1:09 …w12 w13 w14 w15 w16 w17 w18 w19 w20 w21 w22 w23 w24 w25 w26 w27 w28…");
  EXPECT_EQ(quote("w2"), "1:00 w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10…");
  EXPECT_EQ(quote("w40"), "1:21 …w32 w33 w34 w35 w36 w37 w38 w39 w40 end");
}

TEST_F(SpeechTest, ApostrophesHyphensNumbersAndAccentsAreWordsAsElsewhere) {
  ASSERT_OK(put_speech(*writer_, asset_, {{0, 9, "It's a well-known café, isn't it?"}, {10, 12, "In 1859 for $3.50"}}));
  for (const char* text : {"it's", "well-known", "well known", "cafe", "isn't it", "1859", "3.50", "it in 1859"})
    EXPECT_EQ(said(text), 1U) << text;
  for (const char* text : {"its", "185", "known well", "-", "'", ""}) EXPECT_EQ(said(text), 0U) << text;
  EXPECT_EQ(find(TextField::kSaid, "caf", true).total, 1U);
}

TEST_F(SpeechTest, ScriptsWithoutSpacesAreFoundAnywhere) {
  ASSERT_OK(put_speech(*writer_, asset_, {{0, 4, "今天天气很好"}, {4, 8, "我们去海边"}, {9, 12, "OK 再见"}}));
  for (const char* text : {"天气", "天气很好", "很好我们去", "海", "再见"}) EXPECT_EQ(said(text), 1U) << text;
  EXPECT_EQ(said("海天"), 0U);
  EXPECT_EQ(said("ok"), 1U);
  EXPECT_EQ(find(TextField::kAny, "海边").total, 1U);
  EXPECT_THAT(times("海边"), ElementsAre(6));
  EXPECT_THAT(times("很好我们"), ElementsAre(3));
  EXPECT_THAT(find(TextField::kSaid, "天气").assets.at(0).why.at(0).text, HasSubstr("天气很好"));
}

TEST_F(SpeechTest, OneOrTwoCharactersOfAScriptWithoutSpacesAreFoundByTheIndex) {
  ASSERT_OK(put_speech(*writer_, asset_, {{0, 4, "ЖA海边很好"}, {9, 12, "再见"}}));
  const AssetId one = add("2.mp4");
  ASSERT_OK(put_speech(*writer_, one, {{0, 4, "海"}}));
  // The index folds the case of all letters, comparing texts that of ASCII.
  for (const char* text : {"жa海", "a海", "A海", "边", "很好", "再", "再见", "见"}) EXPECT_EQ(said(text), 1U) << text;
  EXPECT_EQ(said("ж海"), 0U);
  for (const char* text : {"再好", "天", "海%", "_海", "\"海", "海\"", "海*"}) EXPECT_EQ(said(text), 0U) << text;
  EXPECT_EQ(said("海"), 2U) << "also where nothing else is said";
  EXPECT_THAT(times("再见"), ElementsAre(9));
  ASSERT_OK(writer_->drop_moments(one, kSpeechMoments));
  EXPECT_EQ(said("海"), 1U);
  writer_.reset();
  expect_sound();
}

// The letters are in the index, not in the text: a search that reads texts does not find it.
TEST_F(SpeechTest, ShortTextIsTheBeginningOfATrigram) {
  Connection connection("trigrams", Access::kMemory);
  connection.execute("CREATE VIRTUAL TABLE t USING fts5(a, content = '', tokenize = 'trigram')");
  connection.execute("INSERT INTO t(rowid, a) VALUES(1, '今天天气很好'), (2, 'Ж天')");
  const auto found = [&](const char* expression) {
    return connection.integer("SELECT coalesce(sum(rowid), 0) FROM t WHERE t MATCH ?", expression);
  };
  EXPECT_EQ(found("\"天\" *"), 1);
  EXPECT_EQ(found("\"天气\" *"), 1);
  EXPECT_EQ(found("\"天气很\""), 1);
  EXPECT_EQ(found("\"天气\""), 0) << "not its beginning";
  EXPECT_EQ(found("\"好\" *"), 0) << "nothing follows";
}

TEST_F(SpeechTest, ALongRecordingIsFoundToItsEnd) {
  std::vector<PlantedSegment> segments;
  for (int i = 0; i < 10'000; ++i)
    segments.push_back({i * 4.0, i * 4.0 + 4, "one two three four five six seven eight nine n" + std::to_string(i)});
  ASSERT_OK(writer_->begin());
  ASSERT_OK(put_speech(*writer_, asset_, segments));
  ASSERT_OK(writer_->commit());
  EXPECT_THAT(times("n9999"), ElementsAre(40'000));
  EXPECT_EQ(said("nine n9998 one two"), 1U);
  const FoundAsset found = find(TextField::kSaid, "one").assets.at(0);
  EXPECT_THAT(found.moments, SizeIs(1000)) << "no more than asked for";
  EXPECT_EQ(found.moments.at(999).from, 999 * 4);
}

TEST_F(SpeechTest, HostileTextDoesNoHarm) {
  const std::string nul("a\0b", 3);
  ASSERT_OK(put_speech(*writer_, asset_,
                       {{0, 1, "\"; DROP TABLE assets; --"},
                        {1, 2, nul},
                        {2, 3, "\x1b[31m red\nline\x7f"},
                        {3, 4, "\xff\xfe broken"},
                        {4, 5, ""},
                        {5, 6, "?!"},
                        {6, 7, "last said : * NEAR(a b)"}}));
  for (const char* text : {"drop table", "red line", "broken", "last", "\"drop\"", "assets a b", "broken last"})
    EXPECT_EQ(said(text), 1U) << text;
  EXPECT_EQ(said("\") OR said : (\""), 0U);
  EXPECT_EQ(times("last").at(0), 6);
  const std::string quote = find(TextField::kSaid, "red").assets.at(0).why.at(0).text;
  EXPECT_EQ(quote.find('\n'), std::string::npos);
  EXPECT_EQ(quote.find('\x1b'), std::string::npos);
}

TEST_F(SpeechTest, IsFoundWithTheRecordOrWhenAskedFor) {
  ASSERT_OK(put_speech(*writer_, asset_, {{0, 2, "first words"}}, false));
  EXPECT_EQ(said("first"), 0U);
  EXPECT_FALSE(*reader().is_analysed(TextField::kSaid, ""));
  ASSERT_OK(writer_->index_speech(asset_));
  EXPECT_EQ(said("first"), 1U);
  EXPECT_TRUE(*reader().is_analysed(TextField::kSaid, ""));
  EXPECT_EQ(writer_->index_speech(99).error().code, ErrorCode::kNotFound);
}

TEST_F(SpeechTest, NoWordOfAnEarlierAnalysisIsFound) {
  ASSERT_OK(put_speech(*writer_, asset_, {{0, 2, "stale words"}, {2, 4, "陈旧的话"}}));
  ASSERT_OK(writer_->drop_moments(asset_, kPictureMoments));
  EXPECT_EQ(said("stale"), 1U);
  ASSERT_OK(writer_->drop_moments(asset_, kSpeechMoments));
  EXPECT_EQ(said("stale"), 0U);
  EXPECT_EQ(said("陈旧的"), 0U);
  ASSERT_OK(put_speech(*writer_, asset_, {{0, 2, "fresh words"}}));
  EXPECT_EQ(said("stale words"), 0U);
  EXPECT_EQ(said("fresh words"), 1U);
  ASSERT_OK(writer_->drop_moment_records(asset_, "speech", TextField::kSaid));
  EXPECT_EQ(said("fresh"), 0U);
  EXPECT_FALSE(writer_->put_fact(asset_, TextFacts{TextField::kSaid, {"of no moment"}}).has_value());
}

TEST_F(SpeechTest, WordsWithoutTimesAreSpreadOverTheirSegment) {
  ASSERT_OK(writer_->put_moment(asset_, {kFirstSpeechMoment, MomentKind::kSpeech, 10, 20}));
  ASSERT_OK(writer_->put_moment_record(asset_, {kFirstSpeechMoment, "speech", "[damaged"},
                                       std::vector<Fact>{TextFacts{TextField::kSaid, {"aaaa bbbb cccc dddd"}}}));
  ASSERT_OK(writer_->index_speech(asset_));
  EXPECT_THAT(times("cccc"), ElementsAre(15));
}

TEST_F(SpeechTest, GoesWithItsAssetAndStaysWhenFilesMove) {
  const AssetId other = add("2.mp4");
  ASSERT_OK(put_speech(*writer_, asset_, {{0, 2, "goes away"}, {2, 4, "再见了"}}));
  ASSERT_OK(put_speech(*writer_, other, {{0, 2, "stays here"}}));
  ASSERT_OK(writer_->set_file_state(std::vector<FileId>{writer_->files_of(asset_)->at(0).id}, FileState::kMissing));
  EXPECT_EQ(said("goes"), 0U) << "its file is missing";
  writer_.reset();
  expect_sound();
  const auto lock = WriterLock::acquire(path_, "test");
  ASSERT_OK(prune(path_, *lock, {}));
  expect_sound();
  ASSERT_OK(relocate(path_, *lock, "/p", "/q", false));
  expect_sound();
  EXPECT_EQ(said("goes"), 0U);
  EXPECT_EQ(find(TextField::kSaid, "stays here").assets.at(0).path, "/q/2.mp4");
  Connection connection(path_, Access::kRead);
  EXPECT_EQ(connection.integer("SELECT count(*) FROM asset_speech"), 1);
  EXPECT_EQ(connection.integer("SELECT count(*) FROM asset_speech_trigram"), 0);
}

TEST_F(SpeechTest, DoesNotLowerTheRankOfOtherWords) {
  const AssetId other = add("cake.mp4");
  std::vector<PlantedSegment> segments;
  for (int i = 0; i < 500; ++i) segments.push_back({i * 2.0, i * 2.0 + 2, "nothing but talk"});
  ASSERT_OK(put_speech(*writer_, other, segments));
  ASSERT_OK(put_speech(*writer_, asset_, {{0, 2, "cake"}}));
  AssetQuery query;
  query.words = {{TextField::kAny, "cake", false}};
  const auto found = reader().find(query);
  ASSERT_OK(found);
  ASSERT_THAT(found->assets, SizeIs(2));
  EXPECT_EQ(found->assets[0].id, other) << "in a name it weighs more than in speech";
  // Words of one field each.
  query.words = {
      {TextField::kName, "cake", false}, {TextField::kSaid, "talk", false}, {TextField::kSound, "talk", false}};
  EXPECT_EQ(reader().find(query)->assets.at(0).id, other);
}

}  // namespace
}  // namespace image_engine::store
