#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>

#include "store/schema.h"
#include "tests/support/catalogue.h"

namespace image_engine::store {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

const StageKey kMasks{kSegmentationStage, "m", "1", ""};

class SubjectsTest : public WrittenTest {
 protected:
  void SetUp() override {
    WrittenTest::SetUp();
    for (int i = 1; i <= 4; ++i) {
      const auto file = writer_->upsert_file(seen("/p/" + std::to_string(i) + ".jpg"), run_);
      ASSERT_OK(file);
      const auto content = writer_->set_content(file->id, hash128("f" + std::to_string(i)), hash128(std::to_string(i)));
      ASSERT_OK(content);
      assets_.push_back(content->asset);
    }
  }
  void plant(AssetId asset, std::vector<FoundSubject> subjects, const std::string& look = "") {
    const Fact facts[] = {SubjectFacts{std::move(subjects), look}};
    ASSERT_OK(writer_->put_record(asset, {kMasks, "cpu", "fp32", R"({"masks":[]})", ""}, facts));
  }
  FoundAssets answer(const SubjectCondition& condition, bool negated = false) const {
    AssetQuery query;
    query.filters = {{condition, negated}};
    const Result<FoundAssets> found = reader().find(query);
    EXPECT_OK(found);
    return *found;
  }
  std::vector<AssetId> found(const SubjectCondition& condition, bool negated = false) const {
    std::vector<AssetId> ids;
    for (const FoundAsset& asset : answer(condition, negated).assets) ids.push_back(asset.id);
    return ids;
  }
  std::vector<AssetId> assets_;
};

TEST_F(SubjectsTest, AreFoundByNameAndShare) {
  plant(assets_[0], {{"Dog", 0.3, 0.9}, {"subject", 0.45, 0.95}});
  plant(assets_[1], {{"dog", 0.05, 0.8}, {"person", 0.5, 0.9}, {"subject", 0.55, 0.9}});
  plant(assets_[2], {});
  EXPECT_THAT(found({{"dog"}}), UnorderedElementsAre(assets_[0], assets_[1]));
  EXPECT_THAT(found({{"DOG"}, 0.3}), ElementsAre(assets_[0]));
  EXPECT_THAT(found({{"dog"}, std::nextafter(0.3, 1)}), IsEmpty());
  EXPECT_THAT(found({{"dog"}, 0, 0.1}), ElementsAre(assets_[1])) << "what is not there has no share";
  EXPECT_THAT(found({{"dog", "person"}, 0.2}), UnorderedElementsAre(assets_[0], assets_[1]));
  EXPECT_THAT(found({{"do"}}), IsEmpty()) << "names are whole";
  EXPECT_THAT(found({{"subject"}, 0, 1, true}), ElementsAre(assets_[2])) << "the fourth was not analyzed";
  EXPECT_THAT(found({{"person"}, 0, 1, true}), UnorderedElementsAre(assets_[0], assets_[2]));
  EXPECT_THAT(found({{"dog"}}, true), UnorderedElementsAre(assets_[2], assets_[3]));
  EXPECT_EQ(count_found("dog"), 0U) << "they are no words";
}

TEST_F(SubjectsTest, SayWhy) {
  plant(assets_[0], {{"dog", 0.3004, 0.9}, {"person", 0.1, 0.9}});
  plant(assets_[1], {});
  EXPECT_THAT(answer({{"dog", "person"}}).assets[0].why,
              ElementsAre(Why{"subject", "dog 30.0 %"}, Why{"subject", "person 10.0 %"}));
  EXPECT_THAT(answer({{"subject"}, 0, 1, true}).assets[0].why, ElementsAre(Why{"subject", "no subject"}));
}

TEST_F(SubjectsTest, AreReplacedAndGoWithTheirAsset) {
  EXPECT_FALSE(*reader().has_records(kSegmentationStage));
  plant(assets_[0], {{"dog", 0.3, 0.9}, {"cat", 0.3, 0.9}}, "look");
  plant(assets_[1], {{"Cat", 0.3, 0.9}}, std::string("l\0k", 3));
  plant(assets_[0], {{"horse", 0.3, 0.9}});
  EXPECT_TRUE(*reader().has_records(kSegmentationStage));
  EXPECT_THAT(*reader().subject_names(), ElementsAre("Cat", "horse"));
  const auto looks = reader().subject_looks();
  ASSERT_OK(looks);
  ASSERT_EQ(looks->size(), 1U);
  EXPECT_EQ(looks->front().asset, assets_[1]);
  EXPECT_EQ(looks->front().data, std::string("l\0k", 3));
  EXPECT_EQ(writer_->put_fact(99, SubjectFacts{{{"dog", 1, 1}}}).error().code, ErrorCode::kNotFound);
  writer_.reset();
  if (has_sqlite3()) {
    EXPECT_EQ(sqlite3_says(path_, "SELECT asset_id, name, share FROM asset_subjects ORDER BY 1"),
              "1|horse|0.3\n2|Cat|0.3");
    std::filesystem::copy_file(path_, path_ + ".copy");
    EXPECT_EQ(sqlite3_says(path_ + ".copy",
                           "PRAGMA foreign_keys = ON; DELETE FROM files WHERE asset_id = 2; "
                           "DELETE FROM assets WHERE id = 2; SELECT count(*) FROM asset_subjects; "
                           "SELECT count(*) FROM asset_subject_looks"),
              "1\n0");
  }
}

TEST_F(StoreTest, AFormat8CatalogueGetsSubjects) {
  {
    Connection connection(path_, Access::kCreate);
    migrate(connection, migrations().first(8));
    connection.execute(
        "INSERT INTO assets(id, hash, kind, format) VALUES(7, randomblob(16), 'photo', 'jpeg');"
        "INSERT INTO files(path, device, inode, size, mtime_ns, format, kind, state, asset_id, first_run, last_run) "
        "VALUES(CAST('/p/7.jpg' AS BLOB), 1, 7, 1, 1, 'jpeg', 'photo', 'present', 7, 1, 1)");
  }
  {
    auto writer = open_writer();
    ASSERT_OK(writer);
    ASSERT_OK(writer->put_fact(7, SubjectFacts{{{"dog", 0.5, 0.9}}, "look"}));
  }
  AssetQuery query;
  query.filters = {{SubjectCondition{{"dog"}, 0.4}, false}};
  EXPECT_EQ(reader().find(query)->assets.front().id, 7);
  EXPECT_EQ(Connection(path_ + ".backup-v8", Access::kRead).integer("PRAGMA user_version"), 8);
  expect_sound();
}

}  // namespace
}  // namespace image_engine::store
