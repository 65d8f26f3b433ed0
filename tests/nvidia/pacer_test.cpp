#include "nvidia/pacer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "core/file.h"
#include "tests/nvidia/virtual_clock.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

using namespace image_engine;
using namespace image_engine::nvidia;
using namespace std::chrono_literals;

namespace {

constexpr char kServer[] = "https cloud.example 443";

// The most that fall into any 60 seconds, both ends counted.
size_t most_in_a_minute(std::vector<Time> times) {
  std::ranges::sort(times);
  size_t most = 0;
  for (size_t first = 0, last = 0; last < times.size(); ++last) {
    while (times[last] - times[first] > 60s) ++first;
    most = std::max(most, last - first + 1);
  }
  return most;
}

std::string state_file(const std::string& folder) {
  return std::filesystem::directory_iterator(folder)->path().string();
}

class PacerTest : public testing::Test {
 protected:
  Pacer pacer(double rate, const std::string& server = kServer) {
    auto made = Pacer::open(folder_.path(), server, rate, clock_);
    EXPECT_OK(made);
    return std::move(*made);
  }
  Scratch folder_;
  VirtualClock clock_;
};

class PacerRateTest : public PacerTest, public testing::WithParamInterface<double> {};

TEST_P(PacerRateTest, FillsTheRateAndNoMinuteGoesOverIt) {
  std::vector<Pacer> pacers;
  for (int i = 0; i < 3; ++i) pacers.push_back(pacer(GetParam()));
  const Time begin = clock_.now();
  std::vector<Time> slots;
  while (clock_.now() < begin + 10min) {
    const Result<Time> slot = pacers[slots.size() % pacers.size()].take();
    ASSERT_OK(slot);
    clock_.wait_until(*slot, [] { return false; });
    slots.push_back(*slot);
  }
  EXPECT_LE(static_cast<double>(most_in_a_minute(slots)), GetParam());
  EXPECT_GE(static_cast<double>(slots.size()), 0.95 * 10 * GetParam());
}

INSTANTIATE_TEST_SUITE_P(Rates, PacerRateTest, testing::Values(1, 40, 100, 1200));

TEST_F(PacerTest, TimeThatNobodyUsedIsNotSavedUp) {
  Pacer quick = pacer(60);
  ASSERT_TRUE(quick.take());
  clock_.set(clock_.now() + 1h);
  EXPECT_EQ(*quick.take(), clock_.now());
  EXPECT_GT(*quick.take(), clock_.now() + 1s);
}

TEST_F(PacerTest, ServersHaveTheirOwn) {
  Pacer one = pacer(1), other = pacer(1, "http localhost 8000");
  EXPECT_EQ(*one.take(), clock_.now());
  EXPECT_EQ(*other.take(), clock_.now());
}

TEST_F(PacerTest, AClockThatGoesBackGivesNothingTwice) {
  Pacer one = pacer(100);
  const Time slot = *one.take();
  clock_.set(clock_.now() - 10min);
  EXPECT_GT(*one.take(), slot);
}

TEST_F(PacerTest, QuietIsForEverybody) {
  Pacer one = pacer(100), other = pacer(100);
  const Time quiet = clock_.now() + 30s;
  EXPECT_LE(*other.held_until(), clock_.now());
  ASSERT_TRUE(one.hold_until(quiet));
  ASSERT_TRUE(one.hold_until(quiet - 10s));
  EXPECT_EQ(*other.held_until(), quiet);
  EXPECT_NEAR(*other.left(), 48.5, 0.01);
  EXPECT_EQ(*other.take(), quiet);
  EXPECT_GT(*one.take(), quiet);
}

TEST_F(PacerTest, WithoutARateOnlyQuietCounts) {
  Pacer one = pacer(0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*one.take(), clock_.now());
  EXPECT_EQ(*one.left(), std::numeric_limits<double>::infinity());
  ASSERT_TRUE(one.hold_until(clock_.now() + 5s));
  EXPECT_EQ(*one.take(), clock_.now() + 5s);
}

TEST_F(PacerTest, TellsWhatIsLeft) {
  Pacer one = pacer(100);
  EXPECT_NEAR(*one.left(), 97, 0.01);
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(one.take());
  EXPECT_NEAR(*one.left(), 90, 0.01);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(one.take());
  EXPECT_EQ(*one.left(), 0);
}

TEST_F(PacerTest, DamagedOrOldStateCountsAsNone) {
  Pacer one = pacer(1);
  ASSERT_TRUE(one.take());
  const std::string file = state_file(folder_.path()), sound = *read_file(file);
  std::string other_boot = sound, flipped = sound;
  other_boot[50] = other_boot[50] == 'a' ? 'b' : 'a';
  flipped[5] ^= 1;
  for (const std::string& damaged : {std::string(), sound.substr(0, 40), sound + "x", std::string(5000, '9'),
                                     std::string(sound.size(), '\0'), other_boot, flipped}) {
    ASSERT_TRUE(write_file_atomically(file, damaged));
    EXPECT_EQ(*one.take(), clock_.now());
    EXPECT_GT(*one.take(), clock_.now()) << "what was written over it is sound";
  }
  std::filesystem::remove(file);
  EXPECT_EQ(*one.take(), clock_.now());
}

TEST_F(PacerTest, ItsFileIsItsUsersAlone) {
  Pacer one = pacer(1);
  struct stat info {};
  ASSERT_EQ(::stat(state_file(folder_.path()).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(PacerTest, SaysWhatIsWrong) {
  ASSERT_TRUE(write_file_atomically(folder_.path() + "/file", std::string_view("x")));
  EXPECT_FALSE(Pacer::open(folder_.path() + "/file", kServer, 100, clock_));
  for (const double rate : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    const auto made = Pacer::open(folder_.path(), kServer, rate, clock_);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
  }
}

// Slots that other processes and threads took, in memory that all share.
constexpr size_t kEach = 200, kProcesses = 3, kThreads = 2;
struct Shared {
  std::atomic<size_t> count;
  Time slots[kEach * kProcesses * kThreads];
};

void take_many(const std::string& folder, Shared& shared) {
  auto pacer = Pacer::open(folder, kServer, 1200);
  const auto take = [&] {
    for (size_t i = 0; i < kEach; ++i) shared.slots[shared.count++] = *pacer->take();
  };
  std::thread other(take);
  take();
  other.join();
}

TEST_F(PacerTest, ProcessesAndThreadsShareIt) {
  auto* shared =
      static_cast<Shared*>(::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  std::vector<pid_t> children;
  for (size_t i = 0; i < kProcesses; ++i) {
    children.push_back(::fork());
    if (children.back() == 0) {
      take_many(folder_.path(), *shared);
      ::_exit(0);
    }
  }
  for (const pid_t child : children) {
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  std::vector<Time> slots(shared->slots, shared->slots + shared->count);
  ASSERT_EQ(slots.size(), kEach * kProcesses * kThreads);
  std::ranges::sort(slots);
  for (size_t i = 1; i < slots.size(); ++i) ASSERT_GE(slots[i] - slots[i - 1], 60s / 1200.0);
  EXPECT_LE(most_in_a_minute(slots), 1200U);
  ::munmap(shared, sizeof(Shared));
}

TEST_F(PacerTest, OutlivesThoseWhoAreKilled) {
  auto* last = static_cast<std::atomic<std::int64_t>*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  auto pacer = Pacer::open(folder_.path(), kServer, 1e6);
  for (int round = 0; round < 20; ++round) {
    *last = 0;
    const pid_t child = ::fork();
    if (child == 0)
      for (auto own = Pacer::open(folder_.path(), kServer, 1e6);;) *last = own->take()->time_since_epoch().count();
    while (*last == 0) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(97 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const Result<Time> slot = pacer->take();
    ASSERT_TRUE(slot);
    EXPECT_GT(slot->time_since_epoch().count(), *last);
  }
  ::munmap(last, 4096);
}

}  // namespace
