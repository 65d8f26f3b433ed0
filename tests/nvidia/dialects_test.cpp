#include "nvidia/dialects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/text.h"
#include "tests/nvidia/virtual_clock.h"
#include "tests/support/ok.h"
#include "tests/support/stop.h"
#include "tests/support/zip.h"

namespace image_engine::nvidia {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kNumber = "0f8fad5b-d9cb-469f-a165-70867728950e";

// Answers one request after the other, and remembers them.
class Dialects : public testing::Test {
 protected:
  Dialects() {
    picture_.jpeg = "\xFF\xD8jpeg";
    picture_.path = "/photos/a.jpg";
    question_.picture = &picture_;
    question_.prompt = "What is it?";
    question_.max_tokens = 100;
    question_.temperature = 0.25;
    question_.threshold = 0.5;
    transport_.clock = &clock_;
    transport_.send = [this](const Request& request) -> Result<Reply> {
      requests_.push_back(request);
      if (requests_.size() == stop_after_) user_.request_stop();
      if (replies_.size() < requests_.size()) return Reply{204, {}, ""};
      return replies_[requests_.size() - 1];
    };
  }

  Endpoint endpoint(Task task, const std::string& dialect, const std::string& base = "https://ai.api.nvidia.com/v1") {
    NvidiaBuildConfig config;
    config.base_url = base;
    config.retail_detection.dialect = config.vision_language.dialect = config.embedding.dialect = dialect;
    const Result<Endpoint> result = endpoint_of(config, task);
    EXPECT_OK(result);
    return result.value_or(Endpoint{});
  }
  Result<std::string> asked(const Endpoint& endpoint) {
    return ask(endpoint, question_, transport_, [](std::string_view body) -> Status {
      if (body.starts_with("{\"text\"")) return {};
      return fail(ErrorCode::kCorrupt, "it has no text");
    });
  }
  json sent(const Endpoint& endpoint) {
    replies_ = {Reply{200, {}, R"({"text": "a dog"})"}};
    requests_.clear();
    EXPECT_EQ(asked(endpoint).value_or("error"), R"({"text": "a dog"})");
    EXPECT_EQ(requests_.size(), 1U);
    return json::parse(requests_.at(0).body);
  }
  static std::string header(const Request& request, const std::string& name) {
    for (const auto& [key, value] : request.headers)
      if (key == name) return value;
    return "";
  }
  [[nodiscard]] std::vector<std::string> addresses() const {
    std::vector<std::string> told;
    for (const Request& request : requests_) told.push_back(request.method + " " + request.url);
    return told;
  }

  Picture picture_;
  Question question_;
  VirtualClock clock_;
  Transport transport_;
  std::vector<Result<Reply>> replies_;
  std::vector<Request> requests_;
  std::stop_source user_;
  std::size_t stop_after_ = 0;  // requests; 0: never
};

Reply created(const std::string& url = "https://store.example/put?signature=s") {
  return {200, {}, json{{"assetId", kNumber}, {"uploadUrl", url}}.dump()};
}
Reply not_ready() { return {202, {{"nvcf-reqid", kNumber}}, ""}; }

TEST_F(Dialects, Inline) {
  EXPECT_EQ(sent(endpoint(Task::kDetect, "inline")),
            (json{{"image", base64_encode(picture_.jpeg)}, {"confidence_threshold", 0.5}}));
  const Request& request = requests_.at(0);
  EXPECT_EQ(request.url, "https://ai.api.nvidia.com/v1/cv/nvidia/retail-object-detection");
  EXPECT_EQ(request.endpoint, "cv/nvidia/retail-object-detection");
  EXPECT_EQ(request.about, "/photos/a.jpg");
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(header(request, "content-type"), "application/json");
  EXPECT_TRUE(request.paid && request.with_key);
  EXPECT_EQ(sent(endpoint(Task::kDescribe, "inline")), (json{{"image", base64_encode(picture_.jpeg)},
                                                             {"prompt", "What is it?"},
                                                             {"max_tokens", 100},
                                                             {"temperature", 0.25}}));
}

TEST_F(Dialects, OpenAi) {
  const std::string uri = "data:image/jpeg;base64," + base64_encode(picture_.jpeg);
  const json body = sent(endpoint(Task::kDescribe, "openai"));
  EXPECT_EQ(body["model"], "nvidia/nemotron-nano-12b-v2-vl");
  EXPECT_EQ(body["messages"], json::parse(R"([{"role": "user", "content": [
    {"type": "image_url", "image_url": {"url": ")" +
                                          uri + R"("}}, {"type": "text", "text": "What is it?"}]}])"));
  EXPECT_EQ(body["max_tokens"], 100);
  EXPECT_EQ(sent(endpoint(Task::kEmbed, "openai")),
            (json{{"input", json::array({uri})}, {"model", "nvidia/nvclip"}, {"encoding_format", "float"}}));
  picture_.url = "https://pictures.example/a.jpg";
  EXPECT_EQ(sent(endpoint(Task::kDescribe, "openai"))["messages"][0]["content"][0]["image_url"]["url"], picture_.url);
}

