// How a catalogue of format 4, whose hashes are XXH3, comes to SHA-256.
#include "store/schema.h"
#include "tests/support/catalogue.h"

namespace image_engine::store {
namespace {

constexpr char kOldHash[] = "0123456789abcdef";

Hash128 hash_of(std::string_view text) { return content_hash(std::as_bytes(std::span(text))); }
Hash128 old_hash() {
  Hash128 hash;
  std::copy_n(kOldHash, hash.bytes.size(), hash.bytes.begin());
  return hash;
}

// One asset with two files, a record, a vector, a rating, a label and an example.
class FormatFour : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    {
      Connection connection(path_, Access::kCreate);
      migrate(connection, migrations().first(4));
      connection.execute(R"sql(
        INSERT INTO assets(id, hash, kind, format) VALUES(1, CAST('0123456789abcdef' AS BLOB), 'photo', 'jpeg');
        INSERT INTO files(id, path, device, inode, size, mtime_ns, format, kind, state, file_hash, asset_id, first_run, last_run)
          VALUES(1, CAST('/p/a' AS BLOB), 7, 9, 100, 1, 'jpeg', 'photo', 'present', x'aa', 1, 1, 1),
                (2, CAST('/p/b' AS BLOB), 7, 10, 100, 1, 'jpeg', 'photo', 'present', x'bb', 1, 1, 1);
        INSERT INTO records(asset_id, stage, model, version, params, device, precision, data, created)
          VALUES(1, 'quality', '', '1', '', 'cpu', '', '{}', '2026');
        INSERT INTO records(file_id, stage, model, version, params, device, precision, data, created)
          VALUES(1, 'metadata', '', '1', '', 'cpu', '', '{}', '2026');
        INSERT INTO failures(path, file_id, stage, model, version, params, code, message, size, mtime_ns, tries, first_at, last_at)
          VALUES(CAST('/p/b' AS BLOB), 2, 'text', '', '1', '', 'corrupt', 'x', 100, 1, 1, '2026', '2026');
        INSERT INTO spaces(id, stage, model, version, params, dimensions, active, created) VALUES(1, 'embedding', 'm', '1', '', 1, 1, '2026');
        INSERT INTO embeddings VALUES(1, 1, x'003c');
        INSERT INTO user_ratings VALUES(CAST('0123456789abcdef' AS BLOB), 5, '2026');
        INSERT INTO labels VALUES(CAST('0123456789abcdef' AS BLOB), 'Oma', '2026');
        INSERT INTO label_examples VALUES('Rex', CAST('0123456789abcdef' AS BLOB), 1, NULL, '2026');
        INSERT INTO asset_text(rowid, name) VALUES(1, 'a');)sql");
    }
    writer_ = std::make_unique<CatalogueWriter>(std::move(*open_writer()));
  }
  void TearDown() override {
    writer_.reset();
    expect_sound();
    StoreTest::TearDown();
  }

  std::vector<PendingFile> pending() {
    PendingQuery query;
    query.stages = {{{"quality", "", "1", ""}, MediaKind::kPhoto}};
    return *writer_->pending(query);
  }

  std::unique_ptr<CatalogueWriter> writer_;
};

