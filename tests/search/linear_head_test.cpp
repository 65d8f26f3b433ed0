// Classes planted among random vectors: who belongs is known.
#include "search/linear_head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <iostream>
#include <limits>
#include <random>

#include "tests/support/ok.h"

namespace image_engine::search {
namespace {

using testing::HasSubstr;

constexpr std::size_t kDimensions = 512;
using Row = std::vector<float>;

class World {
 public:
  explicit World(unsigned seed) : random_(seed) {}

  Row around(const Row& centre, double spread) {
    std::normal_distribution<float> normal(0, static_cast<float>(spread / std::sqrt(kDimensions)));
    Row row(kDimensions);
    double square = 0;
    for (std::size_t i = 0; i < kDimensions; ++i) {
      row[i] = (centre.empty() ? 0 : centre[i]) + normal(random_);
      square += double{row[i]} * double{row[i]};
    }
    for (float& value : row) value = static_cast<float>(value / std::sqrt(square));
    return row;
  }
  Row anywhere() { return around({}, 1); }

  std::vector<Row> many(const Row& centre, double spread, int count) {
    std::vector<Row> rows;
    for (int i = 0; i < count; ++i) rows.push_back(around(centre, spread));
    return rows;
  }

 private:
  std::mt19937 random_;
};

std::vector<float> flat(std::span<const Row> rows) {
  std::vector<float> all;
  for (const Row& row : rows) all.insert(all.end(), row.begin(), row.end());
  return all;
}

int found(const LinearHead& head, const std::vector<Row>& rows) {
  return static_cast<int>(std::ranges::count_if(rows, [&](const Row& row) { return head.confidence(row) >= 0.5F; }));
}

double cosine(const Row& a, const Row& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

// 5,000 of the library, 100 of the class; 20 of those are in the background without being named.
TEST(LinearHead, FindsTheClassFromOneThreeAndTenExamples) {
  for (const bool common : {false, true})
    for (const int examples : {1, 3, 10}) {
      World world(static_cast<unsigned>(examples));
      const Row direction = common ? world.anywhere() : Row{};  // what all pictures share
      std::vector<Row> library;
      if (common)
        for (int cluster = 0; cluster < 50; ++cluster) {
          const auto members = world.many(world.around(direction, 1), 0.7, 100);
          library.insert(library.end(), members.begin(), members.end());
        }
      else
        library = world.many({}, 1, 5000);
      const Row centre = world.around(direction, 1);
      const auto members = world.many(centre, 0.6, 100), shown = world.many(centre, 0.6, examples);
      EXPECT_NEAR(cosine(members[0], members[1]), 0.74, 0.08);  // a class, not copies

      TrainingSet set{kDimensions, flat(shown), {}, {}};
      for (std::size_t i = 0; i < library.size(); i += 3)
        set.background.insert(set.background.end(), library[i].begin(), library[i].end());
      const auto hidden = flat(std::span(members).first(20));
      set.background.insert(set.background.end(), hidden.begin(), hidden.end());
      const auto head = train(set);
      ASSERT_OK(head);
      const int right = found(*head, members), wrong = found(*head, library);
      EXPECT_GE(right, 95) << examples << " examples";
      EXPECT_LE(wrong, 2) << examples << " examples";
      std::cout << "  " << examples << (common ? " examples among clusters: " : " examples among random ones: ")
                << right << " of 100 found, " << wrong << " of 5,000 wrong\n";
    }
}

// A small library may be the class for the most part; none of it is named but the examples.
TEST(LinearHead, FindsTheClassThatMuchOfASmallLibraryIs) {
  for (const int of_twenty : {4, 10, 16})
    for (const double spread : {0.3, 0.6})
      for (const int examples : {1, 3, 10}) {
        World world(static_cast<unsigned>(11 + examples));
        const Row direction = world.anywhere();
        const Row centre = world.around(direction, 1);
        const auto shown = world.many(centre, spread, examples), same = world.many(centre, spread, of_twenty);
        std::vector<Row> others;
        for (int i = of_twenty; i < 20; ++i) others.push_back(world.around(world.around(direction, 1), spread));
        std::vector<Row> library = same;
        library.insert(library.end(), others.begin(), others.end());
        const auto head = train({kDimensions, flat(shown), {}, flat(library)});
        ASSERT_OK(head);
        EXPECT_GE(found(*head, same), of_twenty - (examples == 1 ? of_twenty / 4 : 0))
            << of_twenty << " of 20, spread " << spread << ", " << examples << " examples";
        EXPECT_EQ(found(*head, others), 0)
            << of_twenty << " of 20, spread " << spread << ", " << examples << " examples";
      }
}

// A class among its like that the background shows (other dogs, a few in a hundred): told apart without a word.
TEST(LinearHead, BackgroundSeparatesWhatIsAlike) {
  for (const int examples : {3, 10}) {
    World world(static_cast<unsigned>(20 + examples));
    const Row kind = world.anywhere();
    const auto others = world.many(kind, 0.6, 100);
    const Row mine = world.around(kind, 0.6);
    const auto members = world.many(mine, 0.35, 100);
    std::vector<Row> library = world.many({}, 1, 3000);
    library.insert(library.end(), others.begin(), others.end());
    const auto head = train({kDimensions, flat(world.many(mine, 0.35, examples)), {}, flat(library)});
    ASSERT_OK(head);
    EXPECT_GE(found(*head, members), 95) << examples;
    EXPECT_LE(found(*head, others), 10) << examples;
  }
}

// A class among its like (my dog among dogs): what a person says no to weighs.
TEST(LinearHead, NegativesSeparateWhatIsAlike) {
  World world(7);
  const Row kind = world.anywhere();
  const Row mine = world.around(kind, 0.5), other = world.around(kind, 0.5);
  const auto members = world.many(mine, 0.35, 100), others = world.many(other, 0.35, 100);
  TrainingSet set{kDimensions, flat(world.many(mine, 0.35, 3)), {}, flat(world.many({}, 1, 2000))};
  const auto before = train(set);
  set.negative = flat(std::span(others).first(3));
  const auto after = train(set);
  ASSERT_TRUE(before && after);
  EXPECT_GT(found(*before, others), 50) << "the test shows nothing";
  EXPECT_EQ(found(*after, others), 0);
  EXPECT_GE(found(*after, members), 98);
}

TEST(LinearHead, ContradictionsStayFinite) {
  World world(3);
  const auto shown = world.many(world.anywhere(), 0.5, 4), library = world.many({}, 1, 500);
  const TrainingSet set{kDimensions, flat(shown), flat(shown), flat(library)};
  const auto head = train(set);
  ASSERT_OK(head);
  for (const float weight : head->weights) ASSERT_TRUE(std::isfinite(weight) && std::abs(weight) < 100);
  ASSERT_TRUE(std::isfinite(head->bias));
  for (const Row& row : shown) EXPECT_LE(head->confidence(row), 0.5F);  // no and library against yes
  EXPECT_EQ(found(*head, library), 0);
}

TEST(LinearHead, WithoutBackgroundItStillSeparates) {
  World world(4);
  const Row yes = world.anywhere(), no = world.anywhere();
  const auto head = train({kDimensions, flat(world.many(yes, 0.5, 5)), flat(world.many(no, 0.5, 5)), {}});
  ASSERT_TRUE(head);
  EXPECT_EQ(found(*head, world.many(yes, 0.5, 100)), 100);
  EXPECT_EQ(found(*head, world.many(no, 0.5, 100)), 0);
  // Nothing to tell from: everything may be it, but nothing blows up.
  const auto alone = train({kDimensions, flat(world.many(yes, 0.5, 1)), {}, {}});
  ASSERT_TRUE(alone);
  EXPECT_TRUE(std::isfinite(alone->bias));
}

// That it is the least loss and not merely less: an independent stationarity check in double.
TEST(LinearHead, IsTheMinimum) {
  World world(5);
  const std::vector<Row> positive = world.many(world.anywhere(), 0.5, 3), negative = world.many({}, 1, 7),
                         background = world.many({}, 1, 300);
  const auto head = train({kDimensions, flat(positive), flat(negative), flat(background)});
  ASSERT_TRUE(head);
  std::vector<double> slope(kDimensions + 1);
  for (std::size_t i = 0; i < kDimensions; ++i) slope[i] = 0.003 * double{head->weights[i]};
  const auto pull = [&](const std::vector<Row>& rows, double wanted, double weight) {
    for (const Row& row : rows) {
      const double off = weight * (1 / (1 + std::exp(-cosine(row, head->weights) - double{head->bias})) - wanted);
      for (std::size_t i = 0; i < kDimensions; ++i) slope[i] += off * double{row[i]};
      slope.back() += off;
    }
  };
  pull(positive, 1, 1.0 / 3), pull(negative, 0, 1.0 / 7), pull(background, 0, 1.5 / 300);
  for (const double value : slope) ASSERT_NEAR(value, 0, 2e-5);
}

TEST(LinearHead, IsTheSameEveryTimeAndQuick) {
  World world(6);
  const TrainingSet set{kDimensions, flat(world.many(world.anywhere(), 0.6, 10)), flat(world.many({}, 1, 10)),
                        flat(world.many({}, 1, 3000))};
  const auto start = std::chrono::steady_clock::now();
  const auto first = train(set);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  std::cout << "  3,020 rows of 512: " << took.count() << " ms\n";
  const auto second = train(set);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->weights, second->weights);
  EXPECT_EQ(first->bias, second->bias);
}

TEST(LinearHead, SaysNothingOfAnEmbeddingOfAnotherLength) {
  const search::LinearHead head{{1, 1}, 10};
  EXPECT_GT(head.confidence(std::vector<float>{1, 1}), 0.9F);
  for (const std::size_t size : {0U, 1U, 3U, 4096U}) EXPECT_EQ(head.confidence(std::vector<float>(size, 1)), 0) << size;
}

TEST(LinearHead, RefusesWhatIsNoTrainingSet) {
  World world(8);
  const auto message = [](const TrainingSet& set) {
    const auto head = train(set);
    if (head) return std::string("accepted");
    EXPECT_EQ(head.error().code, ErrorCode::kInvalidArgument);
    return head.error().message;
  };
  const Row row = world.anywhere();
  EXPECT_THAT(message({kDimensions, {}, row, {}}), HasSubstr("at least one"));
  EXPECT_THAT(message({kDimensions, Row(100, 0.1F), {}, {}}), HasSubstr("positive examples are not of 512"));
  EXPECT_THAT(message({kDimensions, row, Row(513, 0.1F), {}}), HasSubstr("negative examples are not of 512"));
  EXPECT_THAT(message({0, row, {}, {}}), HasSubstr("no dimensions"));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e30F}) {
    Row broken = row;
    broken[17] = bad;
    EXPECT_THAT(message({kDimensions, broken, {}, {}}), HasSubstr("positive examples have values"));
    EXPECT_THAT(message({kDimensions, row, {}, broken}), HasSubstr("background examples have values"));
  }
}

}  // namespace
}  // namespace image_engine::search
