#include "search/relevance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace image_engine::search {
namespace {

using Vector = std::vector<float>;
constexpr std::size_t kPlantedDimensions = 512;

double dot_product(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

Vector unit(Vector vector) {
  const double length = std::sqrt(dot_product(vector, vector));
  for (float& x : vector) x = static_cast<float>(x / length);
  return vector;
}

// Pictures as vectors of 512 numbers, of which it is known whether they are about a text.
class PlantedVectors {
 public:
  explicit PlantedVectors(unsigned seed) : random_(seed), text_(unit(noise())) {}

  // A vector of that cosine to the text, in no direction else.
  Vector picture(double cosine) {
    Vector other = noise();
    const double along = dot_product(other, text_);
    for (std::size_t i = 0; i < other.size(); ++i) other[i] -= static_cast<float>(along) * text_[i];
    other = unit(other);
    for (std::size_t i = 0; i < other.size(); ++i)
      other[i] = static_cast<float>(std::sqrt(1 - cosine * cosine) * other[i] + cosine * text_[i]);
    return other;
  }
  double cosine_to(const Vector& picture) const { return dot_product(text_, picture); }
  double normal(double mean, double deviation) { return std::normal_distribution(mean, deviation)(random_); }

 private:
  Vector noise() {
    Vector vector(kPlantedDimensions);
    for (float& x : vector) x = static_cast<float>(random_()) / 4294967296.0F - 0.5F;
    return vector;
  }
  std::mt19937 random_;
  Vector text_;
};

void add(CosineHistogram& histogram, double cosine, std::uint32_t count = 1) {
  histogram.counts[CosineHistogram::bin_of(static_cast<float>(cosine))] += count;
  histogram.total += count;
}

struct Library {
  std::size_t pictures = 0, about = 0;
  double mean = 0.18;  // of what the text is not about
  double gap = 0.105;
};
struct Found {
  std::size_t right = 0, wrong = 0;
};

Found find(const Library& library) {
  PlantedVectors planted(static_cast<unsigned>(library.pictures + library.about));
  std::vector<double> cosines;
  CosineHistogram histogram;
  for (std::size_t i = 0; i < library.pictures; ++i) {
    const bool is_about = i < library.about;
    // A single one is no matter of luck.
    const double wanted = is_about && library.about == 1 ? library.mean + library.gap + 0.01
                          : is_about                     ? planted.normal(library.mean + library.gap, 0.02)
                                                         : planted.normal(library.mean, 0.022);
    cosines.push_back(planted.cosine_to(planted.picture(wanted)));
    add(histogram, cosines.back());
  }
  const Relevance relevance(histogram, kClipPrior);
  Found found;
  for (std::size_t i = 0; i < cosines.size(); ++i)
    if (relevance.of(cosines[i]) >= Relevance::kLeast) ++(i < library.about ? found.right : found.wrong);
  return found;
}

// docs/search.md tells these as recall and precision.
struct Demand {
  Library library;
  double least_recall;
  std::size_t most_wrong;
};

class PlantedRelevance : public testing::TestWithParam<Demand> {};

TEST_P(PlantedRelevance, FindsWhatIsAboutTheTextAndLittleElse) {
  const auto& [library, least_recall, most_wrong] = GetParam();
  const Found found = find(library);
  EXPECT_GE(static_cast<double>(found.right), least_recall * static_cast<double>(library.about));
  EXPECT_LE(found.wrong, most_wrong);
}

INSTANTIATE_TEST_SUITE_P(Libraries, PlantedRelevance,
                         testing::Values(Demand{{50, 0}, 0, 0}, Demand{{50, 1}, 1, 0}, Demand{{50, 20}, 0.9, 1},
                                         Demand{{50, 25}, 0.9, 1}, Demand{{5'000, 0}, 0, 1}, Demand{{5'000, 1}, 1, 1},
                                         Demand{{5'000, 20}, 0.85, 3}, Demand{{5'000, 2'500}, 0.95, 188},
                                         Demand{{100'000, 0}, 0, 2}, Demand{{100'000, 20}, 0.75, 4},
                                         Demand{{100'000, 50'000}, 0.95, 3'750},
                                         // A text whose cosines are all lower or higher.
                                         Demand{{5'000, 20, 0.15}, 0.85, 3}, Demand{{5'000, 20, 0.21}, 0.85, 3},
                                         Demand{{5'000, 2'500, 0.15}, 0.95, 188},
                                         Demand{{5'000, 2'500, 0.21}, 0.95, 188}, Demand{{5'000, 0, 0.21}, 0, 1},
                                         Demand{{5'000, 2'500, 0.15, 0.09}, 0.95, 188}),
                         [](const auto& test) {
                           const Library& library = test.param.library;
                           return std::to_string(library.about) + "_of_" + std::to_string(library.pictures) + "_at_" +
                                  std::to_string(std::lround(library.mean * 100)) + "_above_" +
                                  std::to_string(std::lround(library.gap * 1000));
                         });

// In 100,000 pictures one must stand out by five deviations to be told from chance.
TEST(Relevance, OneInAHundredThousand) {
  std::mt19937 random(3);
  CosineHistogram histogram;
  for (int i = 0; i < 100'000; ++i) add(histogram, std::normal_distribution(0.18, 0.022)(random));
  add(histogram, 0.305);
  const Relevance relevance(histogram, kClipPrior);
  EXPECT_GE(relevance.of(0.305), Relevance::kLeast);
  EXPECT_LT(relevance.of(0.25), Relevance::kLeast);
}

TEST(Relevance, OfTwelvePicturesOneStandsOutByAboutTheGap) {
  CosineHistogram histogram;
  for (int i = 0; i < 11; ++i) add(histogram, 0.16 + 0.004 * i);
  add(histogram, kClipPrior.mean + kClipPrior.gap);
  const Relevance relevance(histogram, kClipPrior);
  EXPECT_GE(relevance.of(kClipPrior.mean + kClipPrior.gap), 0.9);
  EXPECT_LT(relevance.of(kClipPrior.mean + kClipPrior.gap / 2), 0.1);
}

TEST(Relevance, OfNoneOrFewPicturesThePriorSpeaks) {
  CosineHistogram histogram;
  const double related = kClipPrior.mean + kClipPrior.gap;
  EXPECT_LT(Relevance(histogram, kClipPrior).of(kClipPrior.mean), 0.01);
  EXPECT_GE(Relevance(histogram, kClipPrior).of(related), Relevance::kLeast);
  add(histogram, related);
  EXPECT_GE(Relevance(histogram, kClipPrior).of(related), Relevance::kLeast);
  add(histogram, kClipPrior.mean);
  EXPECT_LT(Relevance(histogram, kClipPrior).of(kClipPrior.mean), 0.01);
  EXPECT_GE(Relevance(histogram, kClipPrior).of(related), Relevance::kLeast);
}

TEST(Relevance, EqualCosinesAreJudgedByWhereTheyLie) {
  for (const std::uint32_t pictures : {1U, 50U, 1'000'000U}) {
    for (const double nothing : {-1.0, 0.0, 0.15, 0.18, 0.22}) {
      CosineHistogram histogram;
      add(histogram, nothing, pictures);
      EXPECT_LT(Relevance(histogram, kClipPrior).of(nothing), Relevance::kLeast) << pictures << " of " << nothing;
    }
    CosineHistogram histogram;
    add(histogram, 0.32, pictures);
    EXPECT_GE(Relevance(histogram, kClipPrior).of(0.32), Relevance::kLeast) << pictures;
  }
}

// Two kinds of pictures that the text is not about, drawings and photos, say.
TEST(Relevance, TwoKindsOfOtherPicturesAreNotTakenForTheOneThatIsMeant) {
  std::mt19937 random(5);
  CosineHistogram histogram;
  for (int i = 0; i < 5'000; ++i) add(histogram, std::normal_distribution(i % 2 == 0 ? 0.13 : 0.19, 0.02)(random));
  EXPECT_LT(Relevance(histogram, kClipPrior).of(0.22), Relevance::kLeast);
}

TEST(Relevance, NeverFallsWhenTheCosineRises) {
  std::mt19937 random(1);
  const CosinePrior kPriors[] = {kClipPrior, kSentencePrior, {0.1, 0.05, 0.1, 0.02}, {0.1, 0.03, 0.2, 0.03}, {}};
  for (const CosinePrior& prior : kPriors) {
    for (int round = 0; round < 50; ++round) {
      CosineHistogram histogram;
      const int pictures = round * round;
      std::normal_distribution others(prior.mean, 0.005 * (round % 13)), about(prior.mean + prior.gap, 0.02);
      for (int i = 0; i < pictures; ++i) add(histogram, i % (1 + round % 7) == 1 ? about(random) : others(random));
      const Relevance relevance(histogram, prior);
      double before = 0;
      for (double cosine = -1; cosine <= 1; cosine += 0.001) {
        const double probability = relevance.of(cosine);
        ASSERT_GE(probability + 1e-12, before) << cosine;
        ASSERT_LE(probability, 1);
        before = probability;
      }
    }
  }
}

TEST(Relevance, WhatIsNoNumberIsAboutNothing) {
  const Relevance relevance({}, kClipPrior);
  EXPECT_EQ(relevance.of(std::numeric_limits<double>::quiet_NaN()), 0);
  EXPECT_EQ(relevance.of(-std::numeric_limits<double>::infinity()), relevance.of(-1));
  EXPECT_GE(relevance.of(std::numeric_limits<double>::infinity()), Relevance::kLeast);
}

}  // namespace
}  // namespace image_engine::search
