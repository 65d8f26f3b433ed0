#include "nvidia/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/ok.h"

namespace image_engine::nvidia {
namespace {

using testing::HasSubstr;

Endpoint endpoint(const NvidiaBuildConfig& config, Task task) {
  const Result<Endpoint> result = endpoint_of(config, task);
  EXPECT_OK(result);
  return result.value_or(Endpoint{});
}

Error error(const NvidiaBuildConfig& config, Task task) {
  const Result<Endpoint> result = endpoint_of(config, task);
  EXPECT_FALSE(result) << result->url;
  return result ? Error{} : result.error();
}

TEST(EndpointOf, TheDefaultsAreNvidias) {
  const NvidiaBuildConfig config;
  const Endpoint detect = endpoint(config, Task::kDetect);
  EXPECT_EQ(detect.url, "https://ai.api.nvidia.com/v1/cv/nvidia/retail-object-detection");
  EXPECT_EQ(detect.name, "cv/nvidia/retail-object-detection");
  EXPECT_EQ(detect.dialect, Dialect::kInline);
  EXPECT_FALSE(detect.local);
  EXPECT_LT(detect.most_bytes * 4 / 3, 180'000U);
  const Endpoint describe = endpoint(config, Task::kDescribe);
  EXPECT_EQ(describe.url, "https://ai.api.nvidia.com/v1/vlm/nvidia/nemotron-nano-12b-v2-vl");
  EXPECT_EQ(describe.model, "");
  EXPECT_EQ(describe.status_url, "https://ai.api.nvidia.com:443/v1/status/");
  const Endpoint embed = endpoint(config, Task::kEmbed);
  EXPECT_EQ(embed.url, "https://integrate.api.nvidia.com/v1/embeddings");
  EXPECT_EQ(embed.model, "nvidia/nvclip");
}

TEST(EndpointOf, EachDialectHasItsUsualAddress) {
  NvidiaBuildConfig config;
  config.base_url = "http://localhost:8000/";
  config.vision_language.dialect = "openai";
  EXPECT_EQ(endpoint(config, Task::kDescribe).url, "http://localhost:8000/v1/chat/completions");
  EXPECT_EQ(endpoint(config, Task::kDescribe).name, "chat/completions");
  EXPECT_EQ(endpoint(config, Task::kEmbed).url, "http://localhost:8000/v1/embeddings");
  config.embedding.dialect = "nim";
  EXPECT_EQ(endpoint(config, Task::kEmbed).url, "http://localhost:8000/embed");
  config.embedding.dialect = "prompts";
  EXPECT_EQ(endpoint(config, Task::kEmbed).url, "http://localhost:8000/nim/nvclip/embed");
  config.base_url = "http://localhost:8000/api/v3";
  EXPECT_EQ(endpoint(config, Task::kDescribe).url, "http://localhost:8000/api/v3/chat/completions");
  config.vision_language.dialect = "nvcf";
  config.vision_language.model = "a b/c";
  EXPECT_EQ(endpoint(config, Task::kDescribe).url, "http://localhost:8000/api/v3/vlm/a%20b/c");
}

TEST(EndpointOf, AWholeAddressStands) {
  NvidiaBuildConfig config;
  config.retail_detection.url = "https://elsewhere.example:8443/detect";
  config.retail_detection.dialect = "nvcf";
  const Endpoint detect = endpoint(config, Task::kDetect);
  EXPECT_EQ(detect.url, "https://elsewhere.example:8443/detect");
  EXPECT_EQ(detect.name, "detect");
  EXPECT_EQ(detect.assets_url, "https://api.nvcf.nvidia.com/v2/nvcf");
  EXPECT_EQ(detect.status_url, "https://api.nvcf.nvidia.com/v2/nvcf/pexec/status/");
  EXPECT_GT(detect.most_bytes, kInlineBytes);
}

TEST(EndpointOf, ThisMachineIsLocal) {
  for (const char* base : {"http://localhost:1", "http://127.0.0.1:1/v1", "http://[::1]:1", "https://localhost"}) {
    NvidiaBuildConfig config;
    config.base_url = base;
    EXPECT_TRUE(endpoint(config, Task::kDetect).local) << base;
    EXPECT_EQ(endpoint(config, Task::kDetect).most_bytes, kInlineBytes) << base;
    EXPECT_GT(endpoint(config, Task::kEmbed).most_bytes, kInlineBytes) << base;
  }
  EXPECT_TRUE(is_local("http://127.0.0.1:80/x"));
  EXPECT_FALSE(is_local("https://127.0.0.1.example/x"));
  EXPECT_FALSE(is_local("no address"));
  EXPECT_TRUE(is_local("http://localhost:631/#x"));
  EXPECT_TRUE(is_local("https://name@127.0.0.1/?signature=1"));
}

TEST(EndpointOf, ErrorsNameTheKey) {
  NvidiaBuildConfig config;
  config.base_url = "http://ai.api.nvidia.com/v1";
  EXPECT_EQ(error(config, Task::kDetect).code, ErrorCode::kPermission);
  EXPECT_THAT(error(config, Task::kDetect).message, HasSubstr("nvidia_build.base_url"));
  for (const char* wrong : {"ftp://host/x", "https://", "https://a b/", "https://user:secret@host/v1", "https://h/#x",
                            "http://10.0.0.1/x", "http://localhost.example/", "https://h\n/x"}) {
    NvidiaBuildConfig other;
    other.vision_language.url = wrong;
    const Error told = error(other, Task::kDescribe);
    EXPECT_THAT(told.message, HasSubstr("nvidia_build.vision_language.url")) << wrong;
    EXPECT_EQ(told.message.find("secret"), std::string::npos) << told.message;
  }
  for (const char* wrong :
       {"https://host.example/v1?version=2", "https://host.example/v1#x", "https://host.example?x"}) {
    NvidiaBuildConfig base, whole, uploads;
    base.base_url = whole.retail_detection.url = uploads.assets_url = wrong;
    uploads.retail_detection.dialect = "nvcf";
    for (const auto& [changed, key] :
         {std::pair(base, "base_url"), std::pair(whole, "retail_detection.url"), std::pair(uploads, "assets_url")}) {
      const Error told = error(changed, Task::kDetect);
      EXPECT_EQ(told.code, ErrorCode::kInvalidArgument) << wrong;
      EXPECT_THAT(told.message, HasSubstr(std::string("nvidia_build.") + key)) << wrong;
    }
  }
  NvidiaBuildConfig nameless;
  nameless.embedding.model = "";
  EXPECT_THAT(error(nameless, Task::kEmbed).message, HasSubstr("nvidia_build.embedding.model"));
  NvidiaBuildConfig strange;
  strange.retail_detection.dialect = "openai";
  EXPECT_THAT(error(strange, Task::kDetect).message, HasSubstr("nvidia_build.retail_detection.dialect"));
  NvidiaBuildConfig uploads;
  uploads.retail_detection.dialect = "nvcf";
  uploads.assets_url = "http://api.nvcf.nvidia.com";
  EXPECT_THAT(error(uploads, Task::kDetect).message, HasSubstr("nvidia_build.assets_url"));
}

}  // namespace
}  // namespace image_engine::nvidia
