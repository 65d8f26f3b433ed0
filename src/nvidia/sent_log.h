// The log of sent requests: time, server, size.
#pragma once

#include <cstdint>
#include <string>

#include "core/file.h"
#include "core/result.h"

namespace image_engine::nvidia {

// Its path.
inline std::string sent_log_path() { return join_path(data_home(), "nvidia/sent.jsonl"); }

struct Sent {
  std::string host;      // "ai.api.nvidia.com", with ":port" unless it is the default
  std::string endpoint;  // as in Request
  std::string about;
  std::uint64_t bytes = 0;  // of the body
};

// One line of the log: {"time", "host", "endpoint", "about", "bytes", "status"}. It is written before the request is
// sent, in one write, with the status null, which the answer's status replaces in place: so requests in flight when the
// program was killed are logged, too. Null: no answer; 0: the request did not reach the server.
class SentLine {
 public:
  // Creates the file with mode 0600. Errors: those of writing; then nothing may be sent.
  static Result<SentLine> begin(const std::string& path, const Sent& sent);
  void end(int status) const;

 private:
  SentLine(UniqueFd fd, std::int64_t status_at) : fd_(std::move(fd)), status_at_(status_at) {}
  UniqueFd fd_;
  std::int64_t status_at_;
};

}  // namespace image_engine::nvidia
