// Detectors that run on several pictures at once.
#include <gtest/gtest.h>

#include "tests/support/ok.h"
#include "tests/vision/answering.h"
#include "tests/vision/fake_session.h"
#include "vision/objects.h"

namespace image_engine::vision {
namespace {

constexpr std::int64_t kSide = 32;

// For each picture one box in the middle as wide as its first value says, of confidence 0.9: rows tell pictures apart.
Tensor box_of_first_value(std::span<const Tensor> inputs) {
  const std::int64_t n = inputs[0].shape[0];
  Tensor output = floats({n, 5, 1});
  const std::size_t step = inputs[0].count() / static_cast<std::size_t>(n);
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
    const float values[] = {16, 16, 2 + 20 * inputs[0].as<float>()[i * step] / 255, 8, 0.9F};
    std::ranges::copy(values, output.as<float>().begin() + static_cast<std::ptrdiff_t>(5 * i));
  }
  return output;
}

// That many rows whatever it is asked.
Answering::Answer rows_always(std::int64_t rows) {
  return [rows](std::span<const Tensor>) { return floats({rows, 5, 1}); };
}

struct Detector {
  const Answering* session = nullptr;
  Result<ObjectDetector> made = fail(ErrorCode::kInternal, "");
};
Detector detector(std::int64_t rows, Answering::Answer answer) {
  models::Spec spec;
  spec.name = "test";
  spec.head = "yolo";
  spec.input.width = spec.input.height = static_cast<std::uint32_t>(kSide);
  spec.labels = {"thing"};
  std::vector<infer::TensorInfo> inputs{{"images", ElementType::kFloat32, {rows, 3, kSide, kSide}}};
  auto session = std::make_unique<Answering>(std::move(inputs), std::move(answer),
                                             infer::TensorInfo{"out", ElementType::kFloat32, {-1, 5, 1}});
  Detector detector{session.get()};
  detector.made = ObjectDetector::create(spec, std::move(session));
  return detector;
}

// Greys and sizes of three photos; each is reduced to a quarter in each direction.
struct GreyPhoto {
  std::uint8_t grey;
  std::uint32_t width, height;
};
constexpr GreyPhoto kGreyPhotos[] = {{0, 320, 320}, {255, 640, 320}, {51, 160, 320}};

std::vector<preprocess::Prepared> prepared(const ObjectDetector& detector) {
  std::vector<preprocess::Prepared> all;
  for (const GreyPhoto& photo : kGreyPhotos) {
    const std::vector<std::uint8_t> pixels(std::size_t{photo.width / 4} * (photo.height / 4) * 3, photo.grey);
    all.push_back(detector.prepare({photo.width / 4, photo.height / 4, pixels}, photo.width, photo.height).value());
  }
  return all;
}

TEST(SeveralPictures, AreOneRunAndEachInItsOwnPixels) {
  for (const std::int64_t rows : {-1, 1}) {
    const Detector one = detector(rows, box_of_first_value);
    ASSERT_OK(one.made);
    EXPECT_EQ(one.made->takes_several(), rows < 0);
    one.session->seen_.clear();
    const auto found = one.made->detect(prepared(*one.made));
    ASSERT_OK(found);
    EXPECT_EQ(one.session->seen_.size(), rows < 0 ? 1U : 3U);
    ASSERT_EQ(found->size(), std::size(kGreyPhotos));
    for (std::size_t i = 0; i < std::size(kGreyPhotos); ++i) {
      const auto& [grey, width, height] = kGreyPhotos[i];
      ASSERT_EQ((*found)[i].size(), 1U) << i;
      // The input is the whole photo, stretched to 32 × 32; the model sees 0…255.
      const float share = (2 + 20 * static_cast<float>(grey) / 255) / kSide;
      EXPECT_NEAR((*found)[i][0].box.width, share * static_cast<float>(width), 0.01) << i;
      EXPECT_NEAR((*found)[i][0].box.height, 0.25 * height, 0.01) << i;
    }
  }
}

TEST(SeveralPictures, GoOneByOneWhereTheGraphHasOneRowAllTheSame) {
  const Detector one = detector(-1, rows_always(1));
  ASSERT_OK(one.made);
  EXPECT_FALSE(one.made->takes_several());
  EXPECT_EQ(one.made->detect(prepared(*one.made))->size(), std::size(kGreyPhotos));
  EXPECT_EQ(detector(-1, rows_always(7)).made.error().code, ErrorCode::kCorrupt);
}

TEST(SeveralPictures, OfNoneIsNothing) {
  const Detector one = detector(-1, box_of_first_value);
  ASSERT_TRUE(one.made);
  EXPECT_TRUE(one.made->detect(std::span<const preprocess::Prepared>{})->empty());
}

}  // namespace
}  // namespace image_engine::vision
