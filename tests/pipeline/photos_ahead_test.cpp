// Photos that decoders get before a thread needs them. Programs stand in for the decoders on GPUs (tests/gpu_worker).
#include "pipeline/photos_ahead.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "tests/gpu_worker/support.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::pipeline {
namespace {

using Devices = std::vector<int>;

// Photos in a folder.
class Photos {
 public:
  explicit Photos(int count) {
    for (int i = 0; i < count; ++i) {
      store::PendingFile& file = files_.emplace_back();
      // At those that are 13 pixels wide decoders fail.
      file.seen.path = folder_.write(std::to_string(i) + ".jpg", worker::jpeg_of(i % 4 == 3 ? 13 : 320, 240));
      file.seen.kind = MediaKind::kPhoto;
    }
  }
  [[nodiscard]] FileGroups in_groups_of(std::size_t size) const { return {files_, size}; }
  store::PendingFile& operator[](std::size_t index) { return files_[index]; }

 private:
  Scratch folder_;
  std::vector<store::PendingFile> files_;
};

std::unique_ptr<worker::GpuDecoders> ready_decoders(const std::vector<std::string>& manners, std::uint32_t slots) {
  std::vector<worker::GpuDecoderOptions> options;
  for (const std::string& manner : manners) {
    options.push_back(worker::options_of(manner, slots));
    options.back().device = static_cast<int>(options.size()) - 1;
  }
  auto decoders = worker::GpuDecoders::create(std::move(options)).value();
  EXPECT_TRUE(decoders->wait_until_ready());
  return decoders;
}

worker::Task any_task(const store::PendingFile& /*file*/) { return worker::kAll; }

// Where they are decoded; -1: by a worker.
Devices devices_of(const PhotosAhead::Begun& begun) {
  Devices devices;
  for (const auto& picture : begun) devices.push_back(picture ? picture->decoder().device() : -1);
  return devices;
}

TEST(FileGroupsTest, HaveAllFilesOnce) {
  const std::vector<store::PendingFile> files(10);
  const FileGroups groups{files, 4};
  EXPECT_EQ(groups.count(), 3U);
  EXPECT_EQ(groups.of(0).size(), 4U);
  EXPECT_EQ(groups.of(1).data(), files.data() + 4);
  EXPECT_EQ(groups.of(2).size(), 2U);
  EXPECT_TRUE(groups.of(3).empty());
  EXPECT_EQ(FileGroups{}.count(), 0U);
  EXPECT_TRUE(FileGroups{}.of(0).empty());
}

TEST(PhotosAheadTest, AGroupIsOnOneGpuAndTheNextOnAnother) {
  const Photos photos(12);
  const auto decoders = ready_decoders({"good", "good"}, 5);
  const FileGroups groups = photos.in_groups_of(4);
  PhotosAhead ahead(decoders.get(), groups, any_task);
  PhotosAhead::Begun first = ahead.take(0), second = ahead.take(1), third = ahead.take(2);
  ahead.begin(groups.of(0), first);
  ahead.begin(groups.of(1), second);
  ahead.begin(groups.of(2), third);
  EXPECT_EQ(devices_of(first), Devices({0, 0, 0, 0}));
  EXPECT_EQ(devices_of(second), Devices({1, 1, 1, 1}));
  EXPECT_EQ(devices_of(third), Devices({0, 1})) << "more slots there are not; threads do the rest one by one";
}

TEST(PhotosAheadTest, OneAfterTheOtherOfTheGroupsThatNobodyReads) {
  const Photos photos(6);
  const auto decoders = ready_decoders({"good"}, 8);
  PhotosAhead ahead(decoders.get(), photos.in_groups_of(2), any_task);
  EXPECT_TRUE(ahead.take(0).empty());
  for (int i = 0; i < 3; ++i) ahead.begin_one_ahead();
  EXPECT_EQ(devices_of(ahead.take(1)), Devices({0, 0}));
  EXPECT_EQ(devices_of(ahead.take(2)), Devices({0}));
  ahead.begin_one_ahead();
  EXPECT_TRUE(ahead.take(2).empty()) << "all are taken";
}

TEST(PhotosAheadTest, WorkersDecodeWhatNoGpuTakes) {
  Photos photos(4);
  photos[1].seen.kind = MediaKind::kVideo;
  photos[2].seen.path += ".vanished";
  const auto decoders = ready_decoders({"good"}, 8);
  const FileGroups groups = photos.in_groups_of(4);
  PhotosAhead ahead(decoders.get(), groups, any_task);
  PhotosAhead::Begun begun = ahead.take(0);
  ahead.begin(groups.of(0), begun);
  EXPECT_EQ(devices_of(begun), Devices({0, -1})) << "up to the one that cannot be opened";
  PhotosAhead::Begun rest;
  ahead.begin(groups.of(0).subspan(2), rest);
  EXPECT_EQ(devices_of(rest), Devices({-1}));
  PhotosAhead without(nullptr, groups, any_task);
  without.begin_one_ahead();
  PhotosAhead::Begun none = without.take(0);
  without.begin(groups.of(0), none);
  EXPECT_TRUE(none.empty());
}

// As pass 2 reads them; one decoder dies at each fourth photo.
TEST(PhotosAheadTest, ManyThreadsGetEachPhotoOnce) {
  constexpr int kPhotos = 96, kThreads = 4;
  const Photos photos(kPhotos);
  const auto decoders = ready_decoders({"crash", "good"}, 16);
  const FileGroups groups = photos.in_groups_of(6);
  PhotosAhead ahead(decoders.get(), groups, any_task);
  std::atomic<std::size_t> next = 0;
  std::atomic<int> decoded = 0, left = 0;
  const auto read_groups = [&] {
    for (std::size_t group = next++; group < groups.count(); group = next++) {
      PhotosAhead::Begun begun = ahead.take(group);
      for (auto files = groups.of(group); !files.empty(); files = files.subspan(1)) {
        ahead.begin(files, begun);
        ahead.begin_one_ahead();
        std::optional<worker::GpuPicture> picture = std::move(begun.front());
        begun.pop_front();
        bool is_done = picture && picture->wait();
        if (picture && !is_done && picture->is_lost()) {
          auto again = ahead.submit(files.front(), {.never = &picture->decoder()});
          is_done = again && again->wait();
        }
        ++(is_done ? decoded : left);
      }
      EXPECT_TRUE(begun.empty());
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back(read_groups);
  }
  EXPECT_EQ(decoded + left, kPhotos);
  const worker::GpuDecoderCounts dying = decoders->each()[0]->counts(), other = decoders->each()[1]->counts();
  EXPECT_EQ(dying.hardware + other.hardware, static_cast<std::uint64_t>(decoded.load()));
  EXPECT_GT(dying.deaths, 0U);
  EXPECT_EQ(other.deaths, 0U);
  EXPECT_GT(other.hardware, 0U);
}

}  // namespace
}  // namespace image_engine::pipeline
