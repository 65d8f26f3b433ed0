// A session that falls back to another when it fails.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "infer/session.h"

namespace image_engine::infer {

// The session that takes over after an error, with the same inputs and outputs.
struct Successor {
  std::unique_ptr<Session> session;
  std::string precision;  // if it differs
};
using TakeOver = std::function<Result<Successor>(const Error& error)>;

// Repeats runs that fail with kOutOfMemory or kInternal on the session that `take_over` returns, until that returns an
// error.
std::unique_ptr<Session> make_resilient(std::unique_ptr<Session> session, TakeOver take_over);

}  // namespace image_engine::infer
