// A photo that is turned otherwise than before becomes another asset.
#include <set>

#include "tests/support/catalogue.h"
#include "types/asset_name.h"

namespace image_engine::store {
namespace {

Metadata turned(std::uint32_t orientation) {
  Metadata metadata;
  metadata.format = MediaFormat::kJpeg;
  metadata.width = 40, metadata.height = 30;
  metadata.orientation = orientation;
  return metadata;
}

class Orientation : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    writer_ = std::make_unique<CatalogueWriter>(std::move(*open_writer()));
  }
  void TearDown() override {
    writer_.reset();
    expect_sound();
    StoreTest::TearDown();
  }

  // Both passes of a file with this picture.
  AssetId read(const std::string& path, std::uint32_t orientation) {
    const KnownFile file = *writer_->upsert_file(seen(path), 1);
    EXPECT_OK(writer_->set_file_metadata(file.id, turned(orientation), std::nullopt, "1"));
    return hash(file.id, orientation);
  }
  AssetId hash(FileId file, std::uint32_t orientation) {
    return writer_->set_content(file, hash128("file"), asset_name(coded_, orientation), {}, asset_names(coded_))->asset;
  }
  void find_text(AssetId asset, const std::string& text) {
    EXPECT_OK(writer_->put_record(asset, {{"text", "", "1", ""}, "cpu", "", "{}", ""},
                                  std::vector<Fact>{TextFacts{TextField::kText, {text}}}));
  }

  const Hash128 coded_ = hash128("coded");
  std::unique_ptr<CatalogueWriter> writer_;
};

TEST_F(Orientation, NamesTheAssetWithThePicture) {
  const auto names = asset_names(coded_);
  EXPECT_EQ(names[0], coded_);
  EXPECT_EQ(std::set(names.begin(), names.end()).size(), 8U);
  EXPECT_EQ(asset_name(coded_, 6), names[5]);
  EXPECT_EQ(asset_name(coded_, 9), coded_);
  EXPECT_NE(read("/p/a", 1), read("/p/b", 6));
  EXPECT_EQ(read("/p/c", 6), read("/p/b", 6));
}

TEST_F(Orientation, IsReadAgainWhenItIsCorrectedBesideTheFile) {
  const AssetId before = read("/p/a", 1);
  find_text(before, "sideways");
  ASSERT_OK(writer_->set_user_rating(before, 4));
  const FileId file = writer_->files_of(before)->front().id;
  ASSERT_OK(writer_->set_file_metadata(file, turned(6), std::nullopt, "1"));
  const AssetId provisional = reader().find_asset_by_path("/p/a").value();
  EXPECT_NE(provisional, before);
  EXPECT_TRUE(reader().asset_record(provisional)->records.size() == 1);  // of its headers
  const std::vector<PendingFile> pending = *writer_->pending({});
  ASSERT_EQ(pending.size(), 1U);
  EXPECT_EQ(pending[0].seen.orientation, 6U);
  EXPECT_FALSE(pending[0].hashed);
  const AssetId after = hash(file, 6);
  EXPECT_EQ(reader().asset_record(after)->user_rating, 4);
  EXPECT_EQ(reader().asset_record(after)->records.size(), 1U);
}

TEST_F(Orientation, OtherHeadersOfTheSameBytesMeanOtherPixels) {
  const AssetId asset = read("/p/a", 1);
  find_text(asset, "thumbnail");
  const FileId file = writer_->files_of(asset)->front().id;
  Metadata same = turned(1);
  same.title = "another title";
  ASSERT_OK(writer_->set_file_metadata(file, same, std::nullopt, "2"));
  EXPECT_EQ(reader().record_keys(asset_name(coded_, 1))->size(), 1U);
  Metadata wider = turned(1);
  wider.width = 400;
  ASSERT_OK(writer_->set_file_metadata(file, wider, std::nullopt, "3"));
  EXPECT_TRUE(reader().record_keys(asset_name(coded_, 1))->empty());
  EXPECT_EQ(reader().find_asset_by_path("/p/a").value(), asset);
}

}  // namespace
}  // namespace image_engine::store
