#include "nvidia/client.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "tests/nvidia/client_support.h"
#include "tests/nvidia/virtual_clock.h"

using namespace image_engine;
using namespace image_engine::nvidia;
using namespace std::chrono_literals;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

namespace {

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

}  // namespace
