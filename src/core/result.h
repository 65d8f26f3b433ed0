// Functions that can fail return Result<T>; an Error describes to a person what failed and the remedy.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace image_engine {

// The closed set of error codes. Stored in the failure ledger by name: never rename one.
enum class ErrorCode {
  kInvalidArgument,  // the caller's or user's input is wrong
  kNotFound,
  kPermission,
  kIo,
  kNoSpace,
  kCorrupt,      // the bytes violate their format
  kUnsupported,  // valid, but not supported
  kTooLarge,     // over a limit of ours
  kTimeout,
  kOutOfMemory,
  kCrashed,  // a worker crashed on it
  kBusy,     // in use by another process
  kNewer,    // written by a newer version of this program
  kInterrupted,
  kInternal,
  kMachine,  // the machine or the installation lacks something (descriptors, memory, a program): the run's, never a
             // file's
  kKilled,   // a worker was killed from outside, most likely for lack of memory: retry the file
};

// "corrupt", "no-space", …: the stable name of a code.
std::string_view error_name(ErrorCode code);
// Whether an error with this code does not concern the current file: it ends the run and is never stored in the ledger.
constexpr bool is_of_the_run(ErrorCode code) { return code == ErrorCode::kMachine; }
// The code of a stable name; kInternal for an unknown one.
ErrorCode error_code_from_name(std::string_view name);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // one sentence for a person, UTF-8, no trailing full stop
};

// The error of the current errno (or `error_number`): its code by kind, its message "<what>: <strerror>".
Error errno_error(std::string_view what);
Error errno_error(std::string_view what, int error_number);

template <typename T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

using Status = Result<void>;

// `return fail(ErrorCode::kCorrupt, "…");` in any function that returns a Result.
inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace image_engine

#define IE_CONCAT_INNER(a, b) a##b
#define IE_CONCAT(a, b) IE_CONCAT_INNER(a, b)

// IE_TRY(auto x, f()): x becomes f()'s value, or the enclosing function returns f()'s error.
#define IE_TRY(declaration, expression) IE_TRY_INNER(declaration, expression, IE_CONCAT(ie_result_, __LINE__))
#define IE_TRY_INNER(declaration, expression, name)                \
  auto name = (expression);                                        \
  if (!name) return ::image_engine::fail(std::move(name).error()); \
  declaration = std::move(*name)

// IE_CHECK(f()): the enclosing function returns f()'s error, if any.
#define IE_CHECK(expression)                                                                                  \
  do {                                                                                                        \
    if (auto ie_status = (expression); !ie_status) return ::image_engine::fail(std::move(ie_status).error()); \
  } while (false)
