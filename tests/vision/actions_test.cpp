// Models that see several frames at once.
#include "vision/actions.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/ok.h"
#include "tests/vision/fake_session.h"
#include "vision/graph_checks.h"

namespace image_engine::vision {
namespace {

using testing::HasSubstr;

constexpr std::uint32_t kFrames = 3, kWidth = 5, kHeight = 4;

models::Spec actions_spec(const std::string& layout, const std::string& head = "softmax") {
  models::Spec spec;
  spec.name = "test", spec.task = "actions", spec.head = head;
  spec.input.width = kWidth, spec.input.height = kHeight;
  spec.input.layout = layout;
  spec.input.frames = kFrames, spec.input.stride_frames = 1;
  spec.labels = {"run", "jump", "sit"};
  return spec;
}

std::unique_ptr<FakeSession> session_of(std::vector<std::int64_t> shape, std::vector<float> logits = {2, 1, 0}) {
  auto session = std::make_unique<FakeSession>();
  session->inputs_ = {{"clip", ElementType::kFloat32, std::move(shape)}};
  Tensor output = floats({1, static_cast<std::int64_t>(logits.size())});
  std::ranges::copy(logits, output.as<float>().begin());
  session->give("logits", std::move(output));
  return session;
}

// A picture of one colour: 10 × its number, and the channel's number more.
std::vector<std::uint8_t> frame_pixels(std::size_t number) {
  std::vector<std::uint8_t> pixels;
  for (std::uint32_t i = 0; i < kWidth * kHeight; ++i)
    for (std::size_t channel = 0; channel < 3; ++channel)
      pixels.push_back(static_cast<std::uint8_t>(10 * number + channel));
  return pixels;
}

std::vector<preprocess::Prepared> frames_for(const ActionClassifier& classifier) {
  std::vector<preprocess::Prepared> frames;
  for (std::size_t i = 0; i < kFrames; ++i)
    frames.push_back(classifier.prepare({kWidth, kHeight, frame_pixels(i)}).value());
  return frames;
}

TEST(ActionClassifier, FramesLieAsTheLayoutSays) {
  // Where the numbers of a frame and a channel are, in elements.
  constexpr std::size_t kPlane = std::size_t{kWidth} * kHeight;
  const struct {
    const char* layout;
    std::vector<std::int64_t> shape;
    std::size_t frame_step, channel_step, pixel_step;
  } cases[] = {{"ncthw", {1, 3, kFrames, kHeight, kWidth}, kPlane, kPlane * kFrames, 1},
               {"ntchw", {1, kFrames, 3, kHeight, kWidth}, kPlane * 3, kPlane, 1},
               {"nthwc", {1, kFrames, kHeight, kWidth, 3}, kPlane * 3, 1, 3}};
  for (const auto& one : cases) {
    SCOPED_TRACE(one.layout);
    auto session = session_of(one.shape);
    const FakeSession* seen = session.get();
    const auto classifier = ActionClassifier::create(actions_spec(one.layout), std::move(session));
    ASSERT_OK(classifier);
    ASSERT_OK(classifier->classify(frames_for(*classifier)));
    const Tensor& clip = seen->seen_.front();
    EXPECT_EQ(clip.shape, one.shape);
    for (std::size_t frame = 0; frame < kFrames; ++frame)
      for (std::size_t channel = 0; channel < 3; ++channel)
        for (std::size_t pixel = 0; pixel < kPlane; ++pixel)
          ASSERT_EQ(clip.as<float>()[frame * one.frame_step + channel * one.channel_step + pixel * one.pixel_step],
                    static_cast<float>(10 * frame + channel));
  }
}

TEST(ActionClassifier, HeadsTurnLogitsIntoConfidences) {
  const auto named = [](const std::string& head, const std::string& threshold) {
    models::Spec spec = actions_spec("ncthw", head);
    spec.head_options["threshold"] = threshold;
    const auto classifier = ActionClassifier::create(spec, session_of({-1, 3, -1, kHeight, kWidth}));
    return classifier->classify(frames_for(*classifier)).value();
  };
  const auto one_of_all = named("softmax", "0.2");
  ASSERT_EQ(one_of_all.size(), 2U);
  EXPECT_EQ(one_of_all[0].label, "run");
  EXPECT_NEAR(one_of_all[0].confidence, std::exp(2) / (std::exp(2) + std::exp(1) + 1), 1e-6);
  const auto each = named("sigmoid", "0.5");
  ASSERT_EQ(each.size(), 3U);
  EXPECT_NEAR(each[1].confidence, 1 / (1 + std::exp(-1)), 1e-6);
  EXPECT_TRUE(named("sigmoid", "0.9").empty());
}

TEST(ActionClassifier, WhatDoesNotFitIsRefused) {
  const auto refused = [](const models::Spec& spec, std::vector<std::int64_t> shape, std::vector<float> logits) {
    const auto made = ActionClassifier::create(spec, session_of(std::move(shape), std::move(logits)));
    return made ? std::string("accepted") : made.error().message;
  };
  const std::vector<std::int64_t> sound = {1, 3, kFrames, kHeight, kWidth};
  EXPECT_EQ(refused(actions_spec("ncthw"), sound, {1, 2, 3}), "accepted");
  EXPECT_THAT(refused(actions_spec("ncthw"), {1, 3, 16, kHeight, kWidth}, {1, 2, 3}), HasSubstr("[1,3,3,4,5]"));
  EXPECT_THAT(refused(actions_spec("nthwc"), sound, {1, 2, 3}), HasSubstr("[1,3,4,5,3]"));
  EXPECT_THAT(refused(actions_spec("nchw"), sound, {1, 2, 3}), HasSubstr("ncthw, ntchw or nthwc"));
  EXPECT_THAT(refused(actions_spec("ncthw"), sound, {1, 2}), HasSubstr("3 classes"));
  EXPECT_EQ(plan_of(actions_spec("ncthw")).error().code, ErrorCode::kUnsupported) << "it is no model of pictures";
  models::Spec odd = actions_spec("ncthw");
  odd.head_options["nms"] = "1";
  EXPECT_THAT(refused(odd, sound, {1, 2, 3}), HasSubstr("no option 'nms'"));
  const auto classifier = ActionClassifier::create(actions_spec("ncthw"), session_of(sound));
  EXPECT_FALSE(classifier->classify({}));
}

}  // namespace
}  // namespace image_engine::vision
