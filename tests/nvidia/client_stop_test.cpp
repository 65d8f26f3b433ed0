// What becomes of requests once a stop is requested.
#include <gtest/gtest.h>

#include <stop_token>
#include <thread>

#include "tests/nvidia/client_support.h"
#include "tests/support/stop.h"

using namespace image_engine;
using namespace image_engine::nvidia;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

TEST_F(ClientTest, CancelledWhileTheServerThinks) {
  for (const bool paid : {true, false}) {
    server_.fault({{"hang", 20}});
    ClientOptions given = options();
    const StopsAfter user(300ms);
    given.stop = user.token();
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
  const StopsAfter user(200ms);
  given.stop = user.token();
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
    std::stop_source user;
    ClientOptions given = options();
    given.stop = user.get_token();
    const auto made = client(std::move(given));
    for (int i = 0; i < stop.value("times", 1); ++i) (void)made->send(request());
    if (stop["status"] == 200) user.request_stop();
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
    given.stop = stopped();
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
  ClientOptions given = options();
  given.requests_per_minute = 0.1;
  std::stop_source user;
  given.stop = user.get_token();
  const auto made = client(std::move(given));
  ASSERT_TRUE(made->send(request()));
  EXPECT_EQ(*made->rate_left(server_.url()), 0);
  std::thread other([&] {
    std::this_thread::sleep_for(100ms);
    user.request_stop();
  });
  const Result<Reply> reply = made->send(request());
  other.join();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kInterrupted);
  EXPECT_EQ(server_.requests().size(), 1U);
}

}  // namespace
