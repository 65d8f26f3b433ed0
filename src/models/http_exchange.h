// One request to one server and its answer: the one user of libcurl.
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

// What comes before an answer's body.
struct HttpHead {
  int status = 0;  // 0: none came
  std::map<std::string, std::string>
      headers;                          // names in lower case; the last of equal ones; those over 8 kB are dropped
  std::optional<std::uint64_t> length;  // of the body, where the server tells it
  std::string redirect;                 // the whole address that a 3xx leads to
  [[nodiscard]] std::string header(const std::string& name) const;  // empty: none
};

constexpr long kLeastSpeed = 1000;  // bytes a second

struct HttpCall {
  std::string url;  // https, or http to this machine
  std::string method = "GET";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string_view body;     // outlives the call; of GET: none
  bool public_only = false;  // to no address of this machine or of a private network: where a stranger's answer leads.
                             // Names are judged by what they resolve to, but behind a proxy, which resolves them
  std::chrono::milliseconds connect_timeout{20'000};
  std::chrono::seconds slow_time{30};    // below kLeastSpeed, either way; 0: however slow
  std::chrono::milliseconds timeout{0};  // for all of it; 0: none
  // Called once, before the first of the body; then with each piece of it. Errors end the exchange.
  std::function<Status(const HttpHead&)> on_head = [](const HttpHead&) { return Status{}; };
  std::function<Status(std::string_view)> on_body = [](std::string_view) { return Status{}; };
  // Called at least once a second; false ends the exchange with kInterrupted.
  std::function<bool()> keep_going = [] { return true; };
};

struct HttpOutcome {
  HttpHead head;               // also of an answer that was cut
  std::optional<Error> error;  // none: an answer came to its end, whatever its status
  bool may_pass = false;       // the error: another try may do better
  bool sent = false;           // the server may have seen the request, or a part of it
  bool is_private = false;     // who answered is this machine, or of a private network
};

// Keeps connections open between exchanges, HTTP/2 where server and libcurl have it; thread-safe, as many exchanges at
// once as threads. Certificates are always verified, against SSL_CERT_FILE where it is set; proxies are taken from the
// usual variables, but never for http to this machine. Redirects are answers. A request with a body is sent once and
// no more: a lost connection is an error.
class HttpConnections {
 public:
  HttpConnections();
  HttpConnections(HttpConnections&&) noexcept;
  HttpConnections& operator=(HttpConnections&&) noexcept;
  ~HttpConnections();

  // Errors: those of origin_of(), kInvalidArgument for a header with control characters, kPermission for what
  // public_only forbids, kTimeout, kInterrupted, kIo (connection, protocol, certificates), and what on_head and on_body
  // say.
  HttpOutcome exchange(const HttpCall& call);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Whether this is a name of this machine, as an address has it: plain http may go there.
bool is_loopback(std::string_view host);
// Whether a host, as an address has it ("10.0.0.1", "[fe80::1]", "localhost"), is on this machine or a private network
// by its own words: names but localhost are not looked up.
bool is_private_host(std::string_view host);
// "https host port": where a key may go. Errors: kInvalidArgument for what is no address, kPermission for one that may
// not be asked at all: plain http is for this machine.
Result<std::string> origin_of(const std::string& url);
// The address without the name, password and query that it may hold: for messages.
std::string without_secrets(const std::string& url);
// Percent-encoded but for letters, digits, "-._~" and slashes.
std::string escaped(std::string_view path);
// "file:///a%20b" → "/a b".
Result<std::string> path_of_file_url(const std::string& url);
// What Retry-After asks for, in seconds or as a date (by the server's own clock where it tells it); at most a year.
std::optional<std::chrono::seconds> retry_after(const HttpHead& head);

}  // namespace image_engine::models
