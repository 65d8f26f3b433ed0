// Guesses for windows to a timeline.
#include "video/actions.h"

#include <gmock/gmock.h>

namespace image_engine::video {
namespace {

using testing::ElementsAre;
using testing::FieldsAre;

TEST(Actions, WindowsOneBehindTheOtherAreOneSpan) {
  const ActionWindow windows[] = {{0, 4, {{"run", 0.5}}},
                                  {4, 8, {{"run", 0.9}, {"jump", 0.6}}},
                                  {8, 12, {{"jump", 0.4}}},
                                  {12, 16, {}},
                                  {16, 20, {{"run", 0.7}}}};
  EXPECT_THAT(action_spans(windows),
              ElementsAre(FieldsAre("run", 0.9, 0, 8), FieldsAre("jump", 0.6, 4, 12), FieldsAre("run", 0.7, 16, 20)));
  EXPECT_TRUE(action_spans({}).empty());
}

TEST(Actions, OverlappingWindowsAreOneSpanToo) {
  const ActionWindow windows[] = {{0, 4, {{"run", 0.5}}}, {2, 6, {{"run", 0.4}}}, {4, 5, {{"run", 0.3}}}};
  EXPECT_THAT(action_spans(windows), ElementsAre(FieldsAre("run", 0.5, 0, 6)));
}

TEST(Actions, UnsureGuessesAreNone) {
  const ActionGuess guesses[] = {{"a", 0.39}, {"b", 0.4}, {"c", 0.9}, {"d", 0.5}, {"e", 0.6}};
  EXPECT_THAT(sure_guesses(guesses, 0.4), ElementsAre(FieldsAre("c", 0.9), FieldsAre("e", 0.6), FieldsAre("d", 0.5)));
  EXPECT_TRUE(sure_guesses(guesses, 0.95).empty());
}

}  // namespace
}  // namespace image_engine::video
