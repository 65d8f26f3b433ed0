#include "nvidia/answer_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::nvidia {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class Answers : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("XDG_DATA_HOME", scratch_.write("data/.here", "").substr(0, (scratch_ / "data").size()).c_str(), 1);
    config_.cache_dir = scratch_ / "cache";
  }
  void TearDown() override { ::unsetenv("XDG_DATA_HOME"); }

  [[nodiscard]] AnswerStore open() const {
    auto store = AnswerStore::open(config_);
    EXPECT_OK(store);
    return std::move(*store);
  }
  [[nodiscard]] std::string journal(const Hash128& question) const {
    return scratch_ / ("data/image-engine/nvidia/journal/" + question.hex() + ".answer");
  }
  [[nodiscard]] std::string cache(const Hash128& question) const {
    return scratch_ / ("cache/" + question.hex() + ".answer");
  }
  static void written(const std::string& path, fs::file_time_type::duration age) {
    fs::last_write_time(path, fs::file_time_type::clock::now() - age);
  }

  Scratch scratch_;
  CloudCachingConfig config_;
  const Hash128 question_ = hash128(std::string_view("what is it"));
};

TEST_F(Answers, AreKeptInBothUntilTheCatalogueHasThem) {
  const AnswerStore store = open();
  EXPECT_EQ(store.find(question_), std::nullopt);
  ASSERT_TRUE(store.put(question_, "a dog\n"));
  EXPECT_TRUE(fs::exists(journal(question_)));
  store.kept(question_);
  EXPECT_FALSE(fs::exists(journal(question_)));
  EXPECT_EQ(open().find(question_), "a dog\n");
  ASSERT_TRUE(store.put(question_, ""));
  EXPECT_EQ(store.find(question_), "");
}

TEST_F(Answers, AreForThisUserAlone) {
  ASSERT_TRUE(open().put(question_, "a dog"));
  for (const std::string& file : {journal(question_), cache(question_)}) {
    EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write) << file;
    EXPECT_EQ(fs::status(fs::path(file).parent_path()).permissions(), fs::perms::owner_all) << file;
  }
}

TEST_F(Answers, WithoutACacheAreInTheJournalAlone) {
  config_.enabled = false;
  const AnswerStore store = open();
  ASSERT_TRUE(store.put(question_, "a dog"));
  EXPECT_FALSE(fs::exists(scratch_ / "cache"));
  EXPECT_EQ(open().find(question_), "a dog");
  store.kept(question_);
  EXPECT_EQ(store.find(question_), std::nullopt);
}

TEST_F(Answers, ThatAreDamagedCountAsNoneAndGo) {
  const AnswerStore store = open();
  for (const char* text :
       {"", "image-engine answer 1 ", "{}", "image-engine answer 1 00112233445566778899aabbccddeeff\na dog",
        "image-engine answer 2 00112233445566778899aabbccddeeff\na dog"}) {
    ASSERT_TRUE(store.put(question_, "a dog"));
    for (const std::string& file : {journal(question_), cache(question_)})
      scratch_.write(file.substr((scratch_ / "").size()), text);
    EXPECT_EQ(store.find(question_), std::nullopt) << text;
    EXPECT_FALSE(fs::exists(journal(question_))) << text;
    EXPECT_FALSE(fs::exists(cache(question_))) << text;
  }
  ASSERT_TRUE(store.put(question_, "a dog"));
  fs::resize_file(journal(question_), fs::file_size(journal(question_)) - 1);
  EXPECT_EQ(store.find(question_), "a dog");  // of the cache
}

TEST_F(Answers, HoldForTheirTimeInTheCacheAndLongerInTheJournal) {
  const AnswerStore store = open();
  ASSERT_TRUE(store.put(question_, "a dog"));
  written(journal(question_), 25h);
  written(cache(question_), 25h);
  EXPECT_EQ(store.find(question_), "a dog");
  store.kept(question_);
  EXPECT_EQ(store.find(question_), std::nullopt);
  written(cache(question_), 23h);
  EXPECT_EQ(store.find(question_), "a dog");
  config_.ttl_hours = 0;
  EXPECT_EQ(open().find(question_), std::nullopt);
}