TEST_F(FormatFour, KeepsAllUntilItsFilesAreReadAgain) {
  const AssetRecord record = *reader().asset_record(1);
  EXPECT_EQ(record.hash, old_hash());
  EXPECT_EQ(record.user_rating, 5);
  EXPECT_EQ(record.labels, std::vector<std::string>{"Oma"});
  EXPECT_EQ(record.records.size(), 2U);
  EXPECT_EQ(record.failures.size(), 1U);
  EXPECT_EQ(reader().find_asset_by_hash(old_hash()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(*writer_->wants_former_hashes(), true);
  EXPECT_EQ(reader().record_keys(hash_of("picture"), 1)->size(), 1U);
  const std::vector<PendingFile> files = pending();
  ASSERT_EQ(files.size(), 2U);  // each file is read for its hash, and for nothing else
  for (const PendingFile& file : files) {
    EXPECT_TRUE(file.carried);
    EXPECT_FALSE(file.hashed);
    EXPECT_TRUE(file.stages.empty());
  }
}

TEST_F(FormatFour, CarriesAllOverToTheNewHash) {
  const Content first = *writer_->set_content(1, hash_of("file a"), hash_of("picture"));
  EXPECT_EQ(first.asset, 1);
  EXPECT_EQ(first.former, old_hash());
  EXPECT_EQ(reader().record_keys(hash_of("picture"))->size(), 1U);
  const Content second = *writer_->set_content(2, hash_of("file b"), hash_of("picture"));
  EXPECT_EQ(second.asset, 1);
  EXPECT_EQ(second.former, std::nullopt);
  EXPECT_TRUE(pending().empty());
  EXPECT_EQ(*writer_->wants_former_hashes(), false);
  const AssetRecord record = *reader().asset_record(1);
  EXPECT_EQ(record.hash, hash_of("picture"));
  EXPECT_EQ(record.user_rating, 5);
  EXPECT_EQ(record.labels, std::vector<std::string>{"Oma"});
  EXPECT_EQ(record.records.size(), 2U);
  EXPECT_EQ(reader().label_examples("Rex")->at(0).asset, hash_of("picture"));
  EXPECT_TRUE(reader().vector_of(1, 1)->has_value());
}

// XXH3 took a forged picture for the one it was made after.
TEST_F(FormatFour, TwoPicturesOfOneOldHashAreAnalyzedAgain) {
  ASSERT_OK(writer_->set_content(1, hash_of("file a"), hash_of("picture")));
  const Content forged = *writer_->set_content(2, hash_of("file b"), hash_of("forged"));
  EXPECT_NE(forged.asset, 1);
  EXPECT_TRUE(reader().record_keys(hash_of("forged"))->empty());
  EXPECT_EQ(pending().size(), 2U);
  EXPECT_FALSE(reader().vector_of(1, 1)->has_value());
  for (const AssetId asset : {AssetId{1}, forged.asset}) EXPECT_EQ(reader().asset_record(asset)->user_rating, 5);
}

TEST_F(FormatFour, WordsFollowAPictureThatReturnsUnderAnotherPath) {
  for (const FileId file : {1, 2}) ASSERT_OK(writer_->set_file_state(std::array{file}, FileState::kMissing));
  const KnownFile back = *writer_->upsert_file(seen("/q/a"), 2);
  const Content content = *writer_->set_content(back.id, hash_of("file a"), hash_of("picture"), old_hash());
  EXPECT_NE(content.asset, 1);
  const AssetRecord record = *reader().asset_record(content.asset);
  EXPECT_EQ(record.user_rating, 5);
  EXPECT_EQ(record.labels, std::vector<std::string>{"Oma"});
  EXPECT_EQ(reader().asset_record(1)->user_rating, 5);
}

TEST_F(FormatFour, ANewCopyThatIsReadFirstGetsTheWordsToo) {
  const KnownFile copy = *writer_->upsert_file(seen("/p/c"), 2);
  const AssetId asset = writer_->set_content(copy.id, hash_of("file a"), hash_of("picture"), old_hash())->asset;
  EXPECT_EQ(writer_->set_content(1, hash_of("file a"), hash_of("picture"))->asset, asset);
  EXPECT_EQ(writer_->set_content(2, hash_of("file b"), hash_of("picture"))->asset, asset);
  EXPECT_EQ(reader().asset_record(asset)->user_rating, 5);
  EXPECT_EQ(*writer_->wants_former_hashes(), false);
  // And what was found of the picture before.
  EXPECT_EQ(reader().asset_record(asset)->records.size(), 2U);
  EXPECT_TRUE(reader().vector_of(1, asset)->has_value());
  EXPECT_FALSE(reader().vector_of(1, 1)->has_value());
  EXPECT_TRUE(pending().empty());
}

TEST_F(FormatFour, WhatAPersonTakesBackStaysSo) {
  for (const FileId file : {1, 2}) ASSERT_OK(writer_->set_file_state(std::array{file}, FileState::kMissing));
  const KnownFile back = *writer_->upsert_file(seen("/q/a"), 2);
  const AssetId asset = writer_->set_content(back.id, hash_of("file a"), hash_of("picture"), old_hash())->asset;
  ASSERT_OK(writer_->set_user_rating(asset, std::nullopt));
  ASSERT_OK(writer_->remove_label(asset, "Oma"));
  ASSERT_OK(writer_->set_content(back.id, hash_of("file a"), hash_of("picture"), old_hash()));  // read again
  EXPECT_EQ(reader().asset_record(asset)->user_rating, std::nullopt);
  EXPECT_TRUE(reader().asset_record(asset)->labels.empty());
}

}  // namespace
}  // namespace image_engine::store
