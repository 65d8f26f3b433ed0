#include "core/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>

#include "core/file.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// The process environment as image-engine reads it, put back afterwards.
class ConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"IMAGE_ENGINE_CONFIG", "IMAGE_ENGINE_LOG_LEVEL", "IMAGE_ENGINE_USE_TENSORRT",
                             "IMAGE_ENGINE_MODELS", "XDG_CONFIG_HOME"}) {
      if (const char* value = std::getenv(name)) before_[name] = value;
      ::unsetenv(name);
    }
    ::setenv("XDG_CONFIG_HOME", folder_.c_str(), 1);
  }
  void TearDown() override {
    for (const char* name : {"IMAGE_ENGINE_CONFIG", "IMAGE_ENGINE_LOG_LEVEL", "IMAGE_ENGINE_USE_TENSORRT",
                             "IMAGE_ENGINE_MODELS", "XDG_CONFIG_HOME"})
      ::unsetenv(name);
    for (const auto& [name, value] : before_) ::setenv(name.c_str(), value.c_str(), 1);
  }

  std::string put(const std::string& name, const std::string& text) const { return scratch_.write(name, text); }

  static Config shipped(const std::string& name) {
    const auto config = load_config({name});
    if (!config) ADD_FAILURE() << config.error().message;
    return config.value_or(Config{});
  }

  const Scratch scratch_;
  const std::string folder_ = scratch_.path();
  std::map<std::string, std::string> before_;
};

std::string error_of(const std::string& yaml) {
  Config config;
  const auto status = apply_yaml(config, yaml, "x.yaml");
  if (status) return "no error";
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  return status.error().message;
}

ConfigEntry entry(const Config& config, const std::string& key) {
  for (auto& found : describe(config))
    if (found.key == key) return found;
  ADD_FAILURE() << "no key " << key;
  return {};
}

TEST_F(ConfigTest, DefaultFileNamesEveryKeyWithItsDefault) {
  const auto from_file = describe(shipped("default"));
  const auto built_in = describe(Config{});
  ASSERT_EQ(from_file.size(), built_in.size());
  for (size_t i = 0; i < built_in.size(); ++i) {
    EXPECT_EQ(from_file[i].value, built_in[i].value) << built_in[i].key;
    EXPECT_EQ(from_file[i].origin, ConfigOrigin::kFile) << built_in[i].key << " is not in default_config.yaml";
    EXPECT_EQ(built_in[i].origin, ConfigOrigin::kDefault);
    EXPECT_FALSE(built_in[i].help.empty()) << built_in[i].key;
  }
}

TEST_F(ConfigTest, MemoryBudget) {
  Config config;
  config.processing.workers = 1;
  EXPECT_EQ(config.memory_budget(false), 512U << 20);
  config.processing.workers = 8;
  EXPECT_EQ(config.memory_budget(false), 2048U << 20);
  const auto machine = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  EXPECT_EQ(config.memory_budget(true), std::max<std::uint64_t>(2048U << 20, machine / 8));
  config.processing.memory_mb = 100;
  EXPECT_EQ(config.memory_budget(true), 100U << 20);
}

TEST_F(ConfigTest, ShippedFilesHoldThePromisedValues) {
  const Config standard = shipped("default");
  EXPECT_EQ(standard.analysis.ml_models.batch_size, 8);
  EXPECT_FALSE(standard.analysis.ml_models.use_tensorrt);
  EXPECT_EQ(standard.processing.clear_cache_frequency, 10);
  EXPECT_EQ(standard.thumbnails.size, 256);
  EXPECT_EQ(standard.worker.memory_limit_mb, 1024);
  EXPECT_EQ(standard.worker.timeout_seconds, 30);

  const Config optimized = shipped("optimized");
  EXPECT_EQ(optimized.analysis.ml_models.batch_size, 16);
  EXPECT_EQ(optimized.analysis.ml_models.tensorrt_precision, "fp16");
  EXPECT_TRUE(optimized.analysis.ml_models.use_tensorrt);
  EXPECT_GT(optimized.processing.workers, standard.processing.workers);

  const Config development = shipped("development");
  EXPECT_LT(development.analysis.ml_models.batch_size, standard.analysis.ml_models.batch_size);
  EXPECT_EQ(development.log.level, "debug");

  const Config video = shipped("video");
  EXPECT_EQ(video.video.fps, 1);
  EXPECT_FALSE(video.video.use_nvidia_build);
  EXPECT_EQ(video.video.nvidia_frames, "scenes");
  EXPECT_GT(video.worker.timeout_seconds, standard.worker.timeout_seconds);
}

