// Requests to NVIDIA's servers and to NIM containers: paced, tried again where that helps, counted, written down.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "nvidia/api_key.h"
#include "nvidia/clock.h"

namespace image_engine::nvidia {

struct Request {
  std::string endpoint;  // for people: "cv/nvidia/retail-object-detection"
  std::string part;      // of an exchange with it, for people: "upload"; empty: the question
  std::string about;     // the picture's path or hash, for the log of what left; may be empty
  std::string method = "POST";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool with_key = true;      // goes along only where the url's origin is one of ClientOptions::key_urls
  bool public_only = false;  // as models::HttpCall has it
  bool paid = true;          // a question: counts for max_requests; uploads, waiting and removing do not
  // Ends what was begun: removes an upload, asks for an answer that is not ready. It goes out also once asking is
  // refused or `stop` is requested: then within `grace`, and it is tried again once at most.
  bool finishes = false;
  std::uint64_t most_bytes = std::uint64_t{16} << 20;  // of the answer
};

// An answer with a status below 400.
struct Reply {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case; the last of equal ones
  std::string body;
  bool is_private = false;                                          // as models::HttpOutcome has it
  [[nodiscard]] std::string header(const std::string& name) const;  // empty: none
};

struct ClientOptions {
  ApiKey key;
  std::vector<std::string> key_urls;  // the key goes to their origins (scheme, host, port) and nowhere else
  // To each origin of key_urls, and to every one where the key is empty; presigned addresses are not paced. 0: no pace.
  double requests_per_minute = 100;
  int retry_attempts = 3;  // after the first try
  std::chrono::milliseconds retry_delay{1000};
  std::chrono::milliseconds timeout{120'000};  // for one request
  // Once `stop` is requested: for the answer to a request that is `paid` and on its way, and for one that `finishes`.
  std::chrono::milliseconds grace{10'000};
  std::uint64_t max_requests = 0;  // that are `paid`, tries again among them; 0: no limit
  std::string state_folder;        // of the pacing
  std::string sent_log;            // JSON lines of what left: when, where to, how large; empty: none
  std::stop_token stop;
  Clock* clock = &steady_clock();
};

struct Usage {
  std::uint64_t requests = 0;  // sent, tries again among them
  std::uint64_t retries = 0;
  std::uint64_t sent_bytes = 0, received_bytes = 0;  // of bodies
  double waited_seconds = 0;                         // for slots and before tries, of all threads together
};

// Thread-safe: as many requests are in flight as threads call send().
class Client {
 public:
  // Errors: of the pacing's folder; kInvalidArgument and kPermission for an address that may not be asked (plain http
  // is for loopback only).
  static Result<std::unique_ptr<Client>> create(ClientOptions options);
  ~Client();

  // Waits for a slot, sends, and tries again after 408, 425, 429, 5xx, timeouts and lost connections: after
  // `retry_delay`, doubled each time, between half and all of it by chance, or after what Retry-After (seconds or a
  // date) asks of everybody: if that is over ten minutes, not again. After 429 everybody waits. Redirects are not
  // followed: 3xx are answers, with the whole address in `location`. Each try is a line in sent_log before it is sent;
  // where that cannot be written, it is not sent. Errors name endpoint and status and what the server said (its first
  // line, at most 200 characters, without the key): kPermission (401, 403: the key; 402: no credits left), kNotFound
  // (404, 410), kTooLarge (413, and over most_bytes), kInvalidArgument (400, 422), kBusy (429, or max_requests are used
  // up), kTimeout (408, 504 too), kInterrupted, kNoSpace, kIo (everything else, certificates too).
  Result<Reply> send(const Request& request);

  // Where the key is from, as ApiKey::source().
  [[nodiscard]] const std::string& key_source() const;
  [[nodiscard]] Usage usage() const;
  // Whether asking this endpoint on is of no use, and why. Its server (the url's origin) has no credits left (402),
  // refused the key three times without a success between (401), or asks for quiet over ten minutes: that is so for all
  // endpoints of the server, and for the endpoint wherever it was asked (its uploads too). Or the endpoint refused the
  // key three times without a `paid` success between (401, 403). Then send() says so at once and sends
  // nothing but what `finishes`.
  [[nodiscard]] std::optional<Error> refused(const std::string& url, const std::string& endpoint) const;
  // Of any endpoint.
  [[nodiscard]] std::optional<Error> refused() const;
  // Requests that are left within max_requests; nothing without one.
  [[nodiscard]] std::optional<std::uint64_t> left() const;
  // Requests in the next minute that the pacing leaves for this address.
  [[nodiscard]] Result<double> rate_left(const std::string& url) const;

 private:
  struct State;
  explicit Client(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::nvidia
