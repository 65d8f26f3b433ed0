#include "models/http.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "core/file.h"
#include "models/http_exchange.h"
#include "tests/support/scratch.h"

namespace image_engine::models {
namespace {

using testing::HasSubstr;

// On this machine. Takes connections, says `answer` on each and then nothing more until it is left alone.
class SilentServer {
 public:
  explicit SilentServer(std::string answer) : answer_(std::move(answer)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_.get(), 5);
    socklen_t size = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~SilentServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/file"; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void serve() {
    for (;;) {
      const UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) return;
      ++connections_;
      ::send(client.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
      char buffer[4096];
      while (::read(client.get(), buffer, sizeof buffer) > 0) continue;
    }
  }
  std::string answer_;
  UniqueFd listener_;
  int port_ = 0;
  std::atomic<int> connections_ = 0;
  std::thread thread_;
};

TEST(Http, PrivateHostsAreTold) {
  for (const char* host :
       {"localhost",         "LOCALHOST.",       "a.localhost",    "127.0.0.1",      "127.1",
        "2130706433",        "0x7f.1",           "0.0.0.0",        "10.1.2.3",       "100.64.0.1",
        "169.254.169.254",   "172.16.0.1",       "172.31.255.255", "192.168.1.1",    "198.18.0.1",
        "224.0.0.1",         "255.255.255.255",  "[::1]",          "[::]",           "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "[fd00::1]",      "[fe80::1%eth0]", "[ff02::1]"})
    EXPECT_TRUE(is_private_host(host)) << host;
  for (const char* host : {"example.org", "localhost.example.org", "8.8.8.8", "172.15.0.1", "172.32.0.1", "192.167.1.1",
                           "100.128.0.1", "[2606:4700::1]", "[64:ff9b::808:808]", "10.example.org"})
    EXPECT_FALSE(is_private_host(host)) << host;
}

TEST(Http, WhereOthersLeadIsNotThisMachine) {
  SilentServer server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  HttpConnections connections;
  HttpCall call;
  call.url = server.url();
  call.public_only = true;
  HttpOutcome outcome = connections.exchange(call);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, ErrorCode::kPermission);
  EXPECT_THAT(outcome.error->message, HasSubstr("private network"));
  EXPECT_EQ(server.connections(), 0);
  call.public_only = false;
  outcome = connections.exchange(call);
  EXPECT_FALSE(outcome.error);
  EXPECT_TRUE(outcome.is_private);
  EXPECT_EQ(server.connections(), 1);
}

// No look-up is needed for a name of /etc/hosts that says nothing of where it leads.
TEST(Http, NamesAreJudgedByWhereTheyLead) {
  char name[256];
  ASSERT_EQ(::gethostname(name, sizeof name), 0);
  HttpConnections connections;
  HttpCall call;
  call.url = std::string("https://") + name + "/";
  call.public_only = true;
  const HttpOutcome outcome = connections.exchange(call);
  ASSERT_TRUE(outcome.error);
  if (outcome.error->code != ErrorCode::kPermission)
    GTEST_SKIP() << "this machine does not know its own name: " << outcome.error->message;
  EXPECT_FALSE(is_private_host(name));
  EXPECT_THAT(outcome.error->message, HasSubstr("private network"));
}

TEST(Http, ATransferThatHardlyMovesEnds) {
  const Scratch scratch;
  SilentServer server("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc");
  HttpRequest request;
  request.url = server.url();
  request.most_bytes = 1 << 20;
  request.progress = [](std::uint64_t, std::uint64_t) {};
  request.tries = 1;
  EXPECT_EQ(request.slow_time, std::chrono::seconds(30));
  request.slow_time = std::chrono::seconds(1);
  const auto answer = http_download(request, scratch / "file");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kTimeout);
  EXPECT_THAT(answer.error().message, HasSubstr("less than 1.0 KB per second was transferred for 1 s"));
}

}  // namespace
}  // namespace image_engine::models
