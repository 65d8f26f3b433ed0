// Observations below an asset.
#include "store/moments.h"

#include <gmock/gmock.h>

#include <limits>
#include <map>

#include "tests/support/catalogue.h"
#include "types/half.h"

namespace image_engine::store {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

class MomentsTest : public WrittenTest {
 protected:
  void SetUp() override {
    WrittenTest::SetUp();
    file_ = writer_->upsert_file(seen("/p/1.mp4"), run_)->id;
    asset_ = writer_->set_content(file_, hash128("file"), hash128("one"))->asset;
  }
  Status put(MomentId id, double from, double to, MomentKind kind = MomentKind::kFrame) {
    return writer_->put_moment(asset_, {id, kind, from, to});
  }
  FileId file_ = 0;
  AssetId asset_ = 0;
};

TEST_F(MomentsTest, AreReadByTime) {
  ASSERT_OK(put(2, 5, 9.5));
  ASSERT_OK(put(1, 0, 5));
  ASSERT_OK(put(3, 0, 60, MomentKind::kScene));
  const auto moments = *reader().moments(asset_);
  ASSERT_THAT(moments, SizeIs(3));
  EXPECT_EQ(moments[0].id, 1);
  EXPECT_EQ(moments[1].kind, MomentKind::kScene);
  EXPECT_EQ(moments[2].from, 5);
  EXPECT_EQ(moments[2].to, 9.5);
  ASSERT_OK(put(2, 5, 6));
  EXPECT_EQ(reader().moments(asset_)->at(2).to, 6);
}

TEST_F(MomentsTest, HaveRecordsAndThingsOfTheirOwn) {
  ASSERT_OK(put(1, 0, 1));
  ASSERT_OK(put(2, 1, 2));
  ASSERT_OK(writer_->put_moment_record(asset_, {1, "objects", R"({"objects": []})"},
                                       std::vector<Fact>{CountFacts{TextField::kObjects, {{"dog", 2, 0.9}}}}));
  ASSERT_OK(
      writer_->put_moment_record(asset_, {2, "text", "{}"},
                                 std::vector<Fact>{TextFacts{TextField::kText, {"HAPPY BIRTHDAY", "exit"}},
                                                   ClassFacts{TextField::kScene, {{"birthday party", 0.7, {}}}}}));
  const auto records = *reader().moment_records(asset_);
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_EQ(records[0].stage, "objects");
  EXPECT_EQ(records[1].moment, 2);
  const auto things = *reader().moment_things(asset_);
  ASSERT_THAT(things, SizeIs(4));
  EXPECT_EQ(things[0].name, "dog");
  EXPECT_EQ(things[0].count, 2);
  EXPECT_EQ(things[1].field, TextField::kScene);
  EXPECT_EQ(things[2].name, "exit");
  // They are what search knows of the moment, not of the asset.
  EXPECT_EQ(count_found("dog"), 0U);
  // A stage that runs again replaces what it found.
  ASSERT_OK(writer_->put_moment_record(asset_, {1, "objects", "{}"},
                                       std::vector<Fact>{CountFacts{TextField::kObjects, {{"cat", 1, 0.8}}}}));
  EXPECT_EQ(reader().moment_things(asset_)->at(0).name, "cat");
  EXPECT_THAT(*reader().moment_things(asset_), SizeIs(4));
}

TEST_F(MomentsTest, ThatAreNoneAreRefused) {
  EXPECT_EQ(put(0, 0, 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(put(1, 2, 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(put(1, 0, std::numeric_limits<double>::infinity()).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(writer_->put_moment(99, {1, MomentKind::kFrame, 0, 1}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(writer_->put_moment_record(asset_, {1, "objects", "{}"}).error().code, ErrorCode::kNotFound);
  EXPECT_THAT(*reader().moments(asset_), IsEmpty());
}

class MomentVectorsTest : public MomentsTest {
 protected:
  using Half = std::vector<std::uint16_t>;
  void SetUp() override {
    MomentsTest::SetUp();
    space_ = writer_->open_space(key_, 2)->id;
    for (const MomentId moment : {1, 2}) ASSERT_OK(put(moment, moment, moment + 1));
    ASSERT_OK(embed(1, {1, 0}));
    ASSERT_OK(embed(2, {0, 1}));
  }
  Status embed(MomentId moment, std::vector<float> vector) {
    return writer_->put_moment_record(asset_, {moment, "embedding", ""},
                                      std::vector<Fact>{VectorFact{key_, std::move(vector)}});
  }
  std::map<VectorId, Half> changes(std::int64_t generation) const {
    std::map<VectorId, Half> found;
    EXPECT_OK(reader().changed_vectors(space_, generation, [&](VectorId id, auto vector) -> Status {
      found[id] = {vector.begin(), vector.end()};
      return {};
    }));
    return found;
  }
  Space space() const { return reader().spaces("embedding")->front(); }
  const StageKey key_{"embedding", "clip", "1", "p"};
  const Half left_ = to_half(std::vector<float>{1, 0}), up_ = to_half(std::vector<float>{0, 1});
  SpaceId space_ = 0;
};

TEST_F(MomentVectorsTest, HaveIdsOfTheirOwn) {
  ASSERT_OK(writer_->put_vector(asset_, space_, left_));
  const VectorId first = vector_id(asset_, 1), second = vector_id(asset_, 2);
  EXPECT_THAT(changes(0), ElementsAre(Pair(asset_, left_), Pair(first, left_), Pair(second, up_)));
  EXPECT_EQ(asset_of(second), asset_);
  EXPECT_EQ(moment_of(second), 2);
  EXPECT_EQ(moment_of(asset_), 0);
  EXPECT_EQ(space().vectors, 3);
  EXPECT_EQ(**reader().vector_of(space_, second), up_);
  EXPECT_EQ(**reader().vector_of(space_, asset_), left_);
  EXPECT_FALSE(reader().vector_of(space_, vector_id(asset_, 3))->has_value());
  EXPECT_THAT(*reader().moment_vectors(space_, asset_), ElementsAre(Pair(1, left_), Pair(2, up_)));
  // A vector is a fact: it has no record.
  EXPECT_THAT(*reader().moment_records(asset_), IsEmpty());
  EXPECT_THAT(*reader().assets_without(space_, key_), ElementsAre(asset_));
}

TEST_F(MomentVectorsTest, ChangesAreToldByGeneration) {
  const auto before = space().generation;
  ASSERT_OK(embed(1, {1, 0}));
  EXPECT_EQ(space().generation, before) << "the same vector is no change";
  ASSERT_OK(embed(1, {0, 1}));
  EXPECT_THAT(changes(before), ElementsAre(Pair(vector_id(asset_, 1), up_)));
  const auto then = space().generation;
  ASSERT_OK(writer_->drop_moments(asset_, kPictureMoments));
  EXPECT_THAT(changes(then), ElementsAre(Pair(vector_id(asset_, 1), Half{}), Pair(vector_id(asset_, 2), Half{})));
  EXPECT_EQ(space().vectors, 0);
}

TEST_F(MomentVectorsTest, GoWithTheirSpace) {
  ASSERT_OK(writer_->drop_space(space_));
  Connection connection(path_, Access::kWrite);
  EXPECT_EQ(connection.integer("SELECT count(*) FROM moment_embeddings"), 0);
}

TEST_F(MomentVectorsTest, AreOfTheirSpacesLength) {
  EXPECT_EQ(embed(1, {1, 0, 0}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(embed(3, {1, 0}).error().code, ErrorCode::kNotFound) << "there is no such moment";
}

TEST_F(MomentsTest, GoWithTheirAsset) {
  ASSERT_OK(put(1, 0, 1));
  ASSERT_OK(writer_->put_moment_record(asset_, {1, "objects", "{}"},
                                       std::vector<Fact>{CountFacts{TextField::kObjects, {{"dog", 2, 0.9}}}}));
  ASSERT_OK(writer_->put_progress(asset_, "video", AnalysisProgress{"key", "{}"}));
  EXPECT_EQ((*reader().progress(asset_, "video"))->key, "key");
  Connection connection(path_, Access::kWrite);
  connection.execute("DELETE FROM files");
  connection.execute("DELETE FROM assets");
  connection.execute("DELETE FROM asset_text");
  for (const char* table : {"moments", "moment_records", "moment_things", "analysis_progress"})
    EXPECT_EQ(connection.integer(std::string("SELECT count(*) FROM ") + table), 0) << table;
}

TEST_F(MomentsTest, AreDroppedTogether) {
  ASSERT_OK(put(1, 0, 1));
  ASSERT_OK(writer_->put_moment_record(asset_, {1, "objects", "{}"},
                                       std::vector<Fact>{CountFacts{TextField::kObjects, {{"dog", 2, 0.9}}}}));
  ASSERT_OK(writer_->put_progress(asset_, "video", AnalysisProgress{"key", "{}"}));
  ASSERT_OK(writer_->drop_moments(asset_, kPictureMoments));
  EXPECT_THAT(*reader().moments(asset_), IsEmpty());
  EXPECT_THAT(*reader().moment_records(asset_), IsEmpty());
  EXPECT_THAT(*reader().moment_things(asset_), IsEmpty());
  EXPECT_EQ((*reader().progress(asset_, "video"))->key, "key");
}

TEST_F(MomentsTest, OfOtherRangesStayWhenAPassDropsItsOwn) {
  ASSERT_OK(put(1, 0, 1));
  ASSERT_OK(put(2, 0, 9, MomentKind::kScene));
  ASSERT_OK(put(kFirstSpeechMoment, 0, 4, MomentKind::kSpeech));
  ASSERT_OK(put(kFirstSpeechMoment + 1, 4, 8, MomentKind::kSpeech));
  ASSERT_OK(put(kFirstSoundMoment, 0, 8, MomentKind::kSound));
  const std::pair<MomentRange, std::vector<MomentKind>> drops[] = {
      {kPictureMoments, {MomentKind::kSpeech, MomentKind::kSound, MomentKind::kSpeech}},
      {kSpeechMoments, {MomentKind::kSound}},
      {kSoundMoments, {}}};
  for (const auto& [range, left] : drops) {
    ASSERT_OK(writer_->drop_moments(asset_, range));
    std::vector<MomentKind> kinds;
    const auto moments = *reader().moments(asset_);
    for (const Moment& moment : moments) kinds.push_back(moment.kind);
    EXPECT_EQ(kinds, left);
  }
}

TEST_F(MomentsTest, OneStageIsDroppedAlone) {
  ASSERT_OK(put(1, 0, 1));
  for (const auto& [stage, field] : {std::pair("description", TextField::kCaption), {"text", TextField::kText}})
    ASSERT_OK(writer_->put_moment_record(asset_, {1, stage, "{}"}, std::vector<Fact>{TextFacts{field, {"a cake"}}}));
  ASSERT_OK(writer_->drop_moment_records(asset_, "description", TextField::kCaption));
  ASSERT_THAT(*reader().moment_records(asset_), SizeIs(1));
  EXPECT_EQ(reader().moment_records(asset_)->at(0).stage, "text");
  ASSERT_THAT(*reader().moment_things(asset_), SizeIs(1));
  EXPECT_EQ(reader().moment_things(asset_)->at(0).field, TextField::kText);
}

TEST_F(MomentsTest, RecordsByAnotherKeyGoWithWhatTheyDescribe) {
  for (const char* version : {"1", "2"})
    ASSERT_OK(writer_->put_record(asset_, {{"objects", "m", version, ""}, "", "", "{}", ""}));
  ASSERT_OK(writer_->put_record(asset_, {{"text", "m", "1", ""}, "", "", "{}", ""}));
  ASSERT_OK(writer_->drop_other_records(asset_, {"objects", "m", "2", ""}));
  const auto records = reader().asset_record(asset_)->records;
  ASSERT_THAT(records, SizeIs(2));
  for (const Record& record : records) EXPECT_EQ(record.key.version, record.key.stage == "objects" ? "2" : "1");
}

TEST_F(MomentsTest, ProgressEndsWhenItIsDone) {
  ASSERT_OK(writer_->put_progress(asset_, "video", AnalysisProgress{"key", "1"}));
  ASSERT_OK(writer_->put_progress(asset_, "video", AnalysisProgress{"key", "2"}));
  EXPECT_EQ((*reader().progress(asset_, "video"))->data, "2");
  ASSERT_OK(writer_->put_progress(asset_, "video", std::nullopt));
  EXPECT_FALSE(*reader().progress(asset_, "video"));
}

TEST_F(MomentsTest, StagesHaveProgressOfTheirOwn) {
  ASSERT_OK(writer_->put_progress(asset_, "video", AnalysisProgress{"pictures", "1"}));
  ASSERT_OK(writer_->put_progress(asset_, "speech", AnalysisProgress{"words", "2"}));
  EXPECT_EQ((*reader().progress(asset_, "video"))->key, "pictures");
  ASSERT_OK(writer_->put_progress(asset_, "video", std::nullopt));
  EXPECT_FALSE(*reader().progress(asset_, "video"));
  EXPECT_EQ((*reader().progress(asset_, "speech"))->data, "2");
}

}  // namespace
}  // namespace image_engine::store
