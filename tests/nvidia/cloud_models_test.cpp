#include "nvidia/cloud_models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "tests/nvidia/server.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::nvidia {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kDetect = "/v1/cv/nvidia/retail-object-detection";
constexpr const char* kDescribe = "/v1/vlm/";

// A blue picture by PIL.
std::string make_jpeg(const Scratch& scratch, int width, int height) {
  const std::string path = scratch / "picture.jpg";
  const std::string command =
      std::string(IE_SOURCE_DIR) + "/build/venv/bin/python -c 'from PIL import Image; Image.new(" + "\"RGB\", (" +
      std::to_string(width) + ", " + std::to_string(height) + "), (20, 30, 200)).save(\"" + path + "\")'";
  EXPECT_EQ(std::system(command.c_str()), 0);
  return bytes_of(path);
}

class Cloud : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("XDG_DATA_HOME", (scratch_ / "data").c_str(), 1);
    ::setenv("XDG_CONFIG_HOME", (scratch_ / "config").c_str(), 1);
    config_.base_url = server_.url("/v1");
    config_.assets_url = server_.url("/v2/nvcf");
    config_.api_key_env = "IMAGE_ENGINE_TEST_KEY";
    config_.caching.cache_dir = scratch_ / "cache";
    config_.rate_limiting.max_requests_per_minute = 100'000;
    config_.rate_limiting.retry_delay = 0.001;
    picture_.jpeg = make_jpeg(scratch_, 80, 40);
    picture_.scale = {80, 40, 800, 400};
    picture_.content = hash128(std::string_view("a picture"));
    picture_.path = "/photos/a.jpg";
  }
  void TearDown() override {
    for (const char* name : {"XDG_DATA_HOME", "XDG_CONFIG_HOME", "IMAGE_ENGINE_TEST_KEY"}) ::unsetenv(name);
  }

  [[nodiscard]] std::unique_ptr<CloudModels> open() const {
    auto models = CloudModels::open(config_);
    if (!models) throw std::runtime_error(models.error().message);
    return std::move(*models);
  }
  [[nodiscard]] std::size_t asked(const std::string& path = "/v1") const {
    std::size_t count = 0;
    for (const json& request : server_.requests())
      count += request["path"].get<std::string>().starts_with(path) ? 1 : 0;
    return count;
  }

  Scratch scratch_;
  Server server_;
  NvidiaBuildConfig config_;
  Picture picture_;
};

TEST_F(Cloud, DetectsDescribesAndEmbeds) {
  const auto models = open();
  const auto products = models->detect(picture_);
  ASSERT_OK(products);
  EXPECT_TRUE(products->paid);
  EXPECT_THAT(products->answer.dominant, ElementsAre("bottle", "package"));
  ASSERT_EQ(products->answer.detections.size(), 3U);
  EXPECT_EQ(products->answer.detections[0].box, (Box{100, 100, 200, 200}));
  EXPECT_EQ(products->answer.detections[1].box, (Box{400, 200, 400, 100}));  // cut to the picture
  const auto description = models->describe(picture_);
  ASSERT_OK(description);
  EXPECT_EQ(description->answer.text, "A bicycle beside a blue wall.");
  const auto vector = models->embed(picture_);
  ASSERT_OK(vector);
  const auto texts = models->embed_texts({"A bicycle beside a blue wall.", "a cat"});
  ASSERT_OK(texts);
  ASSERT_EQ(texts->size(), 2U);
  EXPECT_EQ(texts->at(0), vector->answer);
  EXPECT_NE(texts->at(1), vector->answer);
}

TEST_F(Cloud, EveryDialectComesToTheSame) {
  std::optional<std::vector<float>> vector;
  for (const char* dialect : {"openai", "nim", "prompts"}) {
    config_.embedding.dialect = dialect;
    const auto models = open();
    const auto result = models->embed(picture_);
    ASSERT_TRUE(result) << dialect << result.error().message;
    EXPECT_EQ(vector.value_or(result->answer), result->answer) << dialect;
    vector = result->answer;
    EXPECT_EQ(models->embed_texts(std::vector<std::string>(70, "a cat")).value().size(), 70U) << dialect;
  }
  for (const char* dialect : {"inline", "openai", "nvcf"}) {
    config_.vision_language.dialect = dialect;
    const auto result = open()->describe(picture_);
    ASSERT_TRUE(result) << dialect << result.error().message;
    EXPECT_EQ(result->answer.text, "A bicycle beside a blue wall.") << dialect;
  }
  config_.retail_detection.dialect = "nvcf";
  const auto models = open();
  const auto result = models->detect(picture_);
  ASSERT_OK(result);
  EXPECT_EQ(result->answer.detections.at(0).box, (Box{100, 100, 200, 200}));
  EXPECT_EQ(asked("/v2/nvcf/assets/"), 1U);  // removed
}

