#include "nvidia/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/nvidia/server.h"
#include "tests/nvidia/virtual_clock.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

using namespace image_engine;
using namespace image_engine::nvidia;
using namespace std::chrono_literals;
using nlohmann::json;
using testing::AllOf;
using testing::Each;
using testing::HasSubstr;
using testing::Not;

namespace {

constexpr char kClientKey[] = "nvapi-0123456789-abcdefghijklmnop_ABC";
constexpr char kEndpoint[] = "vlm/nvidia/a-model";

ApiKey make_key() {
  ::setenv("IE_TEST_KEY", kClientKey, 1);
  return std::move(*ApiKey::load("IE_TEST_KEY"));
}

class ClientTest : public testing::Test {
 protected:
  ClientOptions options() {
    ClientOptions made;
    made.key = make_key();
    made.key_urls = {server_.url("/v1")};
    made.requests_per_minute = 0;
    made.retry_delay = 1ms;
    made.timeout = 20s;
    made.state_folder = folder_.path() + "/state";
    made.sent_log = log_;
    return made;
  }
  static std::unique_ptr<Client> client(ClientOptions options) {
    auto made = Client::create(std::move(options));
    EXPECT_OK(made);
    return std::move(*made);
  }
  [[nodiscard]] Request request(const std::string& path = "/plain/model") const {
    Request made;
    made.endpoint = kEndpoint;
    made.about = "photos/a.jpg";
    made.url = server_.url(path);
    made.headers = {{"Content-Type", "application/json"}};
    made.body = R"({"image": "none"})";
    return made;
  }
  // The error of one request to a server with this fault, and how often it was asked.
  std::pair<Error, size_t> error_of(const json& fault, ClientOptions given) {
    server_.control({{"faults", {fault}}, {"forget", true}});
    const Result<Reply> reply = client(std::move(given))->send(request());
    EXPECT_FALSE(reply);
    return {reply ? Error{} : reply.error(), server_.requests().size()};
  }
  std::pair<Error, size_t> error_of(const json& fault) { return error_of(fault, options()); }

  [[nodiscard]] std::vector<json> log_lines() const {
    std::vector<json> lines;
    std::istringstream text(read_file(log_).value_or(""));
    for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
    return lines;
  }

