// A client of a server of the test's own.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "nvidia/client.h"
#include "tests/nvidia/server.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::nvidia {

inline constexpr char kClientKey[] = "nvapi-0123456789-abcdefghijklmnop_ABC";
inline constexpr char kEndpoint[] = "vlm/nvidia/a-model";

inline ApiKey make_key() {
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
    made.retry_delay = std::chrono::milliseconds(1);
    made.timeout = std::chrono::seconds(20);
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
  std::pair<Error, size_t> error_of(const nlohmann::json& fault, ClientOptions given) {
    server_.control({{"faults", {fault}}, {"forget", true}});
    const Result<Reply> reply = client(std::move(given))->send(request());
    EXPECT_FALSE(reply);
    return {reply ? Error{} : reply.error(), server_.requests().size()};
  }
  std::pair<Error, size_t> error_of(const nlohmann::json& fault) { return error_of(fault, options()); }

  [[nodiscard]] std::vector<nlohmann::json> log_lines() const {
    std::vector<nlohmann::json> lines;
    std::istringstream text(read_file(log_).value_or(""));
    for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  Scratch folder_;
  std::string log_ = folder_.path() + "/log/sent.jsonl";
  Server server_;
};

}  // namespace image_engine::nvidia