TEST_F(Dialects, TextsAndBothBodiesOfNims) {
  EXPECT_EQ(sent(endpoint(Task::kEmbed, "nim")), (json{{"image", base64_encode(picture_.jpeg)}}));
  EXPECT_EQ(sent(endpoint(Task::kEmbed, "prompts"))["image_url"],
            "data:image/jpeg;base64," + base64_encode(picture_.jpeg));
  question_.picture = nullptr;
  question_.texts = {"a dog"};
  EXPECT_EQ(sent(endpoint(Task::kEmbed, "nim")), (json{{"text", "a dog"}}));
  question_.texts = {"a dog", "\xFF"};
  EXPECT_EQ(sent(endpoint(Task::kEmbed, "prompts")), (json{{"text_prompts", {"a dog", "\xEF\xBF\xBD"}}}));
  EXPECT_EQ(sent(endpoint(Task::kEmbed, "openai"))["input"], (json{"a dog", "\xEF\xBF\xBD"}));
  EXPECT_EQ(asked(endpoint(Task::kEmbed, "nim")).error().code, ErrorCode::kInternal);
  EXPECT_EQ(asked(endpoint(Task::kDescribe, "inline")).error().code, ErrorCode::kInternal);
}

TEST_F(Dialects, PicturesThatAreNotSent) {
  const Endpoint detect = endpoint(Task::kDetect, "inline");
  picture_.jpeg = std::string(detect.most_bytes + 1, 'a');
  EXPECT_EQ(asked(detect).error().code, ErrorCode::kTooLarge);
  picture_.jpeg.clear();
  EXPECT_EQ(asked(detect).error().code, ErrorCode::kInvalidArgument);
  picture_.url = "https://pictures.example/a.jpg";
  EXPECT_EQ(asked(detect).error().code, ErrorCode::kUnsupported);
  EXPECT_TRUE(requests_.empty());
}

TEST_F(Dialects, AnswersThatMakeNoSenseNameEndpointAndStatus) {
  replies_ = {Reply{200, {}, "<html>"}, fail(ErrorCode::kBusy, "slow down")};
  const auto result = asked(endpoint(Task::kDetect, "inline"));
  EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(result.error().message, HasSubstr("cv/nvidia/retail-object-detection: HTTP 200"));
  EXPECT_EQ(asked(endpoint(Task::kDetect, "inline")).error().code, ErrorCode::kBusy);
}

TEST_F(Dialects, AnUploadIsReferredToAndRemoved) {
  const Endpoint detect = endpoint(Task::kDetect, "nvcf");
  replies_ = {created(), Reply{200, {}, ""}, Reply{200, {}, R"({"text": 1})"}, Reply{204, {}, ""}};
  ASSERT_TRUE(asked(detect));
  EXPECT_THAT(addresses(), ElementsAre("POST https://api.nvcf.nvidia.com/v2/nvcf/assets",
                                       "PUT https://store.example/put?signature=s", "POST " + detect.url,
                                       std::string("DELETE https://api.nvcf.nvidia.com/v2/nvcf/assets/") + kNumber));
  EXPECT_EQ(json::parse(requests_[0].body), (json{{"contentType", "image/jpeg"}, {"description", "picture"}}));
  EXPECT_EQ(requests_[1].body, picture_.jpeg);
  EXPECT_FALSE(requests_[1].with_key);
  EXPECT_EQ(header(requests_[1], "content-type"), "image/jpeg");
  EXPECT_EQ(header(requests_[1], "x-amz-meta-nvcf-asset-description"), "picture");
  EXPECT_EQ(json::parse(requests_[2].body), (json{{"input_video", kNumber}, {"threshold", 0.5}}));
  EXPECT_EQ(header(requests_[2], "nvcf-input-asset-references"), kNumber);
  EXPECT_EQ(header(requests_[2], "nvcf-poll-seconds"), "30");
  EXPECT_EQ(requests_each(detect), 3);  // without the removal
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(requests_[i].paid, i == 2) << i;
    EXPECT_EQ(requests_[i].finishes, i == 3) << i;
  }
}

TEST_F(Dialects, AVideoOfOneFrameIsPreferred) {
  picture_.mp4 = "mp4";
  replies_ = {created(), Reply{200, {}, ""}, Reply{200, {}, R"({"text": 1})"}};
  ASSERT_TRUE(asked(endpoint(Task::kDetect, "nvcf")));
  EXPECT_EQ(requests_[1].body, "mp4");
  EXPECT_EQ(header(requests_[1], "content-type"), "video/mp4");
}

