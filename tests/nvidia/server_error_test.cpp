#include "nvidia/server_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/text.h"

using namespace image_engine;
using namespace image_engine::nvidia;

namespace {

std::string message(std::string_view body, int status = 418) {
  return error_of_answer("cv/model", status, body, ApiKey()).message;
}

TEST(ErrorOfAnswer, FindsWhatTheServerSays) {
  EXPECT_EQ(message(""), "cv/model: HTTP 418");
  EXPECT_EQ(message("  \n"), "cv/model: HTTP 418");
  EXPECT_EQ(message("plain text\nand more"), "cv/model: HTTP 418: plain text");
  EXPECT_EQ(message(R"({"detail": "d", "title": "t"})"), "cv/model: HTTP 418: d");
  EXPECT_EQ(message(R"({"detail": null, "title": "t"})"), "cv/model: HTTP 418: t");
  EXPECT_EQ(message(R"({"detail": ["first", "second"]})"), "cv/model: HTTP 418: first");
  EXPECT_EQ(message(R"({"detail": [{"msg": "m"}]})"), "cv/model: HTTP 418: m");
  EXPECT_EQ(message(R"({"error": "e"})"), "cv/model: HTTP 418: e");
  EXPECT_EQ(message(R"({"error": {"message": "e"}})"), "cv/model: HTTP 418: e");
  EXPECT_EQ(message(R"({"message": "m"})"), "cv/model: HTTP 418: m");
  EXPECT_EQ(message(R"("word")"), "cv/model: HTTP 418: word");
  EXPECT_EQ(message(R"({"detail": {"a": 1}})"), "cv/model: HTTP 418");
  EXPECT_EQ(message("<!DOCTYPE html><title>x"), "cv/model: HTTP 418: an HTML page");
  EXPECT_EQ(message("\n <HTML>"), "cv/model: HTTP 418: an HTML page");
  EXPECT_EQ(message("no", 402), "cv/model: HTTP 402, no credits are left: no");
}

TEST(ErrorOfAnswer, BearsWhatIsHostile) {
  const std::string deep = std::string(30'000, '[') + std::string(30'000, ']');
  for (const std::string& body :
       {deep, std::string(60'000, '{'), std::string(1000, '\0'), std::string("\x1b[2J\x1b]0;x\x07"),
        std::string("{\"detail\": \"\\ud800\"}"), std::string(199, 'x') + "\xe2\x82\xac\xe2\x82\xac"}) {
    const std::string text = message(body);
    EXPECT_LT(text.size(), 1200U);
    EXPECT_TRUE(is_utf8(text));
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
  }
}

}  // namespace
