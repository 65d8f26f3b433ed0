// One request to a server and its answer. The only user of libcurl.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace image_engine::models {

// The status and headers of an answer.
struct HttpHead {
  int status = 0;                              // 0: no answer
  std::map<std::string, std::string> headers;  // names in lower case; the last of equal ones; without those over 8 kB
  std::optional<std::uint64_t> length;         // of the body, if the server states it
  std::string redirect;                        // the full URL that a 3xx redirects to
  [[nodiscard]] std::string header(const std::string& name) const;  // empty: none
};

constexpr long kLeastSpeed = 1000;  // bytes per second

struct HttpCall {
  std::string url;  // https, or http to this machine
  std::string method = "GET";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string_view body;     // must outlive the call; none for GET
  bool public_only = false;  // refuses addresses of this machine and private networks: for links from others.
                             // Checks the resolved addresses, except behind a proxy, which resolves names
  std::chrono::milliseconds connect_timeout{20'000};
  std::chrono::seconds slow_time{30};    // limit below kLeastSpeed, in either direction; 0: none
  std::chrono::milliseconds timeout{0};  // for the whole exchange; 0: none
  // on_head is called once, before the body; on_body with each piece of it. Their errors end the exchange.
  std::function<Status(const HttpHead&)> on_head = [](const HttpHead&) { return Status{}; };
  std::function<Status(std::string_view)> on_body = [](std::string_view) { return Status{}; };
  // Called at least once a second; false ends the exchange with kInterrupted.
  std::function<bool()> keep_going = [] { return true; };
};

struct HttpOutcome {
  HttpHead head;               // also of a truncated answer
  std::optional<Error> error;  // none: the answer is complete, whatever its status
  bool may_pass = false;       // the error may be transient: a retry may succeed
  bool sent = false;           // the server may have received some of the request
  bool is_private = false;     // the answer came from this machine or a private network
};

// Keeps connections open between exchanges, HTTP/2 where server and libcurl support it. Thread-safe; each thread may
// run one exchange at a time. Certificates are always verified, against SSL_CERT_FILE if set. Uses the usual proxy
// variables, but never for http to this machine. Redirects are returned, not followed. A request with a body is sent
// only once: a lost connection is an error.
class HttpConnections {
 public:
  HttpConnections();
  HttpConnections(HttpConnections&&) noexcept;
  HttpConnections& operator=(HttpConnections&&) noexcept;
  ~HttpConnections();

  // Errors: those of origin_of(), kInvalidArgument for a header with control characters, kPermission for what
  // public_only forbids, kTimeout, kInterrupted, kIo (connection, protocol, certificates), and those of on_head and
  // on_body.
  HttpOutcome exchange(const HttpCall& call);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Whether this host of a URL is this machine, where plain http is allowed.
bool is_loopback(std::string_view host);
// Whether a host of a URL ("10.0.0.1", "[fe80::1]", "localhost") is this machine or in a private network. Judges
// addresses and localhost only; other names are not resolved.
bool is_private_host(std::string_view host);
// "https host port": the origin that a key is bound to. Errors: kInvalidArgument for an invalid URL, kPermission for
// plain http to another machine.
Result<std::string> origin_of(const std::string& url);
// The URL without user name, password and query: for messages.
std::string without_secrets(const std::string& url);
// Percent-encodes all but letters, digits, "-._~" and slashes.
std::string escaped(std::string_view path);
// "file:///a%20b" → "/a b".
Result<std::string> path_of_file_url(const std::string& url);
// The delay of Retry-After, given in seconds or as a date (relative to the server's Date header if present); at most a
// year.
std::optional<std::chrono::seconds> retry_after(const HttpHead& head);

}  // namespace image_engine::models