TEST_F(Cloud, AnAnswerIsPaidForOnce) {
  const auto first = open()->detect(picture_);
  ASSERT_TRUE(first);
  EXPECT_EQ(asked(), 1U);
  const auto models = open();
  EXPECT_TRUE(models->has(Task::kDetect, picture_.content));
  EXPECT_FALSE(models->has(Task::kDescribe, picture_.content));
  Picture known;  // without what would be sent
  known.content = picture_.content;
  known.scale.full_width = 800;
  known.scale.full_height = 400;
  const auto again = models->detect(known);
  ASSERT_OK(again);
  EXPECT_FALSE(again->paid);
  EXPECT_EQ(again->question, first->question);
  EXPECT_EQ(products_json(again->answer), products_json(first->answer));
  config_.retail_detection.max_detections = 1;
  EXPECT_EQ(open()->detect(known)->answer.detections.size(), 1U);
  EXPECT_EQ(asked(), 1U);
  config_.retail_detection.confidence_threshold = 0.3;
  EXPECT_TRUE(open()->detect(picture_)->paid);
}

TEST_F(Cloud, AnswersBelongToTheirPrompt) {
  const auto models = open();
  ASSERT_TRUE(models->describe(picture_, "of a frame"));
  EXPECT_TRUE(models->has(Task::kDescribe, picture_.content, "of a frame"));
  EXPECT_FALSE(models->has(Task::kDescribe, picture_.content));
}

TEST_F(Cloud, WithoutACacheTheJournalHoldsAnswersUntilTheyAreKept) {
  config_.caching.enabled = false;
  const auto first = open()->describe(picture_);
  ASSERT_TRUE(first);
  const auto models = open();
  EXPECT_FALSE(models->describe(picture_)->paid);
  models->kept(first->question);
  EXPECT_TRUE(models->describe(picture_)->paid);
  EXPECT_EQ(asked(), 2U);
}

TEST_F(Cloud, AnotherPromptIsAnotherQuestion) {
  const auto models = open();
  EXPECT_TRUE(models->describe(picture_)->paid);
  EXPECT_TRUE(models->describe(picture_, "What colour is it?")->paid);
  EXPECT_FALSE(models->describe(picture_, config_.vision_language.photo_prompt)->paid);
  picture_.content = {};
  EXPECT_TRUE(models->describe(picture_)->paid);
  EXPECT_TRUE(models->describe(picture_)->paid);
}

TEST_F(Cloud, TheSameAskedAtOnceIsAskedOnce) {
  server_.control({{"latency", 0.3}});
  const auto models = open();
  std::vector<std::thread> threads;
  std::atomic<int> paid = 0, answers = 0;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      const auto result = models->describe(picture_);
      answers += result ? 1 : 0;
      paid += result && result->paid ? 1 : 0;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(answers, 8);
  EXPECT_EQ(paid, 1);
  EXPECT_EQ(asked(), 1U);
}

TEST_F(Cloud, AnswersThatMakeNoSenseAreAskedForOnceMoreAndNotKept) {
  server_.fault({{"path", kDescribe}, {"body", "<html>"}});
  EXPECT_EQ(open()->describe(picture_)->answer.text, "A bicycle beside a blue wall.");
  EXPECT_EQ(asked(), 2U);
  server_.fault({{"path", kDetect}, {"times", 2}, {"body", R"({"predictions": [{"label": "x"}]})"}});
  const auto result = open()->detect(picture_);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(result.error().message, HasSubstr("cv/nvidia/retail-object-detection: HTTP 200"));
  EXPECT_FALSE(open()->has(Task::kDetect, picture_.content));
  EXPECT_EQ(asked(), 4U);
}

TEST_F(Cloud, WhatCannotBeKeptIsStillAnswered) {
  const auto models = open();
  std::filesystem::remove_all(scratch_ / "data/image-engine/nvidia/journal");
  const auto result = models->describe(picture_);
  ASSERT_OK(result);
  EXPECT_EQ(result->answer.text, "A bicycle beside a blue wall.");
}