TEST_F(ConfigTest, NvidiaFileHoldsTheOriginalValues) {
  const NvidiaBuildConfig nvidia = shipped("nvidia").nvidia_build;
  EXPECT_FALSE(nvidia.enabled);
  EXPECT_EQ(nvidia.api_key_env, "NVIDIA_API_KEY");
  EXPECT_TRUE(nvidia.retail_detection.enabled);
  EXPECT_EQ(nvidia.retail_detection.confidence_threshold, 0.7);
  EXPECT_EQ(nvidia.retail_detection.max_detections, 10);
  EXPECT_TRUE(nvidia.vision_language.enabled);
  EXPECT_EQ(nvidia.vision_language.default_prompt, "Describe the activity in this video frame");
  EXPECT_EQ(nvidia.vision_language.max_tokens, 100);
  EXPECT_EQ(nvidia.vision_language.temperature, 0.3);
  EXPECT_EQ(nvidia.rate_limiting.max_requests_per_minute, 100);
  EXPECT_EQ(nvidia.rate_limiting.retry_attempts, 3);
  EXPECT_EQ(nvidia.rate_limiting.retry_delay, 1.0);
  EXPECT_TRUE(nvidia.caching.enabled);
  EXPECT_EQ(nvidia.caching.cache_dir, ".cache/nvidia_build");
  EXPECT_EQ(nvidia.caching.ttl_hours, 24);
  std::set<std::string> told;
  for (const auto& found : describe(shipped("nvidia")))
    if (found.origin == ConfigOrigin::kFile) told.insert(found.key);
  std::set<std::string> wanted;
  for (const char* key :
       {"enabled", "api_key_env", "base_url", "retail_detection.enabled", "retail_detection.confidence_threshold",
        "retail_detection.max_detections", "vision_language.enabled", "vision_language.default_prompt",
        "vision_language.max_tokens", "vision_language.temperature", "rate_limiting.max_requests_per_minute",
        "rate_limiting.retry_attempts", "rate_limiting.retry_delay", "caching.enabled", "caching.cache_dir",
        "caching.ttl_hours"})
    wanted.insert(std::string("nvidia_build.") + key);
  EXPECT_EQ(told, wanted);
  EXPECT_EQ(nvidia.base_url, "https://ai.api.nvidia.com/v1");
}

TEST_F(ConfigTest, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  const auto file = put("my.yaml", "log: {level: error}\nmodels: {folder: /from/file}\nprocessing: {workers: 3}\n");
  ::setenv("IMAGE_ENGINE_CONFIG", file.c_str(), 1);
  ::setenv("IMAGE_ENGINE_LOG_LEVEL", "DEBUG", 1);
  ::setenv("IMAGE_ENGINE_USE_TENSORRT", "true", 1);
  ::setenv("IMAGE_ENGINE_MODELS", "/from/environment", 1);
  auto config = load_config();
  ASSERT_OK(config);
  EXPECT_THAT(config->files, testing::ElementsAre(file));
  EXPECT_EQ(config->models.folder, "/from/environment");
  ASSERT_TRUE(set(*config, "analysis.ml_models.use_tensorrt", "false"));
  EXPECT_FALSE(config->analysis.ml_models.use_tensorrt);
  EXPECT_EQ(entry(*config, "analysis.ml_models.use_tensorrt").origin, ConfigOrigin::kFlag);
  EXPECT_EQ(config->log.level, "debug");
  EXPECT_EQ(entry(*config, "log.level").origin, ConfigOrigin::kEnvironment);
  EXPECT_EQ(entry(*config, "processing.workers").origin, ConfigOrigin::kFile);
  EXPECT_EQ(entry(*config, "processing.workers").value, "3");
  EXPECT_EQ(entry(*config, "thumbnails.size").origin, ConfigOrigin::kDefault);
}

TEST_F(ConfigTest, TheNamedFileBeatsTheOneInTheEnvironmentAndThePersonsOwn) {
  put("image-engine/config.yaml", "processing: {workers: 11}\n");
  const auto in_environment = put("environment.yaml", "processing: {workers: 12}\n");
  const auto named = put("named.yaml", "processing: {workers: 13}\n");
  EXPECT_EQ(load_config()->processing.workers, 11);
  ::setenv("IMAGE_ENGINE_CONFIG", in_environment.c_str(), 1);
  EXPECT_EQ(load_config()->processing.workers, 12);
  EXPECT_EQ(load_config({named})->processing.workers, 13);
  ::setenv("IMAGE_ENGINE_CONFIG", "", 1);
  EXPECT_EQ(load_config()->processing.workers, 11);
  std::filesystem::remove_all(folder_ + "/image-engine");
  const auto config = load_config();
  ASSERT_TRUE(config);
  EXPECT_EQ(describe(*config)[0].value, describe(Config{})[0].value);
  EXPECT_TRUE(config->files.empty());
}

