#include "nvidia/read_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace image_engine::nvidia {
namespace {

using nlohmann::json;

json read(const std::string& body) {
  const auto document = read_json(body);
  EXPECT_TRUE(document) << body << ": " << document.error().message;
  return document.value_or(json("error"));
}

TEST(ReadJson, NumbersThatNoDoubleHoldsAreNull) {
  EXPECT_EQ(read("[1e999, -1e999, 1.5E+400, 2]"), json::parse("[null, null, null, 2]"));
  EXPECT_EQ(read("[" + std::string(400, '9') + "]"), json::parse("[null]"));
  EXPECT_EQ(read("[1e-999, 1e308, -0, 18446744073709551616, NaN, -Infinity]"),
            json::parse("[0.0, 1e308, 0, 18446744073709551616, null, null]"));
  EXPECT_EQ(read(R"({"1e999": "1e999 NaN"})"), json::parse(R"({"1e999": "1e999 NaN"})"));
  EXPECT_EQ(read("1e999"), json());
}

TEST(ReadJson, HalvesOfPairsAreReplaced) {
  EXPECT_EQ(read(R"(["\ud83d", "a\udc00b", "\udc00\ud83d", "\ud83d\u0041", "\ud83dx", "\uD83D\n"])"),
            json::parse(R"(["\ufffd", "a\ufffdb", "\ufffd\ufffd", "\ufffdA", "\ufffdx", "\ufffd\n"])"));
  EXPECT_EQ(read(R"(["\ud83d\ud83d\ude00"])"), json::parse(R"(["\ufffd\ud83d\ude00"])"));
  EXPECT_EQ(read(R"({"\ud83d\ude00": "\\ud83d \" \\"})"), json::parse(R"({"\ud83d\ude00": "\\ud83d \" \\"})"));
}

TEST(ReadJson, WhatIsUnsoundStaysSo) {
  for (const char* body : {R"(["\u12"])", R"(["\uzzzz"])", R"(["\ud83d)", R"(["\u)", R"(["\)", "[1e999", "[1e999x]",
                           "[1e]", "[--1]", "[1e999.5]", "[1-2]", "[-]", "[e5]", "+1"})
    EXPECT_FALSE(read_json(body)) << body;
}

}  // namespace
}  // namespace image_engine::nvidia