TEST_F(Dialects, AnUploadIsRemovedWhateverHappens) {
  const Endpoint detect = endpoint(Task::kDetect, "nvcf");
  const Result<Reply> refused = fail(ErrorCode::kPermission, "refused");
  replies_ = {created(), Reply{200, {}, ""}, refused, refused};
  EXPECT_EQ(asked(detect).error().message, "refused");
  EXPECT_EQ(requests_.back().method, "DELETE");
  requests_.clear();
  replies_ = {created(), refused};
  EXPECT_EQ(asked(detect).error().message, "refused");
  EXPECT_THAT(addresses(), ElementsAre(testing::_, testing::_, HasSubstr("DELETE")));
}

TEST_F(Dialects, AnUploadThatLeadsNowhere) {
  const Endpoint detect = endpoint(Task::kDetect, "nvcf");
  for (const Reply& reply :
       {created("http://127.0.0.1:631/"), created("http://127.0.0.1:631/#x"), created("http://store.example/"),
        created("no address"), created("https://a b/"), Reply{200, {}, "{}"}, Reply{200, {}, "<html>"},
        Reply{200, {}, R"({"assetId": "../x", "uploadUrl": "https://store.example/"})"},
        Reply{200, {}, R"({"assetId": 7, "uploadUrl": "https://store.example/"})"}}) {
    requests_.clear();
    replies_ = {reply};
    const Error told = asked(detect).error();
    EXPECT_EQ(told.code, ErrorCode::kCorrupt) << reply.body;
    EXPECT_THAT(told.message, HasSubstr("cv/nvidia/retail-object-detection: HTTP 200")) << reply.body;
    EXPECT_EQ(requests_.size(), 1U) << reply.body;
  }
}

TEST_F(Dialects, AnUploadThatIsNotTaken) {
  for (const int status : {301, 302, 304, 307}) {
    requests_.clear();
    replies_ = {created(), Reply{status, {{"location", "https://store.example/other"}}, ""}};
    const auto result = asked(endpoint(Task::kDetect, "nvcf"));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kIo);
    EXPECT_THAT(result.error().message,
                HasSubstr("cv/nvidia/retail-object-detection (upload): HTTP " + std::to_string(status)));
    EXPECT_THAT(addresses(), ElementsAre(testing::_, testing::_, HasSubstr("DELETE")));
  }
}

TEST_F(Dialects, OnlyLargePicturesAreUploadedForDescriptions) {
  const Endpoint describe = endpoint(Task::kDescribe, "nvcf");
  EXPECT_EQ(sent(describe)["messages"][0]["content"],
            "What is it? <img src=\"data:image/jpeg;base64," + base64_encode(picture_.jpeg) + "\" />");
  picture_.jpeg = std::string(kInlineBytes + 1, 'a');
  requests_.clear();
  replies_ = {created(), Reply{200, {}, ""}, Reply{200, {}, R"({"text": 1})"}};
  ASSERT_TRUE(asked(describe));
  EXPECT_EQ(json::parse(requests_[2].body)["messages"][0]["content"],
            std::string("What is it? <img src=\"data:image/jpeg;asset_id,") + kNumber + "\" />");
}

TEST_F(Dialects, AnAnswerIsWaitedForWithPatience) {
  replies_ = {not_ready(), not_ready(), Reply{202, {}, ""}, not_ready(), not_ready(), Reply{200, {}, R"({"text": 1})"}};
  ASSERT_TRUE(asked(endpoint(Task::kDescribe, "nvcf")));
  const std::string address = std::string("GET https://api.nvcf.nvidia.com/v2/nvcf/pexec/status/") + kNumber;
  EXPECT_THAT(addresses(), ElementsAre(testing::_, address, address, address, address, address));
  using namespace std::chrono_literals;
  EXPECT_THAT(clock_.waits(), ElementsAre(1s, 2s, 4s, 8s, 8s));
  EXPECT_FALSE(requests_.back().paid);
}

TEST_F(Dialects, AnAnswerIsNotWaitedForForEver) {
  replies_.assign(100, not_ready());
  const auto result = asked(endpoint(Task::kDescribe, "nvcf"));
  EXPECT_EQ(result.error().code, ErrorCode::kTimeout);
  EXPECT_THAT(result.error().message, HasSubstr("HTTP 202"));
  EXPECT_LT(requests_.size(), 20U);
  transport_.stop = stopped();
  requests_.clear();
  EXPECT_EQ(asked(endpoint(Task::kDescribe, "nvcf")).error().code, ErrorCode::kInterrupted);
}

TEST_F(Dialects, AnAnswerThatWasPaidForIsAskedForOnceCancelled) {
  using namespace std::chrono_literals;
  stop_after_ = 2;
  transport_.stop = user_.get_token();
  const Reply elsewhere{302, {{"location", "https://store.example/zip"}}, ""};
  replies_ = {not_ready(), not_ready(), not_ready(), not_ready(), elsewhere, Reply{200, {}, R"({"text": 1})"}};
  ASSERT_TRUE(asked(endpoint(Task::kDescribe, "nvcf")));
  EXPECT_THAT(clock_.waits(), ElementsAre(1s, 1s, 1s));
  for (std::size_t i = 1; i < requests_.size(); ++i) EXPECT_TRUE(requests_[i].finishes && !requests_[i].paid) << i;
  EXPECT_FALSE(requests_[0].finishes);

  const Time begin = clock_.now();
  requests_.clear();
  replies_.assign(100, not_ready());
  user_ = std::stop_source();
  transport_.stop = user_.get_token();
  EXPECT_EQ(asked(endpoint(Task::kDescribe, "nvcf")).error().code, ErrorCode::kInterrupted);
  EXPECT_LE(clock_.now() - begin, transport_.grace + 1s);
  EXPECT_LT(requests_.size(), 20U);
}

TEST_F(Dialects, AnAnswerWithoutANumberCannotBeWaitedFor) {
  for (const Reply& reply : {Reply{202, {}, ""}, Reply{202, {{"nvcf-reqid", "../../x"}}, ""}}) {
    requests_.clear();
    replies_ = {reply};
    EXPECT_EQ(asked(endpoint(Task::kDescribe, "inline")).error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(requests_.size(), 1U);
  }
  requests_.clear();
  replies_ = {Reply{202, {}, R"({"requestId": "abc"})"}, Reply{200, {}, R"({"text": 1})"}};
  ASSERT_TRUE(asked(endpoint(Task::kDescribe, "inline")));
  EXPECT_EQ(requests_[1].url, "https://ai.api.nvidia.com:443/v1/status/abc");
}

TEST_F(Dialects, AnAnswerElsewhereIsFetchedAndUnpacked) {
  const std::string zip = zip_of({{"frame.mp4", "video"}, {"../x.response", R"({"text": "a dog"})"}});
  const Reply elsewhere{302, {{"location", "https://store.example/zip"}}, ""};
  replies_ = {not_ready(), elsewhere, Reply{200, {{"content-type", "binary/octet-stream"}}, zip}};
  EXPECT_EQ(asked(endpoint(Task::kDescribe, "nvcf")).value_or("error"), R"({"text": "a dog"})");
  EXPECT_EQ(requests_[2].method + " " + requests_[2].url, "GET https://store.example/zip");
  EXPECT_EQ(requests_[2].body, "");
}

TEST_F(Dialects, ZipsWithoutAnAnswer) {
  for (const std::string& zip : {zip_of({}), zip_of({{"\x1b[2Ja.mp4", "video"}}), std::string("PK\x03\x04 cut")}) {
    requests_.clear();
    replies_ = {Reply{200, {}, zip}};
    const auto result = asked(endpoint(Task::kDescribe, "nvcf"));
    EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(result.error().message.find('\x1b'), std::string::npos);
  }
  requests_.clear();
  replies_ = {Reply{200, {}, zip_of({65, {"a", "b"}})}};
  EXPECT_EQ(asked(endpoint(Task::kDescribe, "nvcf")).error().code, ErrorCode::kTooLarge);
}

TEST_F(Dialects, RedirectsThatAreNotFollowed) {
  const auto to = [](int status, const std::string& url) { return Reply{status, {{"location", url}}, ""}; };
  const auto refused = [&](const std::string& dialect, const Reply& reply) {
    requests_.clear();
    replies_.assign(20, reply);
    const auto result = asked(endpoint(Task::kDescribe, dialect));
    EXPECT_FALSE(result);
    EXPECT_THAT(result.error().message, HasSubstr("HTTP " + std::to_string(reply.status)));
    return requests_.size();
  };
  EXPECT_EQ(refused("inline", to(302, "https://elsewhere.example/")), 1U);
  EXPECT_EQ(refused("nvcf", to(307, "https://elsewhere.example/")), 1U);
  EXPECT_EQ(refused("nvcf", to(302, "http://localhost:631/")), 1U);
  EXPECT_EQ(refused("nvcf", to(302, "http://localhost:631/#x")), 1U);
  EXPECT_EQ(refused("nvcf", to(302, "http://elsewhere.example/")), 1U);
  EXPECT_EQ(refused("nvcf", to(302, "https://a b/")), 1U);
  EXPECT_EQ(refused("nvcf", to(302, "")), 1U);
  EXPECT_LT(refused("nvcf", to(302, "https://elsewhere.example/")), 6U);
}

}  // namespace
}  // namespace image_engine::nvidia