TEST_F(ConfigTest, OfSeveralFilesLaterOnesWin) {
  put("image-engine/config.yaml", "thumbnails: {quality: 1}\n");
  const auto one = put("one.yaml", "processing: {workers: 3, memory_mb: 700}\n");
  const auto other = put("other.yaml", "processing: {workers: 5}\n");
  const auto config = load_config({one, other});
  ASSERT_OK(config);
  EXPECT_THAT(config->files, testing::ElementsAre(one, other));
  EXPECT_EQ(config->processing.workers, 5);
  EXPECT_EQ(config->processing.memory_mb, 700);
  EXPECT_EQ(config->thumbnails.quality, 85) << "the person's own is for runs without --config";
  EXPECT_EQ(load_config({other, one})->processing.workers, 3);
  EXPECT_FALSE(load_config({one, "/none/such.yaml"}));
}

TEST_F(ConfigTest, WrongEnvironmentAndMissingFilesAreNamed) {
  ::setenv("IMAGE_ENGINE_LOG_LEVEL", "loud", 1);
  auto config = load_config();
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, AllOf(HasSubstr("IMAGE_ENGINE_LOG_LEVEL"), HasSubstr("loud"), HasSubstr("warn")));
  ::unsetenv("IMAGE_ENGINE_LOG_LEVEL");
  for (const char* name : {"/none/such.yaml", "optimised"}) {
    config = load_config({name});
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().code, ErrorCode::kNotFound);
    EXPECT_THAT(config.error().message, AllOf(HasSubstr(name), HasSubstr("optimized")));
  }
  put("image-engine/config.yaml", "a: b\n");
  EXPECT_FALSE(load_config());
}

TEST(Yaml, UnknownKeysNameFileLineAndNearestKey) {
  EXPECT_THAT(error_of("log:\n  level: info\nanalysis:\n  ml_models:\n    batchsize: 4\n"),
              AllOf(HasSubstr("x.yaml:5:"), HasSubstr("analysis.ml_models.batchsize"),
                    HasSubstr("\"analysis.ml_models.batch_size\"")));
  EXPECT_THAT(error_of("log:\n  levle: info\n"), AllOf(HasSubstr("x.yaml:2:"), HasSubstr("\"log.level\"")));
  EXPECT_THAT(error_of("proccessing:\n  workers: 3\n"),
              AllOf(HasSubstr("x.yaml:2:"), HasSubstr("\"processing.workers\"")));
  EXPECT_THAT(error_of("nothing_like_it: 1\n"), AllOf(HasSubstr("x.yaml:1:"), testing::Not(HasSubstr("did you mean"))));
  EXPECT_THAT(error_of("zebra:\n"), HasSubstr("x.yaml:1:"));
}

TEST(Yaml, WrongValuesNameFileLineKeyAndWhatIsAllowed) {
  const struct {
    std::string yaml;
    std::vector<std::string> says;
  } cases[] = {
      {"analysis:\n  ml_models:\n    batch_size: many\n",
       {"x.yaml:3:", "analysis.ml_models.batch_size", "many", "1…1024"}},
      {"analysis: {ml_models: {batch_size: 0}}", {"x.yaml:1:", "batch_size", "1…1024"}},
      {"analysis: {ml_models: {batch_size: 8.5}}", {"batch_size", "an integer"}},
      {"analysis: {ml_models: {batch_size: 99999999999999999999}}", {"batch_size", "an integer"}},
      {"analysis: {ml_models: {batch_size: [1, 2]}}", {"batch_size", "a list"}},
      {"analysis: {ml_models: {batch_size: }}", {"batch_size", "empty"}},
      {"analysis: {ml_models: {use_tensorrt: maybe}}", {"use_tensorrt", "maybe", "true or false"}},
      {"analysis: {ml_models: {tensorrt_precision: fp8}}", {"tensorrt_precision", "fp8", "fp32, fp16, int8"}},
      {"nvidia_build: {vision_language: {temperature: nan}}", {"temperature", "0…2"}},
      {"log:\n  level:\n    deep: 1\n", {"x.yaml:3:", "log.level.deep"}},
      {"log: debug\n", {"x.yaml:1:", "log", "section"}},
      {"- a\n- b\n", {"x.yaml:1:"}},
      {"just text", {"x.yaml:1:"}},
      {"scan:\n  include:\n    - [a]\n", {"x.yaml:3:", "scan.include"}},
      {"[a]: b\n", {"x.yaml:1:"}},
      {"log:\n  level: info\n bad", {"x.yaml:", "YAML"}},
  };
  for (const auto& [yaml, says] : cases)
    for (const auto& part : says) EXPECT_THAT(error_of(yaml), HasSubstr(part)) << yaml;
}