TEST_F(Answers, OfTheFutureHoldNoLongerThanOthers) {
  const AnswerStore store = open();
  ASSERT_TRUE(store.put(question_, "a dog"));
  store.kept(question_);
  written(cache(question_), -1000h);  // the clock went back
  EXPECT_EQ(store.find(question_), "a dog");
  EXPECT_LT(fs::last_write_time(cache(question_)), fs::file_time_type::clock::now() + 1h);
}

TEST_F(Answers, LeaveAtTheStartTheOldestFirst) {
  config_.max_mb = 1;
  const AnswerStore store = open();
  std::vector<Hash128> questions;
  for (int i = 0; i < 4; ++i) {
    questions.push_back(hash128("question " + std::to_string(i)));
    ASSERT_TRUE(store.put(questions.back(), std::string(300'000, 'a')));
    store.kept(questions.back());
    written(cache(questions.back()), std::chrono::minutes(i == 2 ? 100 : 10 - i));
  }
  written(cache(questions[0]), 25h);
  const AnswerStore again = open();
  EXPECT_EQ(again.find(questions[0]), std::nullopt);
  EXPECT_TRUE(again.find(questions[2]));  // three fit
  config_.max_mb = 1;
  ASSERT_TRUE(again.put(questions[0], std::string(300'000, 'b')));
  again.kept(questions[0]);
  EXPECT_EQ(open().find(questions[2]), std::nullopt);
  EXPECT_TRUE(open().find(questions[1]));
}

TEST_F(Answers, AreTheOnlyFilesThatGo) {
  ASSERT_TRUE(open().put(question_, "a dog"));
  scratch_.write("cache/notes.txt", "mine");
  const std::string part = scratch_.write("cache/" + question_.hex() + ".answer.Ab3dEf", "left behind");
  EXPECT_EQ(AnswerStore::count(config_)->answers, 1U);
  written(part, 2h);
  (void)open();
  EXPECT_FALSE(fs::exists(part));
  EXPECT_EQ(AnswerStore::clear(config_, 1h)->answers, 0U);
  const auto cleared = AnswerStore::clear(config_);
  ASSERT_TRUE(cleared);
  EXPECT_EQ(cleared->answers, 1U);
  EXPECT_GT(cleared->bytes, 5U);
  EXPECT_EQ(AnswerStore::count(config_)->answers, 0U);
  EXPECT_TRUE(fs::exists(scratch_ / "cache/notes.txt"));
  EXPECT_TRUE(fs::exists(journal(question_)));
}

TEST_F(Answers, WaitForTheCatalogueInTheJournal) {
  const AnswerStore store = open();
  EXPECT_EQ(AnswerStore::waiting(), 0U);
  ASSERT_TRUE(store.put(question_, "a dog"));
  EXPECT_EQ(AnswerStore::waiting(), 1U);
  store.kept(question_);
  EXPECT_EQ(AnswerStore::waiting(), 0U);
  EXPECT_EQ(AnswerStore::count(config_)->answers, 1U);
}

TEST_F(Answers, SayWhereTheyCannotBeKept) {
  const AnswerStore store = open();
  const fs::path folder = fs::path(journal(question_)).parent_path();
  fs::remove_all(folder);
  const Status kept = store.put(question_, "a dog");
  ASSERT_FALSE(kept);
  EXPECT_NE(kept.error().message.find(folder.string()), std::string::npos) << kept.error().message;
  scratch_.write("data/image-engine/nvidia/journal", "a file");
  EXPECT_FALSE(AnswerStore::open(config_));
}

TEST_F(Answers, OfManyThreads) {
  const AnswerStore store = open();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int k = 0; k < 20; ++k) {
        EXPECT_TRUE(store.put(question_, "a dog"));
        EXPECT_EQ(store.find(question_), "a dog");
        (void)AnswerStore::open(config_);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store.find(question_), "a dog");
}

}  // namespace
}  // namespace image_engine::nvidia