  Scratch folder_;
  std::string log_ = folder_.path() + "/log/sent.jsonl";
  Server server_;
};

TEST_F(ClientTest, SendsAndReceives) {
  server_.fault({{"status", 200}, {"headers", {{"X-Thing", "1"}, {"Content-Type", "text/plain"}}}, {"body", "hello"}});
  const auto made = client(options());
  const Result<Reply> reply = made->send(request());
  ASSERT_OK(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, "hello");
  EXPECT_EQ(reply->header("x-thing"), "1");
  EXPECT_EQ(reply->header("x-other"), "");
  const json seen = server_.requests().at(0);
  EXPECT_EQ(seen["method"], "POST");
  EXPECT_EQ(seen["path"], "/plain/model");
  EXPECT_EQ(seen["bytes"], request().body.size());
  EXPECT_EQ(seen["headers"]["Authorization"], std::string("Bearer ") + kClientKey);
  EXPECT_EQ(seen["headers"]["Content-Type"], "application/json");
  EXPECT_FALSE(seen["headers"].contains("Expect"));
  const Usage usage = made->usage();
  EXPECT_EQ(usage.requests, 1U);
  EXPECT_EQ(usage.retries, 0U);
  EXPECT_EQ(usage.sent_bytes, request().body.size());
  EXPECT_EQ(usage.received_bytes, 5U);
}

TEST_F(ClientTest, OtherMethodsAndLargeBodies) {
  const auto made = client(options());
  Request upload = request();
  upload.method = "PUT";
  upload.body.assign(5'000'000, 'x');
  ASSERT_TRUE(made->send(upload));
  for (const char* method : {"GET", "DELETE"}) {
    Request other = request();
    other.method = method;
    other.body.clear();
    ASSERT_TRUE(made->send(other)) << method;
  }
  const json seen = server_.requests();
  EXPECT_EQ(seen[0]["method"], "PUT");
  EXPECT_EQ(seen[0]["bytes"], 5'000'000);
  EXPECT_EQ(seen[1]["method"], "GET");
  EXPECT_EQ(seen[2]["method"], "DELETE");
}

// Status, what the server says, our code, what the message has, tries.
struct Refusal {
  int status;
  const char* body;
  ErrorCode code;
  const char* message;
  size_t tries;
};
constexpr Refusal kRefusals[] = {
    {400, R"({"error": "Tool use has not been enabled"})", ErrorCode::kInvalidArgument, "Tool use has not", 1},
    {401, "Header of type `authorization` was missing", ErrorCode::kPermission, "`authorization` was missing", 1},
    {402, R"({"status": 402, "title": "Payment Required", "detail": "Cloud credits expired"})", ErrorCode::kPermission,
     "no credits are left: Cloud credits expired", 1},
    {403, R"({"status": 403, "title": "Forbidden", "detail": "Authorization failed"})", ErrorCode::kPermission,
     "the key is refused: Authorization failed", 1},
    {404, R"({"title": "Not Found", "detail": "Function 'x': Not found for account"})", ErrorCode::kNotFound,
     "Not found for account", 1},
    {408, "", ErrorCode::kTimeout, "HTTP 408", 3},
    {410, R"({"title": "Gone", "detail": ""})", ErrorCode::kNotFound, "no longer served: Gone", 1},
    {413, "<html><body>nginx</body></html>", ErrorCode::kTooLarge, "an HTML page", 1},
    {418, "\xff\xfe\xfd", ErrorCode::kIo, "3 bytes that are not text", 1},
    {422, R"({"detail": [{"loc": ["image"], "msg": "field required", "type": "x"}]})", ErrorCode::kInvalidArgument,
     "field required", 1},
    {425, "", ErrorCode::kIo, "HTTP 425", 3},
    {429, R"({"status": 429, "title": "Too Many Requests"})", ErrorCode::kBusy, "Too Many Requests", 3},
    {500, R"({"error": {"message": "CUDA \u0007 error"}})", ErrorCode::kIo, "CUDA \\x07 error", 3},
    {501, R"([1, {"deep": [[[[]]]]}])", ErrorCode::kIo, "HTTP 501", 3},
    {502, R"({"message": "bad gateway"})", ErrorCode::kIo, "bad gateway", 3},
    {503, "{", ErrorCode::kIo, "overloaded: {", 3},
    {504, "", ErrorCode::kTimeout, "HTTP 504", 3},
};

TEST_F(ClientTest, EachStatusIsToldAndTriedAgainWhereThatHelps) {
  for (const Refusal& refusal : kRefusals) {
    json fault = {{"status", refusal.status}, {"times", -1}};
    if (std::string_view(refusal.body) == "\xff\xfe\xfd")
      fault["base64"] = "//79";
    else
      fault["body"] = refusal.body;
    ClientOptions given = options();
    given.retry_attempts = 2;
    const auto [error, tries] = error_of(fault, std::move(given));
    EXPECT_EQ(error_name(error.code), error_name(refusal.code)) << refusal.status;
    EXPECT_THAT(error.message, AllOf(HasSubstr(kEndpoint), HasSubstr("HTTP " + std::to_string(refusal.status)),
                                     HasSubstr(refusal.message)));
    EXPECT_EQ(tries, refusal.tries) << refusal.status;
    server_.control({{"clear", true}});
  }
}

TEST_F(ClientTest, SucceedsOnceTheServerDoes) {
  server_.control({{"faults", {{{"status", 503}}, {{"status", 429}}, {{"reset", true}}}}});
  const auto made = client(options());
  const Result<Reply> reply = made->send(request());
  ASSERT_OK(reply);
  EXPECT_EQ(made->usage().requests, 4U);
  EXPECT_EQ(made->usage().retries, 3U);
  EXPECT_EQ(server_.requests().size(), 4U);
}

TEST_F(ClientTest, WaitsTwiceAsLongEachTimeByChance) {
  VirtualClock clock;
  ClientOptions given = options();
  given.clock = &clock;
  given.retry_delay = 10s;
  given.retry_attempts = 3;
  error_of({{"status", 500}, {"times", -1}}, std::move(given));
  const auto waits = clock.waits();
  ASSERT_EQ(waits.size(), 3U);
  for (size_t i = 0; i < waits.size(); ++i) {
    EXPECT_GE(waits[i], 5s * (1 << i));
    EXPECT_LE(waits[i], 10s * (1 << i));
  }
}

TEST_F(ClientTest, RetryAfterIsObeyedByEverybody) {
  VirtualClock clock;
  ClientOptions given = options(), others = options();
  given.clock = others.clock = &clock;
  const Time begin = clock.now();
  server_.fault({{"status", 429}, {"headers", {{"Retry-After", "37"}}}});
  given.retry_attempts = 0;
  const auto first = client(std::move(given));
  ASSERT_FALSE(first->send(request()));
  EXPECT_EQ(clock.now(), begin);
  const auto second = client(std::move(others));
  ASSERT_TRUE(second->send(request()));
  EXPECT_EQ(clock.now() - begin, 37s);
  EXPECT_GE(second->usage().waited_seconds, 36.9);
  EXPECT_FALSE(first->refused());
}

TEST_F(ClientTest, TooManyRequestsWithoutRetryAfterMakesEverybodyWait) {
  VirtualClock clock;
  ClientOptions given = options(), others = options();
  given.clock = others.clock = &clock;
  given.retry_attempts = 0;
  given.retry_delay = 8s;
  const Time begin = clock.now();
  server_.fault({{"status", 429}});
  ASSERT_FALSE(client(std::move(given))->send(request()));
  ASSERT_TRUE(client(std::move(others))->send(request()));
  EXPECT_GE(clock.now() - begin, 4s);
  EXPECT_LE(clock.now() - begin, 8s);
}

TEST_F(ClientTest, RetryAfterMayBeADateOfTheServersClock) {
  VirtualClock clock;
  ClientOptions given = options();
  given.clock = &clock;
  const Time begin = clock.now();
  server_.fault(
      {{"status", 503},
       {"headers", {{"Date", "Sun, 06 Nov 1994 08:49:37 GMT"}, {"Retry-After", "Sun, 06 Nov 1994 08:51:07 GMT"}}}});
  ASSERT_TRUE(client(std::move(given))->send(request()));
  EXPECT_EQ(clock.now() - begin, 90s);
}

TEST_F(ClientTest, QuietOverTenMinutesEndsTheRun) {
  for (const char* wait : {"1200", "99999999999999999999999"}) {
    server_.control({{"faults", {{{"status", 429}, {"headers", {{"Retry-After", wait}}}}}}, {"forget", true}});
    const auto made = client(options());
    const Result<Reply> reply = made->send(request());
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, ErrorCode::kBusy);
    EXPECT_THAT(reply.error().message, HasSubstr("a pause of"));
    ASSERT_TRUE(made->refused());
    ASSERT_FALSE(made->send(request()));
    EXPECT_EQ(server_.requests().size(), 1U);
  }
  for (const char* nonsense : {"soon", "-5", "1.5", ""}) {
    server_.fault({{"status", 429}, {"headers", {{"Retry-After", nonsense}}}});
    EXPECT_TRUE(client(options())->send(request())) << nonsense;
  }
}

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

