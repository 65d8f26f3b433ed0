// Whole passes over a folder of a few photos, with real workers and without models.
#include "pipeline/analyze.h"

#include <chrono>
#include <filesystem>
#include <stop_token>

#include "tests/support/catalogue.h"
#include "tests/support/pictures.h"
#include "tests/support/stop.h"

namespace image_engine::pipeline {
namespace {

class AnalyzeTest : public store::StoreTest {
 protected:
  Result<AnalyzeReport> run_pass(std::stop_token stop = {}) const {
    AnalyzeOptions options;
    options.catalogue = path_;
    options.paths = {folder_ + "/photos"};
    options.thumbnail_folder = folder_ + "/thumbnails";
    options.config.processing.workers = 2;
    options.models.shipped = IE_SOURCE_DIR "/config/models.yaml";
    options.models.added = options.models.root = folder_ + "/models";
    options.stop = std::move(stop);
    IE_TRY(store::WriterLock lock, store::WriterLock::acquire(path_, "analyze"));
    return analyze(options, std::move(lock));
  }
  // Of a photo that differs from others in its last pixel.
  std::string write_photo(const std::string& name, char blue) const {
    std::string bytes = tiny_bmp();
    bytes[57] = blue;
    return scratch_.write("photos/" + name, bytes);
  }
};

TEST_F(AnalyzeTest, ReadsEachFileOnce) {
  write_photo("one.bmp", 1);
  write_photo("other.bmp", 2);
  write_photo("below/copy.bmp", 1);
  scratch_.write("photos/broken.bmp", tiny_bmp().substr(0, 30));

  const auto first = run_pass();
  ASSERT_OK(first);
  EXPECT_EQ(first->added, 3U);
  EXPECT_EQ(first->analysed, 4U) << "the broken one is read whole, too";
  EXPECT_EQ(first->duplicates, 1U);
  EXPECT_EQ(first->failed_files, 1U);
  EXPECT_EQ(first->worker_deaths, 0U);
  EXPECT_EQ(count_found("one"), 1U);
  expect_sound();

  const auto second = run_pass();
  ASSERT_OK(second);
  EXPECT_EQ(second->added, 0U);
  EXPECT_EQ(second->analysed, 0U) << "nothing has changed";
  EXPECT_EQ(second->failed, 0U) << "what failed is tried again when it changes";
}

TEST_F(AnalyzeTest, FollowsWhatBecomesOfFiles) {
  const std::string moved = write_photo("one.bmp", 1), changed = write_photo("other.bmp", 2);
  const std::string gone = write_photo("third.bmp", 3);
  ASSERT_OK(run_pass());

  std::filesystem::rename(moved, folder_ + "/photos/renamed.bmp");
  std::filesystem::remove(gone);
  write_photo("other.bmp", 4);
  std::filesystem::last_write_time(changed, std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  const auto report = run_pass();
  ASSERT_OK(report);
  EXPECT_EQ(report->added, 0U);
  EXPECT_EQ(report->moved, 1U);
  EXPECT_EQ(report->changed, 1U);
  EXPECT_EQ(report->missing, 1U);
  EXPECT_EQ(report->analysed, 1U) << "only the content that is new";
  expect_sound();
}

TEST_F(AnalyzeTest, EndsWhereItIsCancelled) {
  write_photo("one.bmp", 1);
  const auto report = run_pass(stopped());
  ASSERT_OK(report);
  EXPECT_TRUE(report->cancelled);
  EXPECT_EQ(report->analysed, 0U);
  expect_sound();
}

}  // namespace
}  // namespace image_engine::pipeline
