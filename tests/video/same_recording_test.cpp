#include "video/same_recording.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <random>

#include "tests/support/moving_picture.h"
#include "video/fingerprint.h"

namespace image_engine::video {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::SizeIs;
using Frame = std::vector<std::uint8_t>;
using Recording = std::function<Frame(double seconds)>;

Recording film(const MovingPicture& picture) {
  return [picture](double seconds) { return picture.frame(seconds); };
}

std::string fingerprint(const Recording& shown, double seconds, double rate = 12.5, double from = 0) {
  Fingerprinter maker(1);
  const auto frames = static_cast<int>(std::lround(seconds * rate));
  for (int i = 0; i < frames; ++i) maker.add(100 + i / rate, shown(from + i / rate));
  maker.finish(100 + frames / rate);
  return maker.take();
}

// As a codec at a low bit rate leaves it.
Recording coded(const Recording& shown, unsigned seed = 1) {
  return [shown, seed](double seconds) {
    Frame frame = shown(seconds);
    std::mt19937 random(seed + static_cast<unsigned>(std::lround(seconds * 1000)));
    std::normal_distribution<double> noise(0, 3);
    for (std::uint8_t& value : frame)
      value = static_cast<std::uint8_t>(std::clamp(std::lround(value + noise(random)), 0L, 255L));
    return frame;
  };
}

Recording changed(const Recording& shown, const std::function<double(double)>& luma) {
  return [shown, luma](double seconds) {
    Frame frame = shown(seconds);
    for (std::uint8_t& value : frame) value = static_cast<std::uint8_t>(std::clamp(std::lround(luma(value)), 0L, 255L));
    return frame;
  };
}

std::vector<SameRecording> pairs(const std::vector<std::string>& fingerprints, int threads = 1) {
  return same_recordings(std::vector<std::string_view>(fingerprints.begin(), fingerprints.end()), threads);
}

testing::Matcher<SameRecording> pair_at(double offset) {
  return Field(&SameRecording::offset, testing::DoubleNear(offset, 0.1));
}

const MovingPicture kStreet(1, 1);

TEST(FingerprintTest, AStepHoldsTheMeanOfWhatIsShown) {
  const Frame dark(std::size_t{kSmallWidth} * kSmallHeight * 3, 40), light(dark.size(), 200);
  Fingerprinter maker(1);
  maker.add(7, dark);
  maker.add(7.125, light);  // a quarter of the first step is dark
  maker.add(7.9, dark);
  maker.finish(8.4);
  const std::string cells = maker.take();
  ASSERT_EQ(cells.size(), std::size_t{2} * kPrintCells);
  EXPECT_THAT(std::vector<int>({static_cast<std::uint8_t>(cells[0]), static_cast<std::uint8_t>(cells[kPrintCells])}),
              ElementsAre(160, 168));
  EXPECT_THAT(maker.take(), IsEmpty());
}

TEST(FingerprintTest, TheFrameRateHardlyMatters) {
  const std::string fast = fingerprint(film(kStreet), 10, 50), slow = fingerprint(film(kStreet), 10, 12.5);
  ASSERT_EQ(fast.size(), slow.size());
  int most = 0;
  for (std::size_t i = 0; i < fast.size(); ++i)
    most = std::max(most, std::abs(static_cast<std::uint8_t>(fast[i]) - static_cast<std::uint8_t>(slow[i])));
  EXPECT_LE(most, 6);
}

TEST(FingerprintTest, IsOfTheUprightPicture) {
  const auto upright = [](double x, double y) { return 20 + 150 * x + 60 * y; };
  // Where the upright picture's place (x, y) is in the one that is stored, by EXIF's orientation.
  const std::vector<std::function<double(double, double)>> stored = {
      [&](double x, double y) { return upright(x, y); },         [&](double x, double y) { return upright(1 - x, y); },
      [&](double x, double y) { return upright(1 - x, 1 - y); }, [&](double x, double y) { return upright(x, 1 - y); },
      [&](double x, double y) { return upright(y, x); },         [&](double x, double y) { return upright(1 - y, x); },
      [&](double x, double y) { return upright(1 - y, 1 - x); }, [&](double x, double y) { return upright(y, 1 - x); },
  };
  for (std::uint32_t orientation = 1; orientation <= 8; ++orientation) {
    Fingerprinter maker(orientation);
    maker.add(0, MovingPicture::frame_of(stored[orientation - 1]));
    maker.finish(kPrintStep);
    const std::string cells = maker.take();
    ASSERT_EQ(cells.size(), std::size_t{kPrintCells});
    for (int row = 0; row < kPrintRows; ++row)
      for (int column = 0; column < kPrintColumns; ++column)
        EXPECT_NEAR(static_cast<std::uint8_t>(cells[static_cast<std::size_t>(row * kPrintColumns + column)]),
                    upright((column + 0.5) / kPrintColumns, (row + 0.5) / kPrintRows), 1.5)
            << orientation << ": " << column << ", " << row;
  }
}

TEST(FingerprintTest, GoesOnWhereItWasInterrupted) {
  constexpr double kRate = 30;
  const auto add = [&](Fingerprinter& maker, int from, int to) {
    for (int i = from; i < to; ++i) maker.add(3 + i / kRate, kStreet.frame(i / kRate));
  };
  Fingerprinter whole(1);
  add(whole, 0, 300);
  whole.finish(13);
  const std::string expected = whole.take();
  for (const int at : {100, 105, 110, 113}) {
    Fingerprinter first(1), second(1);
    add(first, 0, at);
    const std::string begin = first.take();
    second.resume(3, begin.size() / kPrintCells);
    add(second, at - 40, 300);
    second.finish(13);
    EXPECT_EQ(begin + second.take(), expected) << at;
    add(first, at - 40, 300);  // frames that come again
    first.finish(13);
    EXPECT_EQ(begin + first.take(), expected) << at;
  }
}

TEST(FingerprintTest, WhatIsTooLongHasNone) {
  Fingerprinter maker(1);
  maker.add(0, kStreet.frame(0));
  maker.finish(kLongestPrint);
  EXPECT_TRUE(maker.is_whole());
  maker.finish(1e9);
  EXPECT_FALSE(maker.is_whole());
}

TEST(SameRecordingTest, FindsACopyWhateverItsCodecLightAndFrameRate) {
  const std::string original = fingerprint(film(kStreet), 20);
  const auto brighter = [](double luma) { return luma * 1.1 + 8; };
  for (const std::string& copy :
       {fingerprint(coded(film(kStreet)), 20), fingerprint(coded(changed(film(kStreet), brighter)), 19.5),
        fingerprint(coded(film(kStreet)), 19, 10), fingerprint(coded(film(kStreet)), 18.5, 29.97)})
    EXPECT_THAT(pairs({original, copy}), ElementsAre(pair_at(0))) << copy.size();
}

TEST(SameRecordingTest, FindsAPartAndWhereItBegins) {
  const std::string original = fingerprint(film(kStreet), 40);
  for (const double from : {0.0, 3.0, 1.37, 7.81, 26.25}) {
    const std::string part = fingerprint(coded(film(kStreet)), 12.6, 12.5, from);
    EXPECT_THAT(pairs({original, part}), ElementsAre(pair_at(from))) << from;
    const auto found = pairs({part, original});
    ASSERT_THAT(found, ElementsAre(pair_at(from))) << from;
    EXPECT_EQ(found[0].longer, 1U);
    EXPECT_EQ(found[0].shorter, 0U);
  }
}

TEST(SameRecordingTest, TwoRecordingsOfOneCameraAreNotTheSame) {
  std::vector<std::string> recordings;
  for (unsigned people = 1; people <= 12; ++people)
    recordings.push_back(fingerprint(film(MovingPicture(1, people)), 8 + people));
  EXPECT_THAT(pairs(recordings), IsEmpty());
  // Nor two halves of one.
  EXPECT_THAT(pairs({fingerprint(film(kStreet), 20), fingerprint(film(kStreet), 20, 12.5, 20)}), IsEmpty());
}

TEST(SameRecordingTest, WhatIsPlayedOtherwiseIsNotTheSame) {
  const std::string original = fingerprint(film(kStreet), 20);
  const auto mirrored = [](double seconds) {
    return MovingPicture::frame_of([&](double x, double y) { return kStreet.at(1 - x, y, seconds); });
  };
  const auto cropped = [](double seconds) {
    return MovingPicture::frame_of([&](double x, double y) { return kStreet.at(x * 0.8, y * 0.8, seconds); });
  };
  const auto back = [](double seconds) { return kStreet.frame(20 - seconds); };
  const auto faster = [](double seconds) { return kStreet.frame(seconds * 1.1); };
  const auto hardly_faster = [](double seconds) { return kStreet.frame(seconds * 1.03); };
  EXPECT_THAT(pairs({original, fingerprint(hardly_faster, 8)}), IsEmpty());
  for (const Recording& other : std::vector<Recording>{mirrored, cropped, back, faster})
    EXPECT_THAT(pairs({original, fingerprint(other, 18)}), IsEmpty());
}

TEST(SameRecordingTest, WhatHardlyMovesIsNotCompared) {
  const MovingPicture card(3, 0, 0);
  const auto black = [](double) { return Frame(std::size_t{kSmallWidth} * kSmallHeight * 3, 16); };
  const auto fading = [&](double seconds) {  // from black, then it stays
    return changed(film(card), [&](double luma) { return luma * std::min(seconds / 2, 1.0); })(seconds);
  };
  for (const Recording& still : std::vector<Recording>{film(card), black, fading}) {
    EXPECT_THAT(pairs({fingerprint(still, 20), fingerprint(still, 20)}), IsEmpty());
    EXPECT_THAT(pairs({fingerprint(coded(still, 1), 20), fingerprint(coded(still, 2), 15)}), IsEmpty());
  }
}

TEST(SameRecordingTest, ALoopIsNotCompared) {
  const auto loop = [](double seconds) { return kStreet.frame(std::fmod(seconds, 4)); };
  EXPECT_THAT(pairs({fingerprint(loop, 30), fingerprint(loop, 20)}), IsEmpty());
  EXPECT_THAT(pairs({fingerprint(loop, 30), fingerprint(loop, 30)}), IsEmpty());
}

TEST(SameRecordingTest, ASharedPartIsNotEnough) {
  const MovingPicture other(2, 9);
  const auto after_title = [&](const MovingPicture& rest) {
    return [rest](double seconds) { return seconds < 8 ? kStreet.frame(seconds) : rest.frame(seconds); };
  };
  EXPECT_THAT(pairs({fingerprint(after_title(other), 30), fingerprint(after_title(MovingPicture(2, 10)), 30)}),
              IsEmpty());
  // Each has what the other one lacks.
  EXPECT_THAT(pairs({fingerprint(film(kStreet), 20), fingerprint(film(kStreet), 20, 12.5, 5)}), IsEmpty());
}

TEST(SameRecordingTest, AnotherCaptionIsAnotherVideo) {
  const auto captioned = [](double left) {
    return [left](double seconds) {
      return MovingPicture::frame_of([&](double x, double y) {
        const bool is_letter = y > 0.8 && y < 0.9 && x > left && x < left + 0.1;
        return is_letter ? 250 : kStreet.at(x, y, seconds);
      });
    };
  };
  EXPECT_THAT(pairs({fingerprint(captioned(0.3), 15), fingerprint(captioned(0.6), 15)}), IsEmpty());
  EXPECT_THAT(pairs({fingerprint(captioned(0.3), 15), fingerprint(captioned(0.3), 15)}), SizeIs(1));
}

TEST(SameRecordingTest, ManyVideosOnSeveralThreadsGiveTheSame) {
  std::vector<std::string> all;
  for (unsigned seed = 0; seed < 20; ++seed) all.push_back(fingerprint(film(MovingPicture(seed % 3, seed)), 12, 10));
  for (unsigned seed = 0; seed < 5; ++seed)
    all.push_back(fingerprint(coded(film(MovingPicture(seed % 3, seed))), 8, 10, 2.2));
  const auto found = pairs(all, 1);
  ASSERT_THAT(found, SizeIs(5));
  for (std::uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(found[i].longer, i);
    EXPECT_EQ(found[i].shorter, 20 + i);
    EXPECT_NEAR(found[i].offset, 2.2, 0.1);
  }
  EXPECT_EQ(pairs(all, 4), found);
}

TEST(SameRecordingTest, WhatIsMalformedIsLeftOut) {
  const std::string good = fingerprint(film(kStreet), 12);
  EXPECT_THAT(pairs({}), IsEmpty());
  EXPECT_THAT(pairs({good, "", good.substr(1), good.substr(0, std::size_t{3} * kPrintCells), good}),
              ElementsAre(pair_at(0)));
}

}  // namespace
}  // namespace image_engine::video
