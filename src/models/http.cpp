#include "models/http.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::models {
namespace {

constexpr int kTries = 5;
constexpr int kMostRedirects = 10;
constexpr long kConnectSeconds = 20;
constexpr long kStallSeconds = 60;
constexpr std::chrono::seconds kLongestWait{60};
constexpr size_t kLongestHeader = 1000;

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

bool is_loopback(const std::string& host) { return host == "localhost" || host == "127.0.0.1" || host == "[::1]"; }

// "https host port": where a key may go. Errors: an address that may not be asked at all.
Result<std::string> origin_of(const std::string& url) {
  const Address address = parse_address(url);
  const std::string scheme = part_of(address, CURLUPART_SCHEME), host = part_of(address, CURLUPART_HOST);
  if (host.empty()) return fail(ErrorCode::kInvalidArgument, without_secrets(url) + " is no address");
  if (scheme != "https" && !(scheme == "http" && is_loopback(host)))
    return fail(ErrorCode::kPermission, without_secrets(url) + " is not encrypted: only https is taken");
  return fmt::format("{} {} {}", scheme, ascii_lower(host), part_of(address, CURLUPART_PORT));
}

// One exchange with one server, as curl's callbacks see it.
struct Exchange {
  const HttpRequest* request = nullptr;
  CURL* curl = nullptr;
  int fd = -1;
  std::uint64_t offset = 0;   // where the body goes
  std::uint64_t written = 0;  // of it
  std::uint64_t total = 0;    // of the whole file; 0: not told
  long status = 0;
  std::string etag, modified, linked_etag, retry_after, range;
  std::string mark;      // the file that remembers which file of the server this is a part of
  bool started = false;  // the body
  bool too_large = false;
  std::optional<Error> write_error;
};

size_t on_header(char* data, size_t, size_t size, void* pointer) {
  auto& exchange = *static_cast<Exchange*>(pointer);
  std::string_view line(data, size);
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || line.size() > kLongestHeader) return size;
  const std::string name = ascii_lower(line.substr(0, colon));
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  const std::pair<std::string_view, std::string*> wanted[] = {{"etag", &exchange.etag},
                                                              {"last-modified", &exchange.modified},
                                                              {"x-linked-etag", &exchange.linked_etag},
                                                              {"retry-after", &exchange.retry_after},
                                                              {"content-range", &exchange.range}};
  for (const auto& [key, member] : wanted)
    if (name == key) *member = value;
  return size;
}

// "bytes 100-199/200" → 100.
std::optional<std::uint64_t> start_of_range(std::string_view range) {
  constexpr std::string_view kUnit = "bytes ";
  std::uint64_t start = 0;
  if (!range.starts_with(kUnit)) return std::nullopt;
  range.remove_prefix(kUnit.size());
  const auto [end, error] = std::from_chars(range.data(), range.data() + range.size(), start);
  if (error != std::errc{} || end == range.data() + range.size() || *end != '-') return std::nullopt;
  return start;
}

// What may be said in If-Range: a strong ETag, or the date.
std::string validator_of(const Exchange& exchange) {
  if (!exchange.etag.empty() && !exchange.etag.starts_with("W/")) return exchange.etag;
  return exchange.modified;
}