// What the network does, and what comes of it.
struct Trouble {
  const char* fault;
  ErrorCode code;
};
constexpr Trouble kTroubles[] = {
    {R"({"hang": 1.5, "times": -1})", ErrorCode::kTimeout},
    {R"({"slow": 0.4, "pad": 9000, "times": -1})", ErrorCode::kTimeout},
    {R"({"cut": 10, "body": "a body that is cut short", "times": -1})", ErrorCode::kIo},
    {R"({"reset": true, "times": -1})", ErrorCode::kIo},
};

TEST_F(ClientTest, LostAndSlowConnectionsAreTriedAgain) {
  for (const Trouble& trouble : kTroubles) {
    ClientOptions given = options();
    given.timeout = 600ms;
    given.retry_attempts = 1;
    const auto [error, tries] = error_of(json::parse(trouble.fault), std::move(given));
    EXPECT_EQ(error_name(error.code), error_name(trouble.code)) << trouble.fault << error.message;
    EXPECT_THAT(error.message, HasSubstr(kEndpoint));
    EXPECT_EQ(tries, 2U) << trouble.fault;
    server_.control({{"clear", true}});
  }
}

TEST_F(ClientTest, AConnectionThatIsLostAfterUseIsNotUsedTwiceInSecret) {
  ClientOptions given = options();
  given.retry_attempts = 0;
  const auto made = client(std::move(given));
  ASSERT_TRUE(made->send(request()));
  server_.fault({{"reset", true}});
  EXPECT_FALSE(made->send(request()));
  EXPECT_EQ(server_.requests().size(), 2U);
  EXPECT_EQ(made->usage().requests, 2U);
}

TEST_F(ClientTest, WhatNeverReachedTheServerIsNotCounted) {
  ClientOptions given = options();
  given.max_requests = 2;
  given.retry_attempts = 1;
  const auto made = client(std::move(given));
  ASSERT_TRUE(made->send(request()));  // a handle that has been of use before
  for (const char* url : {"http://127.0.0.1:1/", "https://name.invalid/"}) {
    Request nowhere = request();
    nowhere.url = url;
    const Result<Reply> reply = made->send(nowhere);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, ErrorCode::kIo);
    EXPECT_THAT(reply.error().message, HasSubstr(kEndpoint));
  }
  EXPECT_EQ(made->left(), 1U);
  EXPECT_EQ(made->usage().requests, 1U);
  const auto lines = log_lines();
  ASSERT_EQ(lines.size(), 5U);
  for (size_t i = 1; i < 5; ++i) EXPECT_EQ(lines[i]["status"], 0);
}

