// Several decoders as one: stand-ins of several manners, as on several GPUs or as several on one.
#include "worker/gpu_decoders.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <set>

#include "tests/gpu_worker/support.h"
#include "tests/support/ok.h"

namespace image_engine::worker {
namespace {

std::vector<GpuDecoderOptions> options_of_each(const std::vector<std::string>& manners, std::uint32_t slots = 4) {
  std::vector<GpuDecoderOptions> options;
  for (const std::string& manner : manners) {
    options.push_back(options_of(manner, slots));
    options.back().device = static_cast<int>(options.size()) - 1;
  }
  return options;
}

std::unique_ptr<GpuDecoders> decoders(const std::vector<std::string>& manners) {
  return GpuDecoders::create(options_of_each(manners)).value();
}

TEST(GpuDecoders, APictureGoesToTheOneWithTheMostFreeSlots) {
  const auto both = decoders({"good", "good"});
  ASSERT_OK(both->wait_until_ready());
  const UniqueFd file = file_of(jpeg_of(320, 240));
  std::vector<GpuPicture> pictures;
  std::map<int, int> on_device;
  for (int i = 0; i < 8; ++i) {
    std::optional<GpuPicture> picture = both->submit(kAll, file.get());
    ASSERT_TRUE(picture);
    ++on_device[picture->decoder().device()];
    EXPECT_EQ(on_device.size(), i == 0 ? 1U : 2U) << "the second goes to the other";
    pictures.push_back(std::move(*picture));
  }
  EXPECT_EQ(on_device, (std::map<int, int>{{0, 4}, {1, 4}}));
  EXPECT_FALSE(both->submit(kAll, file.get())) << "all slots are taken";
  for (GpuPicture& picture : pictures) EXPECT_TRUE(picture.wait());
  EXPECT_FALSE(both->submit({.operations = kReadMetadata}, file.get())) << "not a task for them";
}

TEST(GpuDecoders, ABatchStaysOnOneWhileThatHasSlots) {
  const auto both = decoders({"good", "good"});
  ASSERT_OK(both->wait_until_ready());
  const UniqueFd file = file_of(jpeg_of(320, 240));
  const GpuDecoder* second = both->each()[1].get();
  std::vector<GpuPicture> pictures;
  for (int i = 0; i < 5; ++i) pictures.push_back(std::move(*both->submit(kAll, file.get(), {.first = second})));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(pictures[i].decoder().device(), i < 4 ? 1 : 0) << i;
  for (int i = 0; i < 3; ++i) pictures.push_back(std::move(*both->submit(kAll, file.get(), {.never = second})));
  EXPECT_FALSE(both->submit(kAll, file.get(), {.never = second}));
}

// `bad` fails in the middle; the picture is the other's then, and so are all that come later.
TEST(GpuDecoders, WhatOneLosesAnotherDecodes) {
  for (const char* bad : {"crash", "hang", "liar"}) {
    SCOPED_TRACE(bad);
    const auto both = decoders({bad, "good"});
    ASSERT_OK(both->wait_until_ready());
    const UniqueFd file = file_of(jpeg_of(13, 20)), plain = file_of(jpeg_of(320, 240));
    const GpuDecoder* failing = both->each()[0].get();
    std::optional<GpuPicture> deadly = both->submit(kAll, file.get(), {.first = failing});
    ASSERT_TRUE(deadly);
    EXPECT_FALSE(deadly->wait());
    EXPECT_TRUE(deadly->is_lost());
    std::optional<GpuPicture> again = both->submit(kAll, file.get(), {.never = &deadly->decoder()});
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->wait());
    EXPECT_FALSE(again->is_lost());
    EXPECT_EQ(failing->counts().deaths, 1U);
    EXPECT_EQ(both->each()[1]->counts().hardware, 1U);
    const UniqueFd nothing = file_of("");
    std::optional<GpuPicture> left = both->submit(kAll, nothing.get());
    ASSERT_TRUE(left);
    EXPECT_FALSE(left->wait());
    EXPECT_FALSE(left->is_lost()) << "it is left to the CPU";
  }
}

TEST(GpuDecoders, OneThatCannotStartLeavesAllToTheOthers) {
  const auto both = decoders({"stillborn", "good"});
  ASSERT_OK(both->wait_until_ready());
  EXPECT_TRUE(both->each()[0]->failure());
  const UniqueFd file = file_of(jpeg_of(320, 240));
  for (int i = 0; i < 6; ++i) {
    std::optional<GpuPicture> picture = both->submit(kAll, file.get());
    ASSERT_TRUE(picture);
    EXPECT_TRUE(picture->wait());
  }
  EXPECT_EQ(both->each()[1]->counts().hardware, 6U);
  const auto none = decoders({"stillborn", "stillborn"});
  const Status ready = none->wait_until_ready();
  ASSERT_FALSE(ready);
  EXPECT_NE(ready.error().message.find("make setup GPU=1"), std::string::npos) << ready.error().message;
  EXPECT_FALSE(none->submit(kAll, file.get()));
}

TEST(GpuDecoders, InputsAreOnTheGpuThatDecoded) {
  const auto both = decoders({"good", "good"});
  ASSERT_OK(both->wait_until_ready());
  std::mutex mutex;
  std::set<int> mapped;
  std::atomic<bool> are_mapped = false;
  ASSERT_OK(both->make_inputs(two_inputs(), [&](int device, const UniqueFd& handle, std::uint64_t bytes) {
    const std::lock_guard lock(mutex);
    mapped.insert(device);
    are_mapped = mapped.size() == 2;
    return mapped_here(handle, bytes);
  }));
  wait_for(are_mapped);
  const UniqueFd file = file_of(jpeg_of(320, 240));
  for (const auto& decoder : both->each()) {
    std::optional<GpuPicture> picture = both->submit(kAll, file.get(), {.first = decoder.get()});
    ASSERT_TRUE(picture && picture->wait());
    const GpuRow row = picture->input(0);
    ASSERT_TRUE(row);
    EXPECT_EQ(row.device, decoder->device());
  }
}

TEST(GpuDecoders, EachTellsWhenItWorked) {
  using Clock = std::chrono::steady_clock;
  std::mutex mutex;
  std::map<int, std::vector<std::pair<Clock::time_point, Clock::time_point>>> worked;
  std::vector<GpuDecoderOptions> options = options_of_each({"good", "good"});
  for (GpuDecoderOptions& one : options)
    one.on_answer = [&, device = one.device](Clock::time_point from) {
      const std::lock_guard lock(mutex);
      worked[device].emplace_back(from, Clock::now());
    };
  {
    const auto both = GpuDecoders::create(std::move(options)).value();
    ASSERT_OK(both->wait_until_ready());
    const UniqueFd file = file_of(jpeg_of(320, 240));
    std::vector<GpuPicture> pictures;
    for (int i = 0; i < 8; ++i) pictures.push_back(std::move(*both->submit(kAll, file.get())));
    for (GpuPicture& picture : pictures) EXPECT_TRUE(picture.wait());
  }
  ASSERT_EQ(worked.size(), 2U);
  for (const auto& [device, spans] : worked) {
    EXPECT_EQ(spans.size(), 4U);
    for (std::size_t i = 0; i < spans.size(); ++i) {
      EXPECT_LE(spans[i].first, spans[i].second);
      if (i == 0) continue;
      EXPECT_LE(spans[i - 1].first, spans[i].first);
      EXPECT_LE(spans[i].first, spans[i - 1].second) << "no time of work is left out, or counts twice";
    }
  }
}

}  // namespace
}  // namespace image_engine::worker
