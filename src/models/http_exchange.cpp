#include "models/http_exchange.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>

#include "core/text.h"

namespace image_engine::models {
namespace {

constexpr size_t kLongestHeader = 8192;
constexpr size_t kMostHeaders = 200;
constexpr std::chrono::seconds kLongestQuiet{365 * 24 * 3600};

using Curl = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;
using Address = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

Address parse_address(const std::string& url) {
  Address address(::curl_url(), curl_url_cleanup);
  if (address && ::curl_url_set(address.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) address.reset();
  return address;
}

std::string part_of(const Address& address, CURLUPart part) {
  char* text = nullptr;
  if (!address || ::curl_url_get(address.get(), part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return "";
  std::string result(text);
  ::curl_free(text);
  return result;
}

std::string_view trimmed(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

// Networks that are not the public internet (IANA's registries of special-purpose addresses).
struct Network {
  std::uint32_t address;
  int bits;
};
constexpr Network kPrivateNetworks[] = {{0x00000000, 8},  {0x0A000000, 8},  {0x64400000, 10}, {0x7F000000, 8},
                                        {0xA9FE0000, 16}, {0xAC100000, 12}, {0xC0000000, 24}, {0xC0A80000, 16},
                                        {0xC6120000, 15}, {0xE0000000, 4},  {0xF0000000, 4}};

bool is_private_ipv4(std::uint32_t address) {
  return std::ranges::any_of(kPrivateNetworks, [&](const Network& network) {
    return (address ^ network.address) >> (32 - network.bits) == 0;
  });
}

bool is_private_ipv6(const in6_addr& address) {
  const std::uint8_t* const bytes = address.s6_addr;
  const auto ipv4_at = [&](int at) {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | bytes[at + i];
    return value;
  };
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  constexpr std::array<std::uint8_t, 12> kTranslated = {0, 0x64, 0xFF, 0x9B};
  constexpr std::array<std::uint8_t, 12> kCompatible = {};  // ::, ::1, too
  for (const auto& prefix : {kMapped, kTranslated, kCompatible})
    if (std::equal(prefix.begin(), prefix.end(), bytes)) return is_private_ipv4(ipv4_at(12));
  if (bytes[0] == 0x20 && bytes[1] == 0x02) return is_private_ipv4(ipv4_at(2));
  return (bytes[0] & 0xFE) == 0xFC || (bytes[0] == 0xFE && (bytes[1] & 0x80) != 0) || bytes[0] == 0xFF;
}

bool is_private_address(const sockaddr* address) {
  if (address->sa_family == AF_INET)
    return is_private_ipv4(ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr));
  return address->sa_family != AF_INET6 || is_private_ipv6(reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

// Whether curl connects through a proxy, by the usual variables.
bool has_proxy() {
  return std::ranges::any_of(std::array{"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}, [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
  });
}

Error leads_inside(const std::string& url) {
  return {ErrorCode::kPermission,
          without_secrets(url) + " is on this machine or a private network, where no other server may redirect"};
}

// The state of one exchange for curl's callbacks.
struct Exchange {
  const HttpCall* call = nullptr;
  CURL* curl = nullptr;
  HttpHead head;
  size_t uploaded = 0;
  bool started = false;  // the body
  std::optional<Error> error;
};

// Each interim answer (a proxy's, "100 Continue") starts over with its status line.
size_t on_header(char* data, size_t, size_t size, void* pointer) {
  HttpHead& head = static_cast<Exchange*>(pointer)->head;
  const std::string_view line(data, size);
  if (line.starts_with("HTTP/")) head.headers.clear();
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || size > kLongestHeader || head.headers.size() >= kMostHeaders) return size;
  head.headers[ascii_lower(trimmed(line.substr(0, colon)))] = trimmed(line.substr(colon + 1));
  return size;
}

bool begin_body(Exchange& exchange) {
  exchange.started = true;
  long status = 0;
  curl_off_t length = -1;
  const char* redirect = nullptr;
  ::curl_easy_getinfo(exchange.curl, CURLINFO_RESPONSE_CODE, &status);
  ::curl_easy_getinfo(exchange.curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  ::curl_easy_getinfo(exchange.curl, CURLINFO_REDIRECT_URL, &redirect);
  exchange.head.status = static_cast<int>(status);
  if (length >= 0) exchange.head.length = static_cast<std::uint64_t>(length);
  if (status >= 300 && status < 400 && redirect != nullptr) exchange.head.redirect = redirect;
  if (const Status taken = exchange.call->on_head(exchange.head); !taken) exchange.error = taken.error();
  return !exchange.error;
}

size_t on_body(char* data, size_t, size_t size, void* pointer) {
  auto& exchange = *static_cast<Exchange*>(pointer);
  if (!exchange.started && !begin_body(exchange)) return 0;
  const Status taken = exchange.call->on_body({data, size});
  if (taken) return size;
  exchange.error = taken.error();
  return 0;
}

// Without a rewind function curl cannot send the body a second time by itself.
size_t on_upload(char* buffer, size_t, size_t size, void* pointer) {
  auto& exchange = *static_cast<Exchange*>(pointer);
  const size_t count = std::min(size, exchange.call->body.size() - exchange.uploaded);
  std::memcpy(buffer, exchange.call->body.data() + exchange.uploaded, count);
  exchange.uploaded += count;
  return count;
}

curl_socket_t on_socket(void* pointer, curlsocktype, curl_sockaddr* address) {
  auto& exchange = *static_cast<Exchange*>(pointer);
  if (is_private_address(&address->addr)) {
    exchange.error = leads_inside(exchange.call->url);
    return CURL_SOCKET_BAD;
  }
  exchange.error.reset();  // of another address of the same host
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int on_progress(void* pointer, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& exchange = *static_cast<Exchange*>(pointer);
  if (exchange.call->keep_going()) return 0;
  exchange.error = Error{ErrorCode::kInterrupted, "interrupted"};
  return 1;
}

constexpr bool may_pass(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

bool has_control_characters(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

// Null: not enough memory.
Headers header_list(const HttpCall& call) {
  Headers headers(nullptr, curl_slist_free_all);
  const auto add = [&](const std::string& line) {
    curl_slist* longer = ::curl_slist_append(headers.get(), line.c_str());
    if (longer == nullptr) return false;
    (void)headers.release();
    headers.reset(longer);
    return true;
  };
  bool all = add("Expect:");  // send large bodies at once, without waiting a second for "100 Continue"
  for (const auto& [name, value] : call.headers) all = all && add(fmt::format("{}: {}", name, value));
  if (!all) headers.reset();
  return headers;
}

void set_options(const Exchange& exchange, const Headers& headers, char* reason, bool plain) {
  const HttpCall& call = *exchange.call;
  const auto set = [&](CURLoption option, auto value) { ::curl_easy_setopt(exchange.curl, option, value); };
  set(CURLOPT_URL, call.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "https,http");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  if (const char* authorities = std::getenv("SSL_CERT_FILE"); authorities != nullptr && *authorities != '\0')
    set(CURLOPT_CAINFO, authorities);
  if (plain) set(CURLOPT_PROXY, "");
  if (call.method != "GET") set(CURLOPT_CUSTOMREQUEST, call.method.c_str());
  if (!call.body.empty() || call.method == "POST") {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
    set(CURLOPT_READFUNCTION, on_upload);
    set(CURLOPT_READDATA, const_cast<Exchange*>(&exchange));
  }
  set(CURLOPT_HTTPHEADER, headers.get());
  set(CURLOPT_USERAGENT, "image-engine/" IE_VERSION);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(call.connect_timeout.count()));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(call.timeout.count()));
  set(CURLOPT_LOW_SPEED_LIMIT, kLeastSpeed);
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(call.slow_time.count()));
  if (call.public_only && !has_proxy()) {
    set(CURLOPT_FRESH_CONNECT, 1L);  // checks each connection
    set(CURLOPT_OPENSOCKETFUNCTION, on_socket);
    set(CURLOPT_OPENSOCKETDATA, const_cast<Exchange*>(&exchange));
  }
  set(CURLOPT_ERRORBUFFER, reason);
  set(CURLOPT_HEADERFUNCTION, on_header);
  set(CURLOPT_HEADERDATA, const_cast<Exchange*>(&exchange));
  set(CURLOPT_WRITEFUNCTION, on_body);
  set(CURLOPT_WRITEDATA, const_cast<Exchange*>(&exchange));
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, on_progress);
  set(CURLOPT_XFERINFODATA, const_cast<Exchange*>(&exchange));
}

HttpOutcome outcome_of(Exchange& exchange, CURLcode code, const char* reason) {
  if (code == CURLE_OK && !exchange.started) begin_body(exchange);
  HttpOutcome outcome;
  long request_bytes = 0;
  ::curl_easy_getinfo(exchange.curl, CURLINFO_REQUEST_SIZE, &request_bytes);
  outcome.sent = request_bytes > 0;
  const char* server = nullptr;
  ::curl_easy_getinfo(exchange.curl, CURLINFO_PRIMARY_IP, &server);
  outcome.is_private = is_private_host(part_of(parse_address(exchange.call->url), CURLUPART_HOST)) ||
                       (!has_proxy() && server != nullptr && is_private_host(server));
  outcome.head = std::move(exchange.head);
  if (exchange.error) {
    outcome.error = std::move(exchange.error);
  } else if (code != CURLE_OK) {
    outcome.error = Error{code == CURLE_OPERATION_TIMEDOUT ? ErrorCode::kTimeout : ErrorCode::kIo,
                          printable(*reason != '\0' ? reason : ::curl_easy_strerror(code))};
    if (std::string_view(reason).starts_with("Operation too slow"))
      outcome.error->message = fmt::format(
          "less than {} per second was transferred for {} s: the network or the server is "
          "too slow, try again later",
          human_bytes(kLeastSpeed), exchange.call->slow_time.count());
    outcome.may_pass = may_pass(code);
  }
  return outcome;
}

HttpOutcome failed(Error error) {
  HttpOutcome outcome;
  outcome.error = std::move(error);
  return outcome;
}

}  // namespace

std::string HttpHead::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

// Each handle keeps its own connections; the last used one is taken first, so that few stay open.
struct HttpConnections::State {
  std::mutex mutex;
  std::vector<Curl> idle;

  Curl take() {
    const std::scoped_lock lock(mutex);
    if (idle.empty()) return {::curl_easy_init(), curl_easy_cleanup};
    Curl curl = std::move(idle.back());
    idle.pop_back();
    return curl;
  }
  void give_back(Curl curl) {
    ::curl_easy_reset(curl.get());
    const std::scoped_lock lock(mutex);
    idle.push_back(std::move(curl));
  }
};

HttpConnections::HttpConnections() : state_(std::make_unique<State>()) {}
HttpConnections::HttpConnections(HttpConnections&&) noexcept = default;
HttpConnections& HttpConnections::operator=(HttpConnections&&) noexcept = default;
HttpConnections::~HttpConnections() = default;

HttpOutcome HttpConnections::exchange(const HttpCall& call) {
  static const CURLcode kReady = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  if (kReady != CURLE_OK) return failed({ErrorCode::kInternal, "libcurl cannot start"});
  const Result<std::string> origin = origin_of(call.url);
  if (!origin) return failed(origin.error());
  if (call.public_only && is_private_host(part_of(parse_address(call.url), CURLUPART_HOST)))
    return failed(leads_inside(call.url));
  for (const auto& [name, value] : call.headers)
    if (has_control_characters(name) || has_control_characters(value))
      return failed({ErrorCode::kInvalidArgument, "the header " + printable(name) + " holds a control character"});
  Curl curl = state_->take();
  const Headers headers = header_list(call);
  if (!curl || !headers) return failed({ErrorCode::kOutOfMemory, "libcurl cannot start"});
  Exchange exchange;
  exchange.call = &call;
  exchange.curl = curl.get();
  char reason[CURL_ERROR_SIZE] = "";
  set_options(exchange, headers, reason, origin->starts_with("http "));
  HttpOutcome outcome = outcome_of(exchange, ::curl_easy_perform(curl.get()), reason);
  state_->give_back(std::move(curl));
  return outcome;
}

bool is_loopback(std::string_view host) { return host == "localhost" || host == "127.0.0.1" || host == "[::1]"; }

bool is_private_host(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  host = host.substr(0, host.find('%'));  // a zone
  const std::string text = ascii_lower(host.ends_with('.') ? host.substr(0, host.size() - 1) : host);
  in_addr ipv4{};
  in6_addr ipv6{};
  if (::inet_aton(text.c_str(), &ipv4) != 0) return is_private_ipv4(ntohl(ipv4.s_addr));
  if (::inet_pton(AF_INET6, text.c_str(), &ipv6) == 1) return is_private_ipv6(ipv6);
  return text == "localhost" || text.ends_with(".localhost");
}

Result<std::string> origin_of(const std::string& url) {
  const Address address = parse_address(url);
  const std::string scheme = part_of(address, CURLUPART_SCHEME), host = part_of(address, CURLUPART_HOST);
  if (host.empty()) return fail(ErrorCode::kInvalidArgument, without_secrets(url) + " is not a URL");
  if (scheme != "https" && !(scheme == "http" && is_loopback(host)))
    return fail(ErrorCode::kPermission, without_secrets(url) + " is not encrypted: only https is allowed");
  return fmt::format("{} {} {}", scheme, ascii_lower(host), part_of(address, CURLUPART_PORT));
}

std::string without_secrets(const std::string& url) {
  const Address address = parse_address(url);
  if (!address) return printable(url.substr(0, url.find('?')));
  for (const CURLUPart part : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT})
    ::curl_url_set(address.get(), part, nullptr, 0);
  char* text = nullptr;
  if (::curl_url_get(address.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) return "the address";
  std::string result = printable(text);
  ::curl_free(text);
  return result;
}

std::string escaped(std::string_view path) {
  std::string result;
  for (const unsigned char c : path) {
    const bool plain =
        std::isalnum(c) != 0 || std::string_view("-._~/").find(static_cast<char>(c)) != std::string_view::npos;
    result += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return result;
}

Result<std::string> path_of_file_url(const std::string& url) {
  const Address address = parse_address(url);
  char* text = nullptr;
  if (part_of(address, CURLUPART_SCHEME) != "file" ||
      ::curl_url_get(address.get(), CURLUPART_PATH, &text, CURLU_URLDECODE) != CURLUE_OK)
    return fail(ErrorCode::kInvalidArgument, printable(url) + " is not a file URL");
  std::string path(text);
  ::curl_free(text);
  return path;
}

std::optional<std::chrono::seconds> retry_after(const HttpHead& head) {
  const std::string text = head.header("retry-after");
  if (text.empty()) return std::nullopt;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc::result_out_of_range) return kLongestQuiet;
  if (error != std::errc{} || end != text.data() + text.size()) {
    const std::time_t then = ::curl_getdate(text.c_str(), nullptr);
    if (then < 0) return std::nullopt;
    const std::time_t server_now = ::curl_getdate(head.header("date").c_str(), nullptr);
    seconds = then - (server_now < 0 ? std::time(nullptr) : server_now);
  }
  return std::clamp(std::chrono::seconds(seconds), std::chrono::seconds(0), kLongestQuiet);
}

}  // namespace image_engine::models