TEST_F(Cloud, ServersOnThisMachineNeedNoKeyOthersDo) {
  EXPECT_TRUE(open()->detect(picture_));
  EXPECT_FALSE(server_.requests()[0]["headers"].contains("Authorization"));
  config_.base_url = NvidiaBuildConfig{}.base_url;
  const auto models = CloudModels::open(config_);
  ASSERT_FALSE(models);
  EXPECT_EQ(models.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(models.error().message, HasSubstr("IMAGE_ENGINE_TEST_KEY not found in environment"));
  config_.embedding.url = server_.url("/v1/embeddings");
  CloudOptions options;
  options.tasks = {Task::kEmbed};
  EXPECT_TRUE(CloudModels::open(config_, options));
}

TEST_F(Cloud, TheKeyGoesToTheServerAndNotToTheStoreOfPictures) {
  ::setenv("IMAGE_ENGINE_TEST_KEY", "nvapi-secret", 1);
  config_.retail_detection.dialect = "nvcf";
  ASSERT_TRUE(open()->detect(picture_));
  for (const json& request : server_.requests()) {
    const bool is_store = request["path"].get<std::string>().starts_with("/upload/");
    EXPECT_EQ(request["headers"].value("Authorization", ""), is_store ? "" : "Bearer nvapi-secret") << request;
  }
}

TEST_F(Cloud, ABudgetBuysAnswersWhereThreadsUploadSideBySide) {
  config_.retail_detection.dialect = "nvcf";
  config_.max_requests = 3;
  server_.control({{"latency", 0.05}});
  const auto models = open();
  std::atomic<int> answers = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i)
    threads.emplace_back([&, i] {
      Picture picture = picture_;
      picture.content = hash128("picture " + std::to_string(i));
      const auto result = models->detect(picture);
      answers += result ? 1 : 0;
      EXPECT_TRUE(result || result.error().code == ErrorCode::kBusy) << result.error().message;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answers, 3);
  EXPECT_EQ(models->client().left(), 0U);
  EXPECT_EQ(asked("/upload/"), asked("/v2/nvcf/assets/"));  // removed
}

TEST_F(Cloud, TextsAreAskedForOnceWhereThereIsACache) {
  const auto first = open()->embed_texts({"a cat", "a dog"});
  ASSERT_TRUE(first);
  const auto second = open()->embed_texts({"a horse", "a dog", "a cat"});
  ASSERT_TRUE(second);
  for (std::size_t i = 0; i < first->at(0).size(); ++i) {
    EXPECT_NEAR(first->at(0)[i], second->at(2)[i], 1e-6);
    EXPECT_NEAR(first->at(1)[i], second->at(1)[i], 1e-6);
  }
  EXPECT_EQ(asked(), 2U);
  ASSERT_TRUE(open()->embed_texts({"a horse"}));
  EXPECT_EQ(asked(), 2U);
  EXPECT_TRUE(std::filesystem::is_empty(scratch_ / "data/image-engine/nvidia/journal"));
  config_.caching.enabled = false;
  ASSERT_TRUE(open()->embed_texts({"a horse"}));
  EXPECT_EQ(asked(), 3U);
  EXPECT_TRUE(open()->embed_texts({}).value().empty());
}

TEST_F(Cloud, AsManyThreadsAsTheRateNeeds) {
  const auto threads = [&](std::int64_t rate, std::int64_t most) {
    config_.rate_limiting.max_requests_per_minute = rate;
    config_.rate_limiting.max_concurrent = most;
    return open()->threads();
  };
  EXPECT_EQ(threads(1, 0), 1);
  EXPECT_EQ(threads(100, 0), 14);
  EXPECT_EQ(threads(100'000, 0), 32);
  EXPECT_EQ(threads(100, 200), 200);
}

TEST_F(Cloud, WhatChangesTheAnswerChangesTheParams) {
  const auto params = [&](Task task) { return open()->params(task); };
  const std::string detect = params(Task::kDetect), describe = params(Task::kDescribe);
  config_.retail_detection.max_detections = 11;
  EXPECT_NE(params(Task::kDetect), detect);
  EXPECT_EQ(params(Task::kDescribe), describe);
  EXPECT_EQ(open()->params(Task::kDescribe, config_.vision_language.photo_prompt), describe);
  EXPECT_NE(open()->params(Task::kDescribe, "of a frame"), describe);
  EXPECT_EQ(open()->params(Task::kDetect, "of a frame"), params(Task::kDetect));
  config_.vision_language.photo_prompt += "?";
  EXPECT_NE(params(Task::kDescribe), describe);
  const std::string other = params(Task::kDescribe);
  config_.base_url = "http://127.0.0.1:9/v1";  // ports of this machine come and go
  EXPECT_EQ(params(Task::kDescribe), other);
  config_.vision_language.dialect = "nvcf";
  EXPECT_NE(params(Task::kDescribe), other);
}

}  // namespace
}  // namespace image_engine::nvidia
