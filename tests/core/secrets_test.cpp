#include "core/secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <cstdlib>

#include "core/config.h"

namespace image_engine {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Not;

TEST(Secrets, ChildrenGetNoKeys) {
  for (const char* name : {"IE_PLAIN", "IE_OF_MINE", "IE_OF_CONFIG", "HF_TOKEN", "NGC_API_KEY", "NVIDIA_API_KEY"})
    ::setenv(name, "value", 1);
  EXPECT_THAT(child_environment(), AllOf(Contains("IE_PLAIN=value"), Contains("IE_OF_MINE=value")));
  add_secret_variable("IE_OF_MINE");
  Config config;
  ASSERT_TRUE(set(config, "nvidia_build.api_key_env", "IE_OF_CONFIG"));
  EXPECT_THAT(child_environment(), Contains("IE_PLAIN=value"));
  for (const char* name : {"IE_OF_MINE", "IE_OF_CONFIG", "HF_TOKEN", "NGC_API_KEY", "NVIDIA_API_KEY"})
    EXPECT_THAT(child_environment(), Not(Contains(std::string(name) + "=value")));
  for (const char* name : {"IE_PLAIN", "IE_OF_MINE", "IE_OF_CONFIG", "HF_TOKEN", "NGC_API_KEY", "NVIDIA_API_KEY"})
    ::unsetenv(name);
}

TEST(Secrets, NoCoreIsDumpedWhileOneIsHeld) {
  ASSERT_EQ(::prctl(PR_GET_DUMPABLE), 1);
  {
    const Undumpable first;
    const Undumpable second;
    EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 0);
  }
  EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 1);
}

}  // namespace
}  // namespace image_engine
