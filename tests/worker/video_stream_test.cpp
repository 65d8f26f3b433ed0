// Frames of videos through a worker, against ffprobe's times.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/support/files.h"
#include "tests/support/ok.h"
#include "worker/answer.h"
#include "worker/decode_file.h"

namespace image_engine::worker {
namespace {

constexpr const char* kFolder = "video_frames/";

std::vector<double> times_of(const std::string& name) {
  std::vector<double> times;
  for (const auto& clip : json_of(std::string(kFolder) + "manifest.json"))
    if (clip["file"] == name) clip["times"].get_to(times);
  EXPECT_FALSE(times.empty()) << "tests/media/make_video_frames.py has not run";
  return times;
}

std::unique_ptr<Pool> pool_of(PoolOptions options = {}) { return Pool::create(std::move(options)).value(); }

struct Received {
  std::vector<double> seconds, chosen, steps;
  VideoSummary summary;
};

Received all_of(LeasedFile& file, const Task& task) {
  Received received;
  EXPECT_OK(file.start_video(task));
  for (;;) {
    const auto chunk = file.next_chunk();
    EXPECT_TRUE(chunk) << (chunk ? "" : chunk.error().message);
    if (!chunk || !*chunk) break;
    received.seconds.insert(received.seconds.end(), (*chunk)->seconds.begin(), (*chunk)->seconds.end());
    for (const ChosenFrame& frame : (*chunk)->chosen) received.chosen.push_back(frame.seconds);
    for (const ChosenFrame& frame : (*chunk)->steps) received.steps.push_back(frame.seconds);
  }
  received.summary = file.summary();
  return received;
}

void expect_near(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-5) << i;
}

// What is chosen of `times`: the first at or after each multiple of 1 / fps after the first.
std::vector<double> choice(const std::vector<double>& times, double fps) {
  std::vector<double> chosen;
  double last = -1;
  for (const double time : times) {
    const double step = std::floor((time - times[0]) * fps + 1e-6);
    if (step > last) chosen.push_back(time);
    last = std::max(last, step);
  }
  return chosen;
}

TEST(VideoStream, EveryFrameComesOnceAndThoseOfTheRateAreChosen) {
  const auto pool = pool_of();
  for (const char* name : {"plain.mp4", "b_frames.mkv", "stream.ts", "changing_rate.mp4", "edit_list.mp4"}) {
    SCOPED_TRACE(name);
    const std::vector<double> times = times_of(name);
    LeasedFile file = LeasedFile::open(*pool, std::string(kFolder) + name).value();
    for (const double fps : {0.0, 1.0, 5.0, 1000.0}) {
      Task task;
      task.max_edge = 64;
      task.operations = kThumbnail;
      task.video = {.fps = fps, .small_width = 64, .small_height = 36};
      const Received received = all_of(file, task);
      expect_near(received.seconds, times);
      expect_near(received.chosen, fps == 0 ? std::vector<double>{} : choice(times, fps));
      EXPECT_EQ(received.summary.frames, times.size());
      EXPECT_NEAR(received.summary.last, times.back(), 1e-5);
    }
  }
}

TEST(VideoStream, StepsComeBesideTheChosenFrames) {
  const auto pool = pool_of();
  const std::vector<double> times = times_of("plain.mp4");
  const double rate = std::round(1 / (times[1] - times[0]));
  LeasedFile file = LeasedFile::open(*pool, std::string(kFolder) + "plain.mp4").value();
  Task task{.max_edge = 64, .video = {.fps = 1, .step_seconds = 0.25, .step_edge = 40}};
  Received received = all_of(file, task);
  expect_near(received.chosen, choice(times, 1));
  expect_near(received.steps, choice(times, 4));
  // By frames of the file, also where it is resumed.
  task.video.step_seconds = 0;
  task.video.step_frames = 2;
  received = all_of(file, task);
  const std::vector<double> every_second = choice(times, rate / 2);
  expect_near(received.steps, every_second);
  task.video.from = every_second[6];
  task.video.anchor = times[0];
  received = all_of(file, task);
  expect_near(received.steps, {every_second.begin() + 6, every_second.end()});
  ASSERT_OK(file.start_video(task));
  for (auto chunk = file.next_chunk(); chunk && *chunk; chunk = file.next_chunk())
    for (const ChosenFrame& step : (*chunk)->steps) {
      EXPECT_EQ(std::max(step.picture.width, step.picture.height), 40U);
      EXPECT_EQ(file.pixels(step.picture).pixels.size(), std::size_t{3} * step.picture.width * step.picture.height);
    }
}

TEST(VideoStream, PixelsAreThoseOfTheSameFrameAskedForAlone) {
  const auto pool = pool_of({.workers = 2});
  LeasedFile file = LeasedFile::open(*pool, std::string(kFolder) + "turned_90.mp4").value();
  ASSERT_OK(file.start_video({.operations = kThumbnail | kLuma, .max_edge = 90, .video = {.fps = 2}}));
  for (int chosen = 0;;) {
    const auto chunk = file.next_chunk().value();
    if (!chunk) {
      EXPECT_EQ(chosen, 4);
      break;
    }
    for (const ChosenFrame& frame : chunk->chosen) {
      ++chosen;
      EXPECT_EQ(frame.picture.full_width, 180U);
      EXPECT_EQ(frame.picture.full_height, 320U);
      EXPECT_EQ(frame.picture.luma.height, 180U);  // of the frame as stored
      EXPECT_EQ(file.bytes(frame.thumbnail)[0], std::byte{0xFF});
      const DecodedFile alone =
          decode_file(*pool, std::string(kFolder) + "turned_90.mp4", {.max_edge = 90, .at = frame.seconds}).value();
      const ImageView one = alone.pixels(), other = file.pixels(frame.picture);
      ASSERT_EQ(std::pair(one.width, one.height), std::pair(other.width, other.height));
      EXPECT_TRUE(std::ranges::equal(one.pixels, other.pixels)) << frame.seconds;
    }
  }
}

TEST(VideoStream, FramesBetweenAreThoseThatMoved) {
  const auto pool = pool_of();
  const auto between_of = [&](const char* name, double track_fps) {
    LeasedFile file = LeasedFile::open(*pool, std::string(kFolder) + name).value();
    Task task{.operations = kThumbnail | kLuma, .max_edge = 96};
    task.video = {.fps = 1, .track_fps = track_fps, .between_edge = 64, .small_width = 64, .small_height = 36};
    EXPECT_OK(file.start_video(task));
    std::vector<double> between;
    for (;;) {
      const auto chunk = file.next_chunk();
      EXPECT_TRUE(chunk) << (chunk ? "" : chunk.error().message);
      if (!chunk || !*chunk) return between;
      for (const ChosenFrame& frame : (*chunk)->chosen) {
        EXPECT_EQ(std::max(frame.picture.width, frame.picture.height), frame.is_between ? 64U : 96U);
        EXPECT_EQ(frame.thumbnail.bytes > 0, !frame.is_between);
        if (frame.is_between) between.push_back(frame.seconds);
      }
    }
  };
  const std::vector<double> times = times_of("plain.mp4");
  std::vector<double> expected = choice(times, 5);
  std::erase_if(expected, [&](double time) { return std::ranges::count(choice(times, 1), time) > 0; });
  expect_near(between_of("plain.mp4", 5), expected);  // moving everywhere
  EXPECT_TRUE(between_of("plain.mp4", 1).empty());
  EXPECT_TRUE(between_of("still.mp4", 5).empty());
}

TEST(VideoStream, OneThatIsResumedGoesOnWhereItWas) {
  const auto pool = pool_of();
  const std::vector<double> times = times_of("b_frames.mkv");
  LeasedFile file = LeasedFile::open(*pool, std::string(kFolder) + "b_frames.mkv").value();
  Task task;
  task.max_edge = 64;
  task.video = {.from = 1.0, .fps = 5, .anchor = times[0]};
  const Received received = all_of(file, task);
  EXPECT_LE(received.seconds.front(), 1.0);
  EXPECT_GT(received.seconds.front(), 0.9);
  std::vector<double> expected = choice(times, 5);
  std::erase_if(expected, [](double time) { return time < 1.0 - 1e-6; });
  expect_near(received.chosen, expected);
}

TEST(VideoStream, OneThatIsGivenUpLeavesThePoolAtWork) {
  const auto pool = pool_of();
  for (int i = 0; i < 3; ++i) {
    LeasedFile file = LeasedFile::open(*pool, std::string(kFolder) + "plain.mp4").value();
    ASSERT_OK(file.start_video({.max_edge = 64, .video = {.fps = 25}}));
    ASSERT_TRUE(*file.next_chunk());
  }
  EXPECT_EQ(pool->deaths(), 0U);
  LeasedFile file = LeasedFile::open(*pool, std::string(kFolder) + "plain.mp4").value();
  EXPECT_TRUE(file.run({.operations = kReadMetadata})->metadata);
}

TEST(VideoStream, AWorkerThatIsKilledIsAnErrorAndAnotherTakesItsPlace) {
  const auto pool = pool_of();
  {
    LeasedFile file = LeasedFile::open(*pool, std::string(kFolder) + "plain.mp4").value();
    ASSERT_OK(file.start_video({.max_edge = 64, .video = {.fps = 25}}));
    ASSERT_TRUE(*file.next_chunk());
    for (const int id : pool->process_ids()) ::kill(id, SIGKILL);
    Result<std::optional<VideoChunk>> chunk = file.next_chunk();
    while (chunk && *chunk) chunk = file.next_chunk();
    ASSERT_FALSE(chunk);
    EXPECT_EQ(chunk.error().code, ErrorCode::kKilled);
  }
  EXPECT_EQ(pool->deaths(), 1U);
  LeasedFile file = LeasedFile::open(*pool, std::string(kFolder) + "plain.mp4").value();
  EXPECT_EQ(all_of(file, {.max_edge = 64}).seconds.size(), times_of("plain.mp4").size());
}

TEST(VideoStream, APhotoAndATextAreNoVideos) {
  const auto pool = pool_of();
  LeasedFile file = LeasedFile::open(*pool, std::string(kFolder) + "manifest.json").value();
  ASSERT_OK(file.start_video({}));
  const auto chunk = file.next_chunk();
  ASSERT_FALSE(chunk);
  EXPECT_EQ(chunk.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(pool->deaths(), 0U);
}

TEST(VideoStream, APartComesAsTheBytesOfAFile) {
  const auto pool = pool_of();
  LeasedFile file = LeasedFile::open(*pool, std::string(kFolder) + "plain.mp4").value();
  ASSERT_OK(file.start_cut({.operations = 0, .cut = {0.5, 1.5, ClipFormat::kMp4}}));
  std::vector<std::byte> written;
  for (;;) {
    const auto part = file.next_part();
    ASSERT_TRUE(part) << part.error().message;
    if (!*part) break;
    const auto bytes = file.bytes(**part);
    written.resize(std::max(written.size(), (*part)->position + bytes.size()));
    std::ranges::copy(bytes, written.begin() + static_cast<std::ptrdiff_t>((*part)->position));
  }
  ASSERT_GT(written.size(), 8U);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(written.data()) + 4, 4), "ftyp");
  EXPECT_NEAR(file.cut().from, 0.48, 1e-6);
  EXPECT_NEAR(file.cut().to, 1.5, 1e-6);
  EXPECT_EQ(file.cut().video_codecs, std::vector<std::string>{"h264"});
  EXPECT_EQ(pool->deaths(), 0U);
}