TEST_F(ClientTest, TheBudgetHoldsForAllThreads) {
  ClientOptions given = options();
  given.max_requests = 10;
  const auto made = client(std::move(given));
  std::atomic<int> sent = 0, refused = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int k = 0; k < 5; ++k) {
        const Result<Reply> reply = made->send(request());
        reply ? ++sent : ++refused;
        EXPECT_TRUE(reply || reply.error().code == ErrorCode::kBusy) << reply.error().message;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sent, 10);
  EXPECT_EQ(refused, 10);
  EXPECT_EQ(server_.requests().size(), 10U);
  EXPECT_EQ(made->left(), 0U);
  Request free = request();
  free.paid = false;
  EXPECT_TRUE(made->send(free));
  EXPECT_EQ(client(options())->left(), std::nullopt);
}

TEST_F(ClientTest, TriesAgainCountToo) {
  server_.fault({{"status", 500}, {"times", -1}});
  ClientOptions given = options();
  given.max_requests = 2;
  const auto made = client(std::move(given));
  const Result<Reply> reply = made->send(request());
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kBusy);
  EXPECT_EQ(server_.requests().size(), 2U);
}

TEST_F(ClientTest, ConnectionsAreKept) {
  const auto made = client(options());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(made->send(request()));
  const json seen = server_.requests();
  ASSERT_EQ(seen.size(), 5U);
  for (const json& one : seen) EXPECT_EQ(one["peer"], seen[0]["peer"]);
}

TEST_F(ClientTest, AnswersAreBounded) {
  server_.fault({{"pad", 2000}, {"times", -1}});
  Request bounded = request();
  bounded.most_bytes = 2000;
  EXPECT_TRUE(client(options())->send(bounded));
  bounded.most_bytes = 1999;
  const Result<Reply> reply = client(options())->send(bounded);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(server_.requests().size(), 2U) << "not asked again";
}