// The headers are there: says where the body goes. A whole file (200) replaces what came before. The mark of which file
// it is must be there before the bytes are, should the program be killed.
bool begin_body(Exchange& exchange) {
  exchange.started = true;
  ::curl_easy_getinfo(exchange.curl, CURLINFO_RESPONSE_CODE, &exchange.status);
  if (exchange.status == 200) {
    exchange.offset = 0;
    if (::ftruncate(exchange.fd, 0) != 0) exchange.write_error = errno_error("cannot begin the file anew");
    if (const Status marked = write_file_atomically(exchange.mark, validator_of(exchange), 0600); !marked)
      exchange.write_error = marked.error();
  } else if (exchange.status == 206 && start_of_range(exchange.range) != exchange.offset) {
    exchange.status = 416;
  }
  curl_off_t length = -1;
  ::curl_easy_getinfo(exchange.curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  if (length > 0) exchange.total = exchange.offset + static_cast<std::uint64_t>(length);
  return !exchange.write_error;
}

bool is_file(const Exchange& exchange) { return exchange.status == 200 || exchange.status == 206; }

// Only a file's body is kept; that of an error is dropped.
size_t on_body(char* data, size_t, size_t size, void* pointer) {
  auto& exchange = *static_cast<Exchange*>(pointer);
  if (!exchange.started && !begin_body(exchange)) return 0;
  if (!is_file(exchange)) return size;
  const std::uint64_t at = exchange.offset + exchange.written;
  if (at + size > exchange.request->most_bytes) {
    exchange.too_large = true;
    return 0;
  }
  for (size_t done = 0; done < size;) {
    const ssize_t count = ::pwrite(exchange.fd, data + done, size - done, static_cast<off_t>(at + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      exchange.write_error = errno_error("cannot write the download");
      return 0;
    }
    done += static_cast<size_t>(count);
  }
  exchange.written += size;
  return size;
}

int on_progress(void* pointer, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& exchange = *static_cast<const Exchange*>(pointer);
  if (exchange.started) exchange.request->progress(exchange.offset + exchange.written, exchange.total);
  return exchange.request->cancelled() ? 1 : 0;
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
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

constexpr bool may_pass(long status) { return status == 408 || status == 416 || status == 429 || status >= 500; }

Error error_of_status(long status, const std::string& url, bool with_key) {
  const std::string where = without_secrets(url);
  if (status == 404 || status == 410)
    return {ErrorCode::kNotFound, fmt::format("{} does not exist (HTTP {})", where, status)};
  if (status == 401 || status == 403)
    return {ErrorCode::kPermission,
            fmt::format("{} is refused (HTTP {}): {}", where, status,
                        with_key ? "the key given does not open it" : "it needs a key or your consent on its page")};
  return {ErrorCode::kIo, fmt::format("{} answers with HTTP {}", where, status)};
}

// What one try came to. `again`: another may do better.
struct Try {
  std::optional<Error> error;
  bool again = false;
  std::chrono::seconds wait{0};  // that the server asks for
};

class Download {
 public:
  Download(const HttpRequest& request, const std::string& path, int fd)
      : request_(request), path_(path), mark_(path + ".from"), fd_(fd) {}

  Result<HttpAnswer> run() {
    auto delay = request_.first_delay;
    for (int count = 1;; ++count) {
      Try outcome = follow();
      if (!outcome.error) {
        ::unlink(mark_.c_str());
        return answer_;
      }
      if (outcome.error->code == ErrorCode::kNoSpace || outcome.error->code == ErrorCode::kTooLarge) forget();
      if (!outcome.again || count == kTries) return fail(std::move(*outcome.error));
      const auto asked = std::chrono::duration_cast<std::chrono::milliseconds>(std::min(outcome.wait, kLongestWait));
      if (!pause(std::max(delay, asked))) return fail(interrupted());
      delay *= 2;
    }
  }

 private:
  static Error interrupted() { return {ErrorCode::kInterrupted, "interrupted; `models pull` goes on where it was"}; }

  void forget() const {
    ::unlink(path_.c_str());
    ::unlink(mark_.c_str());
  }

  [[nodiscard]] bool pause(std::chrono::milliseconds length) const {
    const auto end = std::chrono::steady_clock::now() + length;
    while (std::chrono::steady_clock::now() < end) {
      if (request_.cancelled()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return true;
  }

  // From address to address to the file. curl's own following would not let each address be judged.
  Try follow() {
    std::string url = request_.url;
    const Result<std::string> first = origin_of(url);
    for (int hops = 0; hops <= kMostRedirects; ++hops) {
      const Result<std::string> origin = origin_of(url);
      if (!origin) return {origin.error()};
      std::string next;
      Try outcome = exchange(url, *origin == *first ? request_.bearer : "", next);
      if (next.empty()) return outcome;
      url = std::move(next);
    }
    return {Error{ErrorCode::kIo, without_secrets(request_.url) + " redirects without end"}};
  }

  Try exchange(const std::string& url, const std::string& bearer, std::string& next) {
    const Curl curl(::curl_easy_init(), curl_easy_cleanup);
    if (!curl) return {Error{ErrorCode::kOutOfMemory, "libcurl cannot start"}};
    Exchange state;
    state.request = &request_;
    state.curl = curl.get();
    state.fd = fd_;
    state.mark = mark_;
    Headers headers(nullptr, curl_slist_free_all);
    const auto add = [&](const std::string& line) {
      headers.reset(::curl_slist_append(headers.release(), line.c_str()));
    };
    if (!bearer.empty()) add("Authorization: Bearer " + bearer);
    struct stat info {};
    const Result<std::string> mark = read_file(mark_, kLongestHeader);
    if (mark && !mark->empty() && ::fstat(fd_, &info) == 0 && info.st_size > 0) {
      state.offset = static_cast<std::uint64_t>(info.st_size);
      add(fmt::format("Range: bytes={}-", state.offset));
      add("If-Range: " + *mark);
    }
    char reason[CURL_ERROR_SIZE] = "";
    const auto set = [&](CURLoption option, auto value) { ::curl_easy_setopt(curl.get(), option, value); };
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_HTTPHEADER, headers.get());
    set(CURLOPT_USERAGENT, "image-engine/" IE_VERSION);
    set(CURLOPT_PROTOCOLS_STR, "https,http");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, kStallSeconds);
    set(CURLOPT_ERRORBUFFER, reason);
    set(CURLOPT_HEADERFUNCTION, on_header);
    set(CURLOPT_HEADERDATA, &state);
    set(CURLOPT_WRITEFUNCTION, on_body);
    set(CURLOPT_WRITEDATA, &state);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, on_progress);
    set(CURLOPT_XFERINFODATA, &state);
    if (const char* authorities = std::getenv("SSL_CERT_FILE"); authorities != nullptr && *authorities != '\0')
      set(CURLOPT_CAINFO, authorities);
    const CURLcode code = ::curl_easy_perform(curl.get());
    if (code == CURLE_OK && !state.started) begin_body(state);
    return judge(url, state, code, reason, !bearer.empty(), next);
  }

  Try judge(const std::string& url, const Exchange& state, CURLcode code, const char* reason, bool with_key,
            std::string& next) {
    const std::string where = without_secrets(url);
    if (request_.cancelled()) return {interrupted()};
    if (state.too_large)
      return {Error{ErrorCode::kTooLarge,
                    fmt::format("{} is larger than the {} bytes that it may have", where, request_.most_bytes)}};
    if (state.write_error)
      return {Error{state.write_error->code, printable(path_) + ": " + state.write_error->message}};
    if (code != CURLE_OK)
      return {Error{code == CURLE_OPERATION_TIMEDOUT ? ErrorCode::kTimeout : ErrorCode::kIo,
                    fmt::format("{}: {}", where, *reason != '\0' ? reason : ::curl_easy_strerror(code))},
              may_pass(code)};
    if (!state.linked_etag.empty()) {
      answer_.linked_etag = state.linked_etag;
      std::erase(answer_.linked_etag, '"');
    }
    if (is_file(state)) return {};
    if (state.status == 416) ::unlink(mark_.c_str());  // what lies here is of no use: anew
    const char* target = nullptr;
    ::curl_easy_getinfo(state.curl, CURLINFO_REDIRECT_URL, &target);
    if (state.status >= 300 && state.status < 400 && target != nullptr) {
      next = target;
      return {};
    }
    std::chrono::seconds wait{0};
    int seconds = 0;
    if (const std::string& text = state.retry_after;
        std::from_chars(text.data(), text.data() + text.size(), seconds).ec == std::errc{} && seconds > 0)
      wait = std::chrono::seconds(seconds);
    return {error_of_status(state.status, url, with_key), may_pass(state.status), wait};
  }

  const HttpRequest& request_;
  const std::string& path_;
  std::string mark_;  // the file that says of which file of the server this is a part
  int fd_;
  HttpAnswer answer_;
};

}  // namespace

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
    return fail(ErrorCode::kInvalidArgument, printable(url) + " is no file's address");
  std::string path(text);
  ::curl_free(text);
  return path;
}

Result<HttpAnswer> http_download(const HttpRequest& request, const std::string& path) {
  static const CURLcode ready = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  if (ready != CURLE_OK) return fail(ErrorCode::kInternal, "libcurl cannot start");
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail(errno_error("cannot write " + printable(path)));
  return Download(request, path, fd.get()).run();
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

}  // namespace image_engine::models