TEST(VideoStream, APartThatIsGivenUpLeavesThePoolAtWork) {
  const auto pool = pool_of();
  {
    LeasedFile file = LeasedFile::open(*pool, std::string(kFolder) + "plain.mp4").value();
    ASSERT_OK(file.start_cut({.operations = 0, .cut = {0, 2, ClipFormat::kMp4}}));
  }
  EXPECT_EQ(pool->deaths(), 0U);
  LeasedFile file = LeasedFile::open(*pool, std::string(kFolder) + "plain.mp4").value();
  EXPECT_TRUE(file.run({.operations = kReadMetadata})->metadata);
}

TEST(Parts, TheyLieInTheirSlot) {
  constexpr SlotRange kSlot{10'000, 50'000};
  EXPECT_TRUE(is_part_in({0, kSlot.begin, 40'000}, kSlot));
  EXPECT_FALSE(is_part_in({0, kSlot.begin, 40'001}, kSlot));
  EXPECT_FALSE(is_part_in({0, kSlot.begin - 1, 1}, kSlot));
  EXPECT_FALSE(is_part_in({0, kSlot.end + 1, 0}, kSlot));
  EXPECT_FALSE(is_part_in({0, ~0ULL - 10, 100}, kSlot));
  EXPECT_FALSE(is_part_in({~0ULL, kSlot.begin, 1}, kSlot));
}

TEST(Parts, AQuestionAboutAFrameMakesSense) {
  constexpr SlotRange kSlot{10'000, 50'000};
  Request request;
  request.operations = kRewrite;
  request.max_pixels = 10'000;
  request.rewrite.sends_pictures = 1;
  RewriteStep step{.seconds = 1};
  step.picture.full_width = step.picture.full_height = step.picture.width = step.picture.height = 100;
  step.picture.offset = kSlot.begin;
  EXPECT_TRUE(is_step_of(request, step, kSlot));
  const auto is_taken_with = [&](auto change) {
    RewriteStep changed = step;
    change(changed);
    return is_step_of(request, changed, kSlot);
  };
  EXPECT_FALSE(is_taken_with([](RewriteStep& s) { s.seconds = std::numeric_limits<double>::quiet_NaN(); }));
  EXPECT_FALSE(is_taken_with([](RewriteStep& s) { s.picture.full_width = 0; }));
  EXPECT_FALSE(is_taken_with([](RewriteStep& s) { s.picture.width = 0; }));
  EXPECT_FALSE(is_taken_with([](RewriteStep& s) { s.picture.width = 101; }));
  EXPECT_FALSE(is_taken_with([](RewriteStep& s) { s.picture.width = s.picture.height = 0x7FFFFFFF; }));
  EXPECT_FALSE(is_taken_with([](RewriteStep& s) { s.picture.offset = 30'000; }));
  EXPECT_FALSE(is_taken_with([](RewriteStep& s) { s.part = {0, 50'000, 1}; }));
  request.rewrite.sends_pictures = 0;
  EXPECT_FALSE(is_step_of(request, step, kSlot));
  step.picture.width = step.picture.height = 0;
  EXPECT_TRUE(is_step_of(request, step, kSlot));
}

TEST(Parts, ASummaryMakesSenseAndWasAskedFor) {
  Request request;
  request.operations = kCut;
  const auto is_taken = [&](const CutSummary& cut) {
    Reply reply;
    reply.cut = cut;
    return is_answer_to(request, reply, 1 << 20);
  };
  EXPECT_TRUE(is_taken({1, 2, 0, {"h264"}, {}, {}}));
  EXPECT_FALSE(is_taken({2, 1, 0, {"h264"}, {}, {}}));
  EXPECT_FALSE(is_taken({1, std::numeric_limits<double>::quiet_NaN(), 0, {"h264"}, {}, {}}));
  EXPECT_FALSE(is_taken({1, 2, 0, {}, {}, {}}));
  request.operations = kVideoFrames;
  EXPECT_FALSE(is_taken({1, 2, 0, {"h264"}, {}, {}}));
}

TEST(Parts, APreviewIsNoLargerThanAskedFor) {
  Request request;
  request.operations = kPreview;
  request.preview.frames = 2;
  request.preview.edge = 100;
  const auto is_taken = [&](std::uint64_t bytes) {
    Reply reply;
    reply.preview = Thumbnail{0, bytes};
    return is_answer_to(request, reply, 1 << 30);
  };
  constexpr std::uint64_t kMost = 100 * 100 * 4 * 2 + (1 << 20);
  EXPECT_TRUE(is_taken(kMost));
  EXPECT_FALSE(is_taken(kMost + 1));
  EXPECT_FALSE(is_taken(0));
}

// What a subverted worker may send.
class Chunks : public testing::Test {
 protected:
  Chunks() {
    request_.operations = kVideoFrames | kThumbnail;
    request_.max_edge = 100;
    request_.video.small_width = request_.video.small_height = 10;
    chunk_.seconds = {1, 2};
    chunk_.small_offset = kSlot.begin;
    ChosenFrame frame{2, {}, {kSlot.begin, 100}};
    frame.picture.width = frame.picture.height = 100;
    frame.picture.full_width = frame.picture.full_height = 1000;
    frame.picture.offset = kSlot.begin;
    chunk_.chosen = {frame};
  }
  [[nodiscard]] bool is_taken(double last = 0) const { return is_chunk_of(request_, chunk_, kSlot, last); }

  static constexpr SlotRange kSlot{10'000, 50'000};
  Request request_;
  VideoChunk chunk_;
};

TEST_F(Chunks, SoundOnesAreTaken) { EXPECT_TRUE(is_taken()); }
TEST_F(Chunks, TimesRise) {
  EXPECT_FALSE(is_taken(1));
  chunk_.seconds = {2, 2};
  EXPECT_FALSE(is_taken());
  chunk_.seconds = {1, std::numeric_limits<double>::quiet_NaN()};
  EXPECT_FALSE(is_taken());
}
TEST_F(Chunks, FramesAreNoMoreThanAChunkTakes) {
  chunk_.chosen.clear();
  chunk_.seconds.clear();
  for (std::uint32_t i = 0; i <= kMostChunkFrames; ++i) chunk_.seconds.push_back(i + 1.0);
  EXPECT_FALSE(is_taken());
  chunk_.seconds.pop_back();
  EXPECT_TRUE(is_taken());
}
TEST_F(Chunks, PixelsLieInTheSlot) {
  chunk_.chosen[0].picture.offset = kSlot.end - 29'999;
  EXPECT_FALSE(is_taken());
  chunk_.chosen[0].picture.offset = kSlot.begin - 1;
  EXPECT_FALSE(is_taken());
  chunk_.chosen[0].picture.offset = ~0ULL - 10;
  EXPECT_FALSE(is_taken());
}
TEST_F(Chunks, SmallPicturesLieInTheSlot) {
  chunk_.small_offset = kSlot.end - 599;
  EXPECT_FALSE(is_taken());
  chunk_.small_offset = kSlot.end - 600;
  EXPECT_TRUE(is_taken());
}
TEST_F(Chunks, PicturesAreNoLargerThanAskedFor) {
  chunk_.chosen[0].picture.width = 101;
  EXPECT_FALSE(is_taken());
}
TEST_F(Chunks, FramesBetweenAreAsTheyWereAskedFor) {
  chunk_.chosen[0].is_between = true;
  chunk_.chosen[0].thumbnail = {};
  EXPECT_FALSE(is_taken()) << "none were";
  request_.video.track_fps = 5;
  request_.video.between_edge = 100;
  EXPECT_TRUE(is_taken());
  chunk_.chosen[0].thumbnail = {kSlot.begin, 100};
  EXPECT_FALSE(is_taken());
  chunk_.chosen[0].thumbnail = {};
  request_.video.between_edge = 99;
  EXPECT_FALSE(is_taken());
}
TEST_F(Chunks, ChosenFramesAreAmongTheFrames) {
  chunk_.chosen[0].seconds = 1.5;
  EXPECT_FALSE(is_taken());
  chunk_.chosen[0].seconds = 2;
  chunk_.chosen.push_back(chunk_.chosen[0]);
  EXPECT_FALSE(is_taken());
}
TEST_F(Chunks, ThumbnailsComeWhereAskedFor) {
  chunk_.chosen[0].thumbnail = {};
  EXPECT_FALSE(is_taken());
  request_.operations = kVideoFrames;
  EXPECT_TRUE(is_taken());
}

TEST_F(Chunks, StepsComeWhereAskedFor) {
  chunk_.steps = chunk_.chosen;
  chunk_.steps[0].thumbnail = {};
  EXPECT_FALSE(is_taken());
  request_.video.step_frames = 4;
  request_.video.step_edge = 100;
  EXPECT_TRUE(is_taken());
  chunk_.steps[0].thumbnail = chunk_.chosen[0].thumbnail;
  EXPECT_FALSE(is_taken());
  chunk_.steps[0].thumbnail = {};
  request_.video.step_edge = 99;
  EXPECT_FALSE(is_taken());
  request_.video.step_edge = 100;
  chunk_.steps[0].picture.offset = kSlot.end - 29'999;
  EXPECT_FALSE(is_taken());
}

}  // namespace
}  // namespace image_engine::worker