TEST_F(ClientTest, LongErrorsAreCutBetweenCharacters) {
  std::string text = "x";
  for (int i = 0; i < 100'000; ++i) text += "ä";
  const auto [error, tries] = error_of({{"status", 422}, {"body", json{{"detail", text}}.dump()}});
  EXPECT_LT(error.message.size(), 400U);
  EXPECT_TRUE(is_utf8(error.message));
  const auto [large, once] = error_of({{"status", 400}, {"pad", 10'000'000}});
  EXPECT_EQ(large.code, ErrorCode::kInvalidArgument);
  EXPECT_LT(large.message.size(), 400U);
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

TEST_F(ClientTest, WhatLeftIsWrittenDown) {
  server_.control({{"faults", {{{"status", 500}}, {{"reset", true}}}}});
  Request odd = request();
  odd.about = "photos/\xff\"\n.jpg";
  ASSERT_TRUE(client(options())->send(odd));
  const auto lines = log_lines();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0]["status"], 500);
  EXPECT_TRUE(lines[1]["status"].is_null());
  EXPECT_EQ(lines[2]["status"], 200);
  for (const json& line : lines) {
    EXPECT_EQ(line["endpoint"], kEndpoint);
    EXPECT_EQ(line["about"], "photos/\xef\xbf\xbd\"\n.jpg");
    EXPECT_EQ(line["bytes"], odd.body.size());
    EXPECT_EQ("http://" + line["host"].get<std::string>(), server_.url());
    EXPECT_THAT(line["time"].get<std::string>(), testing::MatchesRegex("....-..-..T..:..:..Z"));
    EXPECT_EQ(line.size(), 6U);
  }
  struct stat info {};
  ASSERT_EQ(::stat(log_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(ClientTest, WhatCannotBeWrittenDownIsNotSent) {
  ClientOptions given = options();
  given.sent_log = folder_.path();
  given.max_requests = 5;
  const auto made = client(std::move(given));
  const Result<Reply> reply = made->send(request());
  ASSERT_FALSE(reply);
  EXPECT_THAT(reply.error().message, HasSubstr(folder_.path()));
  EXPECT_EQ(made->left(), 5U);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(ClientTest, CancelledWhileTheServerThinks) {
  for (const bool paid : {true, false}) {
    server_.fault({{"hang", 20}});
    ClientOptions given = options();
    const auto end = std::chrono::steady_clock::now() + 300ms;
    given.cancelled = [end] { return std::chrono::steady_clock::now() > end; };
    given.grace = paid ? 100ms : 1h;
    Request asked = request();
    asked.paid = paid;
    const Result<Reply> reply = client(std::move(given))->send(asked);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, ErrorCode::kInterrupted);
  }
}

TEST_F(ClientTest, WhatIsPaidForIsTakenOnceCancelled) {
  server_.fault({{"hang", 1.5}, {"body", "paid"}});
  ClientOptions given = options();
  const auto end = std::chrono::steady_clock::now() + 200ms;
  given.cancelled = [end] { return std::chrono::steady_clock::now() > end; };
  const auto made = client(std::move(given));
  const Result<Reply> reply = made->send(request());
  ASSERT_OK(reply);
  EXPECT_EQ(reply->body, "paid");
  EXPECT_EQ(made->send(request()).error().code, ErrorCode::kInterrupted);
  EXPECT_EQ(server_.requests().size(), 1U);
}

TEST_F(ClientTest, WhatFinishesGoesOutWhateverStopsTheOthers) {
  const json stops[] = {{{"status", 402}},
                        {{"status", 429}, {"headers", {{"Retry-After", "1200"}}}},
                        {{"status", 403}, {"times", 3}},
                        {{"status", 200}}};
  for (const json& stop : stops) {
    server_.control({{"faults", {stop}}, {"forget", true}});
    std::atomic<bool> cancelled = false;
    ClientOptions given = options();
    given.cancelled = [&] { return cancelled.load(); };
    const auto made = client(std::move(given));
    for (int i = 0; i < stop.value("times", 1); ++i) (void)made->send(request());
    cancelled = stop["status"] == 200;
    const size_t before = server_.requests().size();
    Request removal = request();
    removal.method = "DELETE";
    removal.paid = false;
    EXPECT_FALSE(made->send(removal)) << stop;
    EXPECT_EQ(server_.requests().size(), before) << stop;
    removal.finishes = true;
    const Result<Reply> reply = made->send(removal);
    EXPECT_TRUE(reply) << stop << reply.error().message;
    EXPECT_EQ(server_.requests().size(), before + 1) << stop;
    server_.control({{"faults", {{{"status", 503}, {"times", -1}}}}});
    EXPECT_FALSE(made->send(removal));
    EXPECT_EQ(server_.requests().size(), before + 3) << stop << ": once more, no oftener";
    server_.control({{"clear", true}});
  }
}

TEST_F(ClientTest, WhatFinishesEndsWithTheGrace) {
  for (const double pace : {0.0, 0.1}) {  // while the server thinks, while waiting for a slot
    server_.fault({{"hang", 20}, {"path", "/plain/slow"}});
    ClientOptions given = options();
    given.cancelled = [] { return true; };
    given.requests_per_minute = pace;
    given.grace = 200ms;
    const auto made = client(std::move(given));
    Request removal = request();
    removal.finishes = true;
    removal.paid = false;
    ASSERT_TRUE(made->send(removal));
    removal.url = server_.url("/plain/slow");
    const Result<Reply> reply = made->send(removal);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, ErrorCode::kInterrupted);
    server_.control({{"clear", true}});
  }
}

TEST_F(ClientTest, CancelledWhileWaitingForASlot) {
  std::atomic<bool> cancelled = false;
  ClientOptions given = options();
  given.requests_per_minute = 0.1;
  given.cancelled = [&] { return cancelled.load(); };
  const auto made = client(std::move(given));
  ASSERT_TRUE(made->send(request()));
  EXPECT_EQ(*made->rate_left(server_.url()), 0);
  std::thread other([&] {
    std::this_thread::sleep_for(100ms);
    cancelled = true;
  });
  const Result<Reply> reply = made->send(request());
  other.join();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kInterrupted);
  EXPECT_EQ(server_.requests().size(), 1U);
}

TEST_F(ClientTest, RequestsArePaced) {
  VirtualClock clock;
  ClientOptions given = options();
  given.clock = &clock;
  given.requests_per_minute = 100;
  const auto made = client(std::move(given));
  const Time begin = clock.now();
  for (int i = 0; i < 11; ++i) ASSERT_TRUE(made->send(request()));
  EXPECT_NEAR(std::chrono::duration<double>(clock.now() - begin).count(), 10 * 60 / 97.0, 1e-6);
  EXPECT_NEAR(*made->rate_left(server_.url()), 96, 0.01);
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
