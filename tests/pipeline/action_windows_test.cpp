// Windows of frames for models that see several at once.
#include "pipeline/action_windows.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/support/ok.h"

namespace image_engine::pipeline {
namespace {

using testing::ElementsAre;
using testing::FieldsAre;
using testing::IsEmpty;

// Names the brightness of a window's first and last frame; nothing where the first is black.
std::shared_ptr<const ClipModel> naming() {
  ClipModel model;
  model.frames = 4;
  model.prepare = [](const ImageView& picture, preprocess::FullSize) -> Result<preprocess::Prepared> {
    if (picture.pixels[0] == 255) return fail(ErrorCode::kInvalidArgument, "too bright");
    preprocess::Prepared frame;
    frame.tensor = Tensor::zeros(ElementType::kUint8, {1});
    frame.tensor.as<std::uint8_t>()[0] = picture.pixels[0];
    return frame;
  };
  model.run = [](std::span<const preprocess::Prepared> frames) -> Result<std::vector<video::ActionGuess>> {
    EXPECT_EQ(frames.size(), 4U);
    const auto level = [](const preprocess::Prepared& frame) {
      return std::to_string(frame.tensor.as<std::uint8_t>()[0]);
    };
    if (level(frames.front()) == "0") return std::vector<video::ActionGuess>{};
    return std::vector<video::ActionGuess>{{level(frames.front()) + "-" + level(frames.back()), 0.5}};
  };
  return std::make_shared<const ClipModel>(std::move(model));
}

Status add(ActionWindows& windows, double seconds, std::uint8_t level) {
  const std::vector<std::uint8_t> pixels(3, level);
  return windows.add(seconds, {1, 1, pixels}, {1, 1});
}

auto is_window(double from, double to, const char* name) {
  return FieldsAre(from, to, ElementsAre(FieldsAre(name, 0.5)));
}

TEST(ActionWindows, LieSideBySide) {
  ActionWindows windows(naming());
  for (int i = 1; i <= 9; ++i) ASSERT_OK(add(windows, i * 0.5, static_cast<std::uint8_t>(i)));
  EXPECT_THAT(windows.windows(), ElementsAre(is_window(0.5, 2.5, "1-4"), is_window(2.5, 4.5, "5-8")));
  EXPECT_EQ(windows.until(), 4);
  // One frame of the third is no window; two are.
  ActionWindows with_rest = windows;
  ASSERT_OK(windows.finish(5));
  EXPECT_EQ(windows.windows().size(), 2U);
  ASSERT_OK(add(with_rest, 5, 10));
  ASSERT_OK(with_rest.finish(5.5));
  EXPECT_THAT(with_rest.windows().back(), is_window(4.5, 5.5, "9-10"));
}

TEST(ActionWindows, AShortVideoIsOneWindow) {
  ActionWindows windows(naming());
  ASSERT_OK(add(windows, 0, 7));
  ASSERT_OK(windows.finish(0.1));
  EXPECT_THAT(windows.windows(), ElementsAre(is_window(0, 0.1, "7-7")));
  ActionWindows none(naming()), no_model;
  ASSERT_OK(none.finish(1));
  ASSERT_OK(add(no_model, 0, 7));
  ASSERT_OK(no_model.finish(1));
  EXPECT_THAT(none.windows(), IsEmpty());
  EXPECT_THAT(no_model.windows(), IsEmpty());
}

TEST(ActionWindows, WhatIsNotNamedIsNotKept) {
  ActionWindows windows(naming());
  for (int i = 0; i < 8; ++i) ASSERT_OK(add(windows, i, static_cast<std::uint8_t>(i)));
  EXPECT_THAT(windows.windows(), ElementsAre(is_window(4, 8, "4-7")));
  EXPECT_THAT(windows.between(0, 4), IsEmpty());
  EXPECT_THAT(windows.between(7.5, 9), ElementsAre(FieldsAre("4-7", 0.5)));
  EXPECT_THAT(windows.between(8, 9), IsEmpty());
}

TEST(ActionWindows, ARunThatIsResumedHasTheWindowsOfAWholeOne) {
  ActionWindows whole(naming()), first(naming()), second(naming());
  for (int i = 1; i <= 12; ++i) ASSERT_OK(add(whole, i, static_cast<std::uint8_t>(i)));
  for (int i = 1; i <= 6; ++i) ASSERT_OK(add(first, i, static_cast<std::uint8_t>(i)));
  second.restore(first.progress());
  EXPECT_EQ(second.until(), 4);
  // Frames of complete windows come again, and count once.
  for (int i = 3; i <= 12; ++i) ASSERT_OK(add(second, i, static_cast<std::uint8_t>(i)));
  EXPECT_EQ(second.progress(), whole.progress());
  second.restore(ActionWindows(naming()).progress());
  EXPECT_THAT(second.windows(), IsEmpty());
  EXPECT_THROW(second.restore(nlohmann::json::array()), nlohmann::json::exception);
}

TEST(ActionWindows, AnErrorIsOfItsFrame) {
  ActionWindows windows(naming());
  EXPECT_EQ(add(windows, 1, 255).error().message, "too bright");
  for (int i = 2; i <= 5; ++i) ASSERT_OK(add(windows, i, 9));
  EXPECT_THAT(windows.windows(), ElementsAre(is_window(2, 6, "9-9")));
}

}  // namespace
}  // namespace image_engine::pipeline
