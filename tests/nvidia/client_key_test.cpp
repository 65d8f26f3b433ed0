// Where the key goes, who refuses it, and whom the client talks to at all.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "tests/nvidia/client_support.h"

using namespace image_engine;
using namespace image_engine::nvidia;
using namespace std::chrono_literals;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

namespace {

TEST_F(ClientTest, WithoutCreditsNothingIsAskedAnyMore) {
  server_.fault({{"status", 402}});
  const auto made = client(options());
  EXPECT_FALSE(made->refused());
  ASSERT_FALSE(made->send(request()));
  ASSERT_TRUE(made->refused());
  EXPECT_THAT(made->refused()->message, HasSubstr("HTTP 402"));
  const Result<Reply> reply = made->send(request());
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().message, made->refused()->message);
  EXPECT_EQ(server_.requests().size(), 1U);
}

TEST_F(ClientTest, AKeyThatIsRefusedThreeTimesInARowIsOfNoUse) {
  const auto made = client(options());
  for (const int status : {403, 401, 200, 401, 404, 403, 403}) {
    EXPECT_FALSE(made->refused());
    server_.control({{"faults", {{{"status", status}}}}});
    (void)made->send(request());
  }
  ASSERT_TRUE(made->refused());
  EXPECT_EQ(made->refused()->code, ErrorCode::kPermission);
  const size_t asked = server_.requests().size();
  ASSERT_FALSE(made->send(request()));
  EXPECT_EQ(server_.requests().size(), asked);
}

// Whether the server is asked for it.
bool is_asked(Client& client, Request request, const std::string& endpoint, const std::string& url) {
  request.endpoint = endpoint;
  request.url = url;
  const std::uint64_t before = client.usage().requests;
  EXPECT_EQ(client.refused(url, endpoint).has_value(), !client.send(request));
  return client.usage().requests > before;
}

TEST_F(ClientTest, WhatIsRefusedStopsWhatItIsAbout) {
  struct Case {
    int status, times;
    bool stops_endpoint, stops_server;
  };
  for (const Case& each : {Case{402, 1, true, true}, Case{401, 3, true, true}, Case{403, 3, true, false},
                           Case{403, 2, false, false}, Case{404, 3, false, false}}) {
    Server other;
    ClientOptions given = options();
    given.key_urls.push_back(other.url("/v1"));
    const auto made = client(std::move(given));
    server_.control({{"faults", {{{"status", each.status}, {"times", each.times}}}}});
    for (int i = 0; i < each.times; ++i) ASSERT_FALSE(made->send(request()));
    EXPECT_EQ(made->refused().has_value(), each.stops_endpoint) << each.status;
    EXPECT_EQ(is_asked(*made, request(), kEndpoint, server_.url("/plain/a")), !each.stops_endpoint) << each.status;
    EXPECT_EQ(is_asked(*made, request(), "cv/other", server_.url("/plain/b")), !each.stops_server) << each.status;
    EXPECT_TRUE(is_asked(*made, request(), "cv/third", other.url("/plain/c"))) << each.status;
  }
}

TEST_F(ClientTest, AnUploadThatGoesWellDoesNotSpeakForTheQuestion) {
  const auto made = client(options());
  Request upload = request("/plain/upload");
  upload.part = "upload";
  upload.paid = false;
  server_.control({{"faults", {{{"path", "/plain/model"}, {"status", 403}, {"times", -1}}}}});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(made->send(upload));
    EXPECT_FALSE(made->send(request()));
  }
  EXPECT_TRUE(made->refused(request().url, kEndpoint));
  EXPECT_FALSE(made->send(upload));
}

TEST_F(ClientTest, OtherServersDoNotSpeakForTheKey) {
  Server bucket;
  bucket.fault({{"status", 403}, {"times", -1}});
  const auto made = client(options());
  Request upload = request();
  upload.url = bucket.url("/presigned");
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(made->send(upload));
  EXPECT_FALSE(made->refused());
  EXPECT_TRUE(made->send(request()));
}

TEST_F(ClientTest, TheKeyGoesToItsServersAlone) {
  Server other;
  const auto made = client(options());
  Request elsewhere = request(), without = request();
  elsewhere.url = other.url("/plain/model");
  without.with_key = false;
  ASSERT_TRUE(made->send(elsewhere));
  ASSERT_TRUE(made->send(without));
  EXPECT_THAT(other.requests().dump(), AllOf(HasSubstr("/plain/model"), Not(HasSubstr("Authorization"))));
  EXPECT_THAT(server_.requests().dump(), Not(HasSubstr("Authorization")));
}

TEST_F(ClientTest, RedirectsAreAnswers) {
  Server other;
  for (const std::string& target : {other.url("/moved?signature=1"), std::string("/elsewhere")}) {
    server_.fault({{"status", 302}, {"headers", {{"Location", target}}}});
    const Result<Reply> reply = client(options())->send(request());
    ASSERT_OK(reply);
    EXPECT_EQ(reply->status, 302);
    EXPECT_EQ(reply->header("location"), target[0] == '/' ? server_.url(target) : target);
  }
  EXPECT_TRUE(other.requests().empty());
}

