// Fail the test with the error's message where a Result or Status holds one; the message of ASSERT_OK ends the test,
// too.
#pragma once

#include <gtest/gtest.h>

#define ASSERT_OK(expression)                                        \
  do {                                                               \
    const auto& ok_result = (expression);                            \
    ASSERT_TRUE(ok_result.has_value()) << ok_result.error().message; \
  } while (false)

#define EXPECT_OK(expression)                                        \
  do {                                                               \
    const auto& ok_result = (expression);                            \
    EXPECT_TRUE(ok_result.has_value()) << ok_result.error().message; \
  } while (false)
