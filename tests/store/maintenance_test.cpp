#include <gmock/gmock.h>

#include "store/sql.h"
#include "tests/support/catalogue.h"

namespace image_engine::store {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class MaintenanceTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    auto writer = open_writer();
    ASSERT_OK(writer);
    run_ = *writer->start_run("analyze");
    ASSERT_OK(writer->add_root("/old/pics", 7));
    for (const char* path : {"/old/pics/a.jpg", "/old/pics/sub/b.jpg", "/old/pictures/c.jpg"}) {
      FileObservation observed = seen(path);
      observed.sidecar = Sidecar{std::string(path) + ".xmp", {1, 1}};
      const auto file = writer->upsert_file(observed, run_);
      ASSERT_OK(writer->set_file_metadata(file->id, titled("picture"), {}, "1"));
      ASSERT_OK(writer->set_content(file->id, hash128(path), hash128(path)));
    }
    ASSERT_OK(writer->put_failure(failed("/old/pics/sub/b.jpg", {"x", "", "1", ""}, ErrorCode::kIo)));
  }

  WriterLock lock() const { return std::move(*WriterLock::acquire(path_, "test")); }
  std::vector<KnownFile> files(const std::string& root) const { return *open_writer()->known_files(root); }

  RunId run_ = 0;
};

TEST_F(MaintenanceTest, ASoundOneHasNoProblems) {
  const auto report = check(path_);
  ASSERT_OK(report);
  EXPECT_THAT(report->problems, SizeIs(0));
  EXPECT_EQ(report->files, 3);
  EXPECT_EQ(report->assets, 3);
  EXPECT_EQ(report->records, 3);
}

TEST_F(MaintenanceTest, CheckFindsWhatIsWrong) {
  {
    Connection connection(path_, Access::kWrite);
    connection.execute("PRAGMA foreign_keys = OFF");
    connection.execute("DELETE FROM assets WHERE id = 1");
    connection.execute("UPDATE assets SET shown = 0 WHERE id = 2");
    connection.execute("DELETE FROM asset_text WHERE rowid = 3");
    connection.execute("INSERT INTO asset_speech(rowid, said) VALUES(9, 'words of nobody')");
  }
  const auto report = check(path_);
  ASSERT_OK(report);
  EXPECT_THAT(report->problems,
              testing::IsSupersetOf({HasSubstr("refers to a row of assets"), HasSubstr("hidden"),
                                     HasSubstr("cannot be found by text"), HasSubstr("belong to no asset"),
                                     HasSubstr("texts of speech belong")}));
}

TEST_F(MaintenanceTest, ABackupIsTheSameCatalogue) {
  const std::string copy = folder_ + "/copy.db";
  ASSERT_OK(backup(path_, copy, false));
  EXPECT_EQ(CatalogueReader::open(copy)->asset_ids()->size(), 3U);
  EXPECT_EQ(backup(path_, copy, false).error().code, ErrorCode::kInvalidArgument);
  ASSERT_OK(backup(path_, copy, true));
  EXPECT_EQ(backup(path_, path_, true).error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(backup(path_, folder_ + "/no/such/copy.db", false).has_value());
  EXPECT_EQ(backup(folder_ + "/none.db", folder_ + "/x.db", false).error().code, ErrorCode::kNotFound);
  if (has_sqlite3()) {
    EXPECT_EQ(sqlite3_says(copy, "PRAGMA integrity_check; SELECT count(*) FROM files"), "ok\n3");
  }
}

TEST_F(MaintenanceTest, RelocateMovesAWholeFolder) {
  const auto held = lock();
  EXPECT_EQ(relocate(path_, held, "/old/pics", "/new", true)->files, 2);
  const auto moved = relocate(path_, held, "/old/pics/", "/new/", false);
  ASSERT_OK(moved);
  EXPECT_EQ(moved->files, 2);
  EXPECT_EQ(moved->failures, 1);
  const auto reader = CatalogueReader::open(path_);
  EXPECT_TRUE(reader->find_asset_by_path("/new/sub/b.jpg").has_value());
  EXPECT_TRUE(reader->find_asset_by_path("/old/pictures/c.jpg").has_value());
  EXPECT_FALSE(reader->find_asset_by_path("/old/pics/a.jpg").has_value());
  EXPECT_EQ(reader->asset_record(*reader->find_asset_by_path("/new/a.jpg"))->files[0].seen.sidecar->path,
            "/new/a.jpg.xmp");
  EXPECT_EQ(reader->list_failures()->at(0).path, "/new/sub/b.jpg");
  EXPECT_EQ(reader->status()->roots, std::vector<std::string>{"/new"});
  expect_sound();
}

TEST_F(MaintenanceTest, RelocateRefusesACollision) {
  { ASSERT_OK(open_writer()->upsert_file(seen("/new/sub/b.jpg"), run_)); }
  const auto held = lock();
  EXPECT_EQ(relocate(path_, held, "/old/pics", "/new", false).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(CatalogueReader::open(path_)->find_asset_by_path("/old/pics/a.jpg").has_value());
  EXPECT_EQ(relocate(path_, held, "old", "/new", false).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(relocate(path_, held, "/old/pics", "/", true)->files, 2);
}

TEST_F(MaintenanceTest, PruneForgetsWhatIsGone) {
  {
    auto writer = open_writer();
    ASSERT_OK(set_state(*writer, "/old/pics", FileState::kMissing));
    const auto asset = CatalogueReader::open(path_)->find_asset_by_path("/old/pictures/c.jpg");
    ASSERT_OK(writer->put_record(*asset, {{"quality", "m", "1", ""}, "", "", "{}", ""}));
    ASSERT_OK(writer->put_record(*asset, {{"quality", "m", "2", ""}, "", "", "{}", ""}));
    ASSERT_OK(writer->put_record(*asset, {{"quality", "other", "1", ""}, "", "", "{}", ""}));
    const auto gone = CatalogueReader::open(path_)->find_asset_by_path("/old/pics/a.jpg");
    ASSERT_OK(writer->set_user_rating(*gone, 5));
  }
  const auto held = lock();
  PruneOptions options;
  options.dry_run = true;
  EXPECT_EQ(prune(path_, held, options)->files, 2);
  EXPECT_EQ(CatalogueReader::open(path_)->asset_ids()->size(), 3U);
  options.dry_run = false;
  options.root = "/old/pics/sub";
  EXPECT_EQ(prune(path_, held, options)->files, 1);
  options.root.clear();
  options.user_data = true;
  const auto report = prune(path_, held, options);
  ASSERT_OK(report);
  EXPECT_EQ(report->files, 1);
  EXPECT_EQ(report->assets, 1);
  EXPECT_EQ(report->user_data, 1);
  const auto reader = CatalogueReader::open(path_);
  EXPECT_EQ(reader->asset_ids()->size(), 1U);
  EXPECT_THAT(*reader->list_failures(), SizeIs(0));
  // metadata, quality m 2, quality other 1
  EXPECT_EQ(check(path_)->records, 3);
  expect_sound();
}

}  // namespace
}  // namespace image_engine::store