TEST_F(ClientTest, OnlyEncryptedAddressesAreAsked) {
  ClientOptions given = options();
  given.key_urls = {"http://cloud.example/v1"};
  EXPECT_EQ(Client::create(std::move(given)).error().code, ErrorCode::kPermission);
  const auto made = client(options());
  const std::pair<const char*, ErrorCode> addresses[] = {{"http://cloud.example/v1", ErrorCode::kPermission},
                                                         {"http://127.0.0.1.example/v1", ErrorCode::kPermission},
                                                         {"http://127.0.0.1@cloud.example/", ErrorCode::kPermission},
                                                         {"ftp://localhost/x", ErrorCode::kPermission},
                                                         {"file:///etc/passwd", ErrorCode::kInvalidArgument},
                                                         {"https://", ErrorCode::kInvalidArgument},
                                                         {"", ErrorCode::kInvalidArgument},
                                                         {"https://a b\r\nX: y/", ErrorCode::kInvalidArgument}};
  for (const auto& [url, code] : addresses) {
    Request asked = request();
    asked.url = url;
    const Result<Reply> reply = made->send(asked);
    ASSERT_FALSE(reply);
    EXPECT_EQ(error_name(reply.error().code), error_name(code)) << url;
    EXPECT_THAT(reply.error().message, HasSubstr(kEndpoint)) << url;
  }
  EXPECT_EQ(made->usage().requests, 0U);
}

TEST_F(ClientTest, ProxiesDoNotSeeTheKey) {
  ::setenv("https_proxy", server_.url().c_str(), 1);
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  ClientOptions given = options();
  given.key_urls.emplace_back("https://cloud.invalid");
  given.retry_attempts = 0;
  const auto made = client(std::move(given));
  EXPECT_TRUE(made->send(request())) << "this machine is asked without a proxy";
  Request far = request();
  far.url = "https://cloud.invalid/v1";
  EXPECT_FALSE(made->send(far));
  ::unsetenv("https_proxy");
  ::unsetenv("http_proxy");
  const json seen = server_.requests();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[1]["method"], "CONNECT");
  EXPECT_EQ(seen[1]["path"], "cloud.invalid:443");
  EXPECT_FALSE(seen[1]["headers"].contains("Authorization"));
}

TEST_F(ClientTest, HeadersCannotBringOthers) {
  Request evil = request();
  evil.headers.emplace_back("X-Asset", "1\r\nAuthorization: Bearer other");
  const Result<Reply> reply = client(options())->send(evil);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(ClientTest, TheKeyIsNeverTold) {
  const json echoes[] = {
      {{"status", 403}, {"body", "you sent $AUTHORIZATION"}},
      {{"status", 422}, {"body", R"({"detail": "$AUTHORIZATION"})"}},
      {{"status", 500}, {"body", std::string(190, 'x') + "$AUTHORIZATION"}, {"times", 4}},
      {{"status", 429},
       {"body", R"({"error": {"message": "\u0042earer nvapi\u002d0123456789-abcdefghijklmnop_ABC"}})"},
       {"times", 4}}};
  for (const json& echo : echoes) {
    const auto [error, tries] = error_of(echo);
    EXPECT_THAT(error.message, Not(HasSubstr("nvapi-0"))) << echo;
  }
  server_.fault({{"body", R"({"text": "$AUTHORIZATION"})"}, {"headers", {{"X-Echo", std::string("a ") + kClientKey}}}});
  const Result<Reply> reply = client(options())->send(request());
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->body, R"({"text": "Bearer [key]"})");
  EXPECT_EQ(reply->header("x-echo"), "a [key]");
  EXPECT_THAT(*read_file(log_), Not(HasSubstr("nvapi")));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path()))
    EXPECT_THAT(read_file(entry.path()).value_or(""), Not(HasSubstr(kClientKey)));
}

TEST_F(ClientTest, NoKeyIsNeededWhereNoneIsAskedFor) {
  ClientOptions given = options();
  given.key = ApiKey();
  given.key_urls.clear();
  const auto made = client(std::move(given));
  ASSERT_TRUE(made->send(request()));
  EXPECT_FALSE(server_.requests().at(0)["headers"].contains("Authorization"));
}

TEST(ClientTlsTest, CertificatesAreVerified) {
  const Scratch folder;
  const Server server({"--tls"});
  ClientOptions options;
  options.key = make_key();
  options.key_urls = {server.url()};
  options.requests_per_minute = 0;
  options.state_folder = folder.path();
  options.retry_delay = 1ms;
  const auto client = std::move(*Client::create(std::move(options)));
  Request request;
  request.endpoint = kEndpoint;
  request.url = server.url("/plain/model");
  request.body = "{}";
  const Result<Reply> refused = client->send(request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kIo);
  EXPECT_THAT(refused.error().message, HasSubstr("certificate"));
  EXPECT_EQ(client->usage().requests, 0U);

  ::setenv("SSL_CERT_FILE", server.certificate().c_str(), 1);
  const Result<Reply> reply = client->send(request);
  ASSERT_OK(reply);
  EXPECT_EQ(server.requests().at(0)["headers"]["Authorization"], std::string("Bearer ") + kClientKey);
  ::unsetenv("SSL_CERT_FILE");
}

}  // namespace
