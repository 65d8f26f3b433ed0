// Sends requests to NVIDIA's servers and to NIM containers: paced, retried where useful, counted and logged.
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
  std::string part;      // step of the exchange, for people: "upload"; empty: the main request
  std::string about;     // the picture's path or hash, for sent_log; may be empty
  std::string method = "POST";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool with_key = true;      // sent only if the url's origin is one of ClientOptions::key_urls
  bool public_only = false;  // as in models::HttpCall
  bool paid = true;          // counts for max_requests; uploads, polling and removing do not
  // Completes an earlier request: removes an upload, polls for an answer. It is sent even after the server refuses or
  // `stop` is requested: then within `grace`, with at most one retry.
  bool finishes = false;
  std::uint64_t most_bytes = std::uint64_t{16} << 20;  // of the answer
};

// An answer with a status below 400.
struct Reply {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case; the last of equal ones
  std::string body;
  bool is_private = false;                                          // as in models::HttpOutcome
  [[nodiscard]] std::string header(const std::string& name) const;  // empty: none
};

struct ClientOptions {
  ApiKey key;
  std::vector<std::string> key_urls;  // the key is sent only to their origins (scheme, host, port)
  // For each origin of key_urls, or for every origin if the key is empty; presigned URLs are not paced. 0: no pacing.
  double requests_per_minute = 100;
  int retry_attempts = 3;  // after the first try
  std::chrono::milliseconds retry_delay{1000};
  std::chrono::milliseconds timeout{120'000};  // for one request
  // After `stop` is requested: for the answer to a `paid` request in flight, and for one that `finishes`.
  std::chrono::milliseconds grace{10'000};
  std::uint64_t max_requests = 0;  // of `paid` requests, including retries; 0: no limit
  std::string state_folder;        // of the pacer
  std::string sent_log;            // JSON lines of sent requests: time, server, size; empty: none
  std::stop_token stop;
  Clock* clock = &steady_clock();
};

struct Usage {
  std::uint64_t requests = 0;  // sent, including retries
  std::uint64_t retries = 0;
  std::uint64_t sent_bytes = 0, received_bytes = 0;  // of bodies
  double waited_seconds = 0;                         // for slots and before retries, over all threads
};

// Thread-safe: each thread in send() has one request in flight.
class Client {
 public:
  // Errors: of the pacer's folder; kInvalidArgument and kPermission for a forbidden URL (plain http is for loopback
  // only).
  static Result<std::unique_ptr<Client>> create(ClientOptions options);
  ~Client();

  // Waits for a slot, sends, and retries after 408, 425, 429, 5xx, timeouts and lost connections: after `retry_delay`,
  // doubled each time, times a random factor of ½ to 1; or after Retry-After (seconds or a date), which all threads and
  // processes respect: not at all if that is over ten minutes. After 429 all of them wait. Redirects are not followed:
  // 3xx are answers, with the full URL in `location`. Each try is logged in sent_log before it is sent; if that fails,
  // it is not sent. Errors name endpoint, status and the server's message (its first line, at most 200 characters,
  // without the key): kPermission (401, 403: the key; 402: no credits left), kNotFound (404, 410), kTooLarge (413, and
  // over most_bytes), kInvalidArgument (400, 422), kBusy (429, or max_requests are used up), kTimeout (408, 504 too),
  // kInterrupted, kNoSpace, kIo (everything else, certificates too).
  Result<Reply> send(const Request& request);

  // The source of the key, as ApiKey::source().
  [[nodiscard]] const std::string& key_source() const;
  [[nodiscard]] Usage usage() const;
  // Why further requests to this endpoint are useless, if so. Its server (the url's origin) has no credits left (402),
  // refused the key three times in a row (401), or asked for a pause over ten minutes: this applies to all endpoints of
  // the server, and to the endpoint on every server that it uses (for uploads, too). Or the endpoint refused the key
  // three times without a `paid` success between (401, 403). Then send() returns this error at once, and sends only
  // requests that `finishes`.
  [[nodiscard]] std::optional<Error> refused(const std::string& url, const std::string& endpoint) const;
  // Of any endpoint.
  [[nodiscard]] std::optional<Error> refused() const;
  // Requests left within max_requests; nullopt without a limit.
  [[nodiscard]] std::optional<std::uint64_t> left() const;
  // Requests to this URL that the pacer allows in the next minute.
  [[nodiscard]] Result<double> rate_left(const std::string& url) const;

 private:
  struct State;
  explicit Client(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::nvidia
