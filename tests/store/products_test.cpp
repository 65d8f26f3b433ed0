#include <gmock/gmock.h>

#include "store/schema.h"
#include "tests/support/catalogue.h"

namespace image_engine::store {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class ProductsTest : public WrittenTest {
 protected:
  void SetUp() override {
    WrittenTest::SetUp();
    for (int i = 1; i <= 3; ++i) {
      const auto file = writer_->upsert_file(seen("/p/" + std::to_string(i) + ".jpg"), run_);
      ASSERT_OK(file);
      const auto content = writer_->set_content(file->id, hash128("f" + std::to_string(i)), hash128(std::to_string(i)));
      ASSERT_OK(content);
      assets_.push_back(content->asset);
    }
  }
  std::vector<AssetId> found(const Condition& condition) const {
    AssetQuery query;
    query.filters = {{condition, false}};
    const Result<FoundAssets> found = reader().find(query);
    std::vector<AssetId> ids;
    for (const FoundAsset& asset : found->assets) ids.push_back(asset.id);
    return ids;
  }
  static ObjectsCondition products(const std::string& name, std::int64_t least, std::int64_t most = 1000) {
    return {.name = name, .least = least, .most = most, .field = TextField::kProducts};
  }
  std::vector<AssetId> assets_;
};

TEST_F(ProductsTest, AreCountedApartFromObjects) {
  ASSERT_OK(
      writer_->put_fact(assets_[0], CountFacts{TextField::kProducts, {{"Bottle", 3, 0.9}, {"snack bar", 1, 0.8}}}));
  ASSERT_OK(writer_->put_fact(assets_[1], CountFacts{TextField::kProducts, {{"bottle", 1, 0.7}}}));
  ASSERT_OK(writer_->put_fact(assets_[2], CountFacts{TextField::kObjects, {{"bottle", 5, 0.9}}}));
  EXPECT_THAT(found(products("bottle", 1)), testing::UnorderedElementsAre(assets_[0], assets_[1]));
  EXPECT_THAT(found(products("BOTTLE", 2)), ElementsAre(assets_[0]));
  EXPECT_THAT(found(ObjectsCondition{"bottle"}), ElementsAre(assets_[2]));
  EXPECT_THAT(found(TextCondition{TextField::kProducts, "snack", false}), ElementsAre(assets_[0]));
  EXPECT_EQ(count_found("snack"), 1U);
  EXPECT_EQ(count_found("bottle"), 3U);
  EXPECT_TRUE(*reader().is_analysed(TextField::kProducts, ""));
  EXPECT_THAT(*reader().terms(), ElementsAre(Pair("Bottle", 1), Pair("bottle", 2), Pair("snack bar", 1)));
  writer_.reset();
  if (has_sqlite3()) {
    EXPECT_EQ(sqlite3_says(path_, "SELECT asset_id, name, count FROM asset_products ORDER BY 1, 2"),
              "1|Bottle|3\n1|snack bar|1\n2|bottle|1");
  }
}

TEST_F(ProductsTest, SayWhy) {
  ASSERT_OK(writer_->put_fact(assets_[0], CountFacts{TextField::kProducts, {{"bottle", 3, 0.91}}}));
  AssetQuery query;
  query.words = {{TextField::kAny, "bottle", false}};
  EXPECT_THAT(reader().find(query)->assets[0].why, ElementsAre(Why{"product", "bottle 0.91, 3 of them"}));
  query.words.clear();
  query.filters = {{products("bottle", 2), false}};
  EXPECT_THAT(reader().find(query)->assets[0].why, ElementsAre(Why{"product", "bottle 0.91, 3 of them"}));
}

TEST_F(ProductsTest, NoneOnlyWhereTheyWereLookedFor) {
  ASSERT_OK(writer_->put_record(assets_[0], {{"retail_products", "m", "1", ""}, "", "", "{}", ""}));
  ASSERT_OK(writer_->put_record(assets_[1], {{"objects", "m", "1", ""}, "", "", "{}", ""}));
  EXPECT_THAT(found(products("bottle", 0, 0)), ElementsAre(assets_[0]));
}

TEST_F(ProductsTest, AreReplaced) {
  ASSERT_OK(writer_->put_fact(assets_[0], CountFacts{TextField::kProducts, {{"bottle", 3, 0.9}}}));
  ASSERT_OK(writer_->put_fact(assets_[0], CountFacts{TextField::kProducts, {{"can", 1, 0.9}}}));
  EXPECT_THAT(found(products("bottle", 1)), IsEmpty());
  EXPECT_EQ(count_found("bottle"), 0U);
  EXPECT_EQ(count_found("can"), 1U);
  EXPECT_EQ(writer_->put_fact(99, CountFacts{TextField::kProducts, {}}).error().code, ErrorCode::kNotFound);
}

// A catalogue as format 3 left it: the SQL of its migrations, filled by hand.
TEST_F(StoreTest, AFormat3CatalogueKeepsItsTexts) {
  {
    Connection connection(path_, Access::kCreate);
    migrate(connection, migrations().first(3));
    connection.execute(
        "INSERT INTO assets(id, hash, kind, format) VALUES(7, randomblob(16), 'photo', 'jpeg'),"
        "(9, randomblob(16), 'photo', 'jpeg');"
        "INSERT INTO files(path, device, inode, size, mtime_ns, format, kind, state, asset_id, first_run, last_run) "
        "SELECT CAST('/p/' || id || '.jpg' AS BLOB), 1, id, 1, 1, 'jpeg', 'photo', 'present', id, 1, 1 FROM assets;"
        "INSERT INTO asset_text(rowid, name, caption, person) VALUES(7, '7.jpg', 'a dog runs', 'Ann');"
        "INSERT INTO asset_text(rowid, name, title) VALUES(9, '9.jpg', '東京タワー');"
        "INSERT INTO asset_trigram(rowid, title) VALUES(9, '東京タワー')");
  }
  ASSERT_OK(open_writer());
  EXPECT_EQ(reader().status()->schema_version, migrations().back().version);
  EXPECT_EQ(count_found("dog"), 1U);
  EXPECT_EQ(count_found("東京タ"), 1U);
  AssetQuery query;
  query.words = {{TextField::kPeople, "ann", false}};
  EXPECT_EQ(reader().find(query)->assets.front().id, 7);
  {
    auto writer = open_writer();
    ASSERT_OK(writer->put_fact(7, CountFacts{TextField::kProducts, {{"leash", 1, 0.8}}}));
  }
  EXPECT_EQ(count_found("leash"), 1U);
  Connection copy(path_ + ".backup-v3", Access::kRead);
  EXPECT_EQ(copy.integer("SELECT rowid FROM asset_text WHERE asset_text MATCH 'dog'"), 7);
  expect_sound();
}

}  // namespace
}  // namespace image_engine::store