TEST(Yaml, AnErrorChangesNothing) {
  Config config;
  EXPECT_FALSE(apply_yaml(config, "processing: {workers: 7}\nlog: {level: loud}\n", "x.yaml"));
  EXPECT_EQ(config.processing.workers, Config{}.processing.workers);
  EXPECT_TRUE(config.origins.empty());
}

TEST(Yaml, EmptyFilesAndSectionsSayNothing) {
  for (const std::string yaml : {"", "# only a comment\n", "---\n", "analysis:\nlog:\n", "scan: {include: }\n"}) {
    Config config;
    const auto status = apply_yaml(config, yaml, "x.yaml");
    EXPECT_TRUE(status) << yaml << status.error().message;
  }
}

TEST(Yaml, HostileTextIsRefused) {
  EXPECT_NE(error_of("log: &a [*a]\n"), "no error");
  EXPECT_NE(error_of("&a log: {x: *a}\n"), "no error");
  EXPECT_NE(error_of("a: &a {a: *a}\n"), "no error");
  EXPECT_NE(error_of("a:\n" + std::string(100'000, '[')), "no error");
  std::string bomb = "a: &a0 {}\n";
  for (int i = 1; i < 40; ++i)
    bomb += "b" + std::to_string(i) + ": &a" + std::to_string(i) + " {x: *a" + std::to_string(i - 1) + ", y: *a" +
            std::to_string(i - 1) + "}\n";
  error_of(bomb);
  error_of(std::string(100'000, 'k') + ": 1\n");
  std::mt19937 random(5);
  const std::string alphabet = "ab:{}[]&*!|>-\n \"'#%@`,?\t\0\xff" + std::string("log.scan");
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (int i = 0; i < 60; ++i) text += alphabet[random() % alphabet.size()];
    Config config;
    (void)apply_yaml(config, text, "x.yaml").has_value();
  }
}

TEST(Set, UsesTheSameTableAndErrors) {
  Config config;
  ASSERT_TRUE(set(config, "analysis.ml_models.batch_size", "24"));
  EXPECT_EQ(config.analysis.ml_models.batch_size, 24);
  ASSERT_TRUE(set(config, "scan.exclude", "*.png,cache/"));
  EXPECT_THAT(config.scan.exclude, testing::ElementsAre("*.png", "cache/"));
  ASSERT_TRUE(set(config, "log.level", "Warning"));
  EXPECT_EQ(config.log.level, "warn");
  const auto wrong = set(config, "analysis.ml_models.batch_size", "-1");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(wrong.error().message, HasSubstr("1…1024"));
  EXPECT_EQ(config.analysis.ml_models.batch_size, 24);
  const auto unknown = set(config, "analysis.ml_models.batch_sice", "1");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("analysis.ml_models.batch_size"));
}

TEST(Set, ListsAreTakenAsTheyAre) {
  Config config;
  ASSERT_TRUE(set(config, "scan.exclude", std::vector<std::string>{"Trip, 2019/", "a,b"}));
  EXPECT_EQ(config.scan.exclude, (std::vector<std::string>{"Trip, 2019/", "a,b"}));
  EXPECT_EQ(entry(config, "scan.exclude").origin, ConfigOrigin::kFlag);
  EXPECT_EQ(set(config, "log.level", std::vector<std::string>{"info"}).error().code, ErrorCode::kInvalidArgument);
}

TEST(Describe, EveryValueCanBeSetAgain) {
  Config config;
  ASSERT_TRUE(set(config, "scan.include", "*.jpg,*.png"));
  Config copy;
  for (const auto& found : describe(config)) EXPECT_TRUE(set(copy, found.key, found.value)) << found.key;
  const auto before = describe(config), after = describe(copy);
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i].value, after[i].value) << before[i].key;
}

TEST(Workers, NoneMeansOneForEachCoreOfThisProcess) {
  Config config;
  config.processing.workers = 3;
  EXPECT_EQ(config.worker_count(), 3u);
  config.processing.workers = 0;
  cpu_set_t cores;
  ASSERT_EQ(::sched_getaffinity(0, sizeof cores, &cores), 0);
  EXPECT_EQ(config.worker_count(), static_cast<unsigned>(CPU_COUNT(&cores)));
}

}  // namespace
}  // namespace image_engine
