#include "benchmark/synthetic_photos.h"

#include <gtest/gtest.h>

#include <set>

#include "core/temporary_folder.h"

namespace image_engine::benchmark {
namespace {

TEST(SyntheticPhotos, AreAlwaysTheSameAndNeverAlike) {
  EXPECT_EQ(synthetic_photo(7), synthetic_photo(7));
  std::set<std::vector<std::byte>> scans;
  for (std::uint32_t number = 0; number < 20; ++number) {
    std::vector<std::byte> photo = synthetic_photo(number);
    EXPECT_LE(photo.size(), kMostSyntheticBytes);
    EXPECT_GE(photo.size(), 2'500'000U);
    photo.erase(photo.begin(), photo.begin() + 1000);  // the headers
    scans.insert(std::move(photo));
  }
  EXPECT_EQ(scans.size(), 20U);
}

TEST(SyntheticPhotos, AStopEndsTheMaking) {
  const auto folder = TemporaryFolder::create();
  ASSERT_TRUE(folder);
  std::stop_source stop;
  stop.request_stop();
  const auto made = make_synthetic_photos({folder->path(), 5, 2, false, stop.get_token()});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kInterrupted);
}

}  // namespace
}  // namespace image_engine::benchmark
