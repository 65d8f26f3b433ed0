// A session that goes on elsewhere when what runs it fails.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "infer/session.h"

namespace image_engine::infer {

// The session that takes over after `error`; an error when there is none. Takes the same inputs and gives the same
// outputs.
struct Successor {
  std::unique_ptr<Session> session;
  std::string precision;  // where it is another one
};
using TakeOver = std::function<Result<Successor>(const Error& error)>;

// Runs that fail by kOutOfMemory or kInternal are done again by what `take_over` gives, as long as it gives something.
std::unique_ptr<Session> make_resilient(std::unique_ptr<Session> session, TakeOver take_over);

}  // namespace image_engine::infer
