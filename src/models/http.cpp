#include "models/http.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string_view>

#include "core/file.h"
#include "core/text.h"
#include "models/http_exchange.h"

namespace image_engine::models {
namespace {

constexpr int kMostRedirects = 10;
constexpr std::chrono::seconds kLongestWait{60};
constexpr size_t kLongestMark = 8192;

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

// The value for If-Range: a strong ETag, or the date.
std::string validator_of(const HttpHead& head) {
  const std::string etag = head.header("etag");
  return !etag.empty() && !etag.starts_with("W/") ? etag : head.header("last-modified");
}

constexpr bool may_pass(int status) { return status == 408 || status == 416 || status == 429 || status >= 500; }

Error error_of_status(int status, const std::string& url, bool with_key) {
  const std::string where = without_secrets(url);
  if (status == 404 || status == 410)
    return {ErrorCode::kNotFound, fmt::format("{} does not exist (HTTP {})", where, status)};
  if (status == 401 || status == 403)
    return {ErrorCode::kPermission,
            fmt::format("{} is refused (HTTP {}): {}", where, status,
                        with_key ? "the key given does not open it" : "it needs a key or your consent on its page")};
  return {ErrorCode::kIo, fmt::format("{} answers with HTTP {}", where, status)};
}

// The destination of an answer's body.
struct Body {
  bool is_file = false;       // an error's body is dropped
  bool anew = false;          // the partial file is useless
  std::uint64_t offset = 0;   // in the file
  std::uint64_t written = 0;  // of it
  std::uint64_t total = 0;    // of the whole file; 0: unknown
};

// The result of one try. `again`: a retry may succeed.
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
      if (!outcome.again || count >= request_.tries) return fail(std::move(*outcome.error));
      const auto asked = std::chrono::duration_cast<std::chrono::milliseconds>(std::min(outcome.wait, kLongestWait));
      if (!pause(std::max(delay, asked))) return fail(interrupted());
      delay *= 2;
    }
  }

 private:
  static Error interrupted() { return {ErrorCode::kInterrupted, "interrupted; `models pull` continues from there"}; }

  void forget() const {
    ::unlink(path_.c_str());
    ::unlink(mark_.c_str());
  }

  [[nodiscard]] bool pause(std::chrono::milliseconds length) const {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, request_.stop, length, [] { return false; });
    return !request_.stop.stop_requested();
  }

  // Follows redirects to the file and checks each URL: the key is sent only to the first one's server.
  Try follow() {
    std::string url = request_.url;
    const Result<std::string> first = origin_of(url);
    bool from_outside = false;  // whether a public server redirected here
    for (int hops = 0; hops <= kMostRedirects; ++hops) {
      const Result<std::string> origin = origin_of(url);
      if (!origin) return {origin.error()};
      std::string next;
      Try outcome = exchange(url, *origin == *first ? request_.bearer : "", next, from_outside);
      if (next.empty()) return outcome;
      url = std::move(next);
    }
    return {Error{ErrorCode::kIo, without_secrets(request_.url) + " redirects without end"}};
  }

  Try exchange(const std::string& url, const std::string& bearer, std::string& next, bool& from_outside) {
    Body body;
    HttpCall call;
    call.url = url;
    call.public_only = from_outside;
    call.slow_time = request_.slow_time;
    if (!bearer.empty()) call.headers.emplace_back("Authorization", "Bearer " + bearer);
    struct stat info {};
    const Result<std::string> mark = read_file(mark_, kLongestMark);
    if (mark && !mark->empty() && ::fstat(fd_, &info) == 0 && info.st_size > 0) {
      body.offset = static_cast<std::uint64_t>(info.st_size);
      call.headers.emplace_back("Range", fmt::format("bytes={}-", body.offset));
      call.headers.emplace_back("If-Range", *mark);
    }
    call.on_head = [&](const HttpHead& head) { return begin(body, head); };
    call.on_body = [&](std::string_view bytes) { return append(body, bytes); };
    call.keep_going = [&] {
      if (body.is_file) request_.progress(body.offset + body.written, body.total);
      return !request_.stop.stop_requested();
    };
    HttpOutcome outcome = connections_.exchange(call);
    next = outcome.error ? "" : outcome.head.redirect;
    from_outside = from_outside || !outcome.is_private;
    return judge(url, std::move(outcome), body, !bearer.empty());
  }

  // A whole file (200) replaces the partial one. Its identity must be written before its bytes, in case the program is
  // killed.
  Status begin(Body& body, const HttpHead& head) {
    if (head.status == 200) {
      body.offset = 0;
      if (::ftruncate(fd_, 0) != 0) return fail(here(errno_error("cannot restart the file")));
      if (const Status marked = write_file_atomically(mark_, validator_of(head), 0600); !marked)
        return fail(here(marked.error()));
    }
    body.anew =
        head.status == 416 || (head.status == 206 && start_of_range(head.header("content-range")) != body.offset);
    body.is_file = head.status == 200 || (head.status == 206 && !body.anew);
    if (head.length.value_or(0) > 0) body.total = body.offset + *head.length;
    return {};
  }

  Status append(Body& body, std::string_view bytes) {
    if (!body.is_file) return {};
    const std::uint64_t at = body.offset + body.written;
    if (at + bytes.size() > request_.most_bytes)
      return fail(ErrorCode::kTooLarge, fmt::format("{} is larger than the {} bytes that it may have",
                                                    without_secrets(request_.url), request_.most_bytes));
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t count = ::pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(at + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return fail(here(errno_error("cannot write the download")));
      done += static_cast<size_t>(count);
    }
    body.written += bytes.size();
    return {};
  }

  [[nodiscard]] Error here(const Error& error) const { return {error.code, printable(path_) + ": " + error.message}; }

  Try judge(const std::string& url, HttpOutcome outcome, const Body& body, bool with_key) {
    if (request_.stop.stop_requested()) return {interrupted()};
    const HttpHead& head = outcome.head;
    if (outcome.error) {
      const bool ours = outcome.error->code != ErrorCode::kTimeout && outcome.error->code != ErrorCode::kIo;
      if (ours) return {std::move(outcome.error)};
      return {Error{outcome.error->code, fmt::format("{}: {}", without_secrets(url), outcome.error->message)},
              outcome.may_pass};
    }
    if (const std::string etag = head.header("x-linked-etag"); !etag.empty()) {
      answer_.linked_etag = etag;
      std::erase(answer_.linked_etag, '"');
    }
    if (body.anew) ::unlink(mark_.c_str());
    if (body.is_file || !head.redirect.empty()) return {};
    const int status = body.anew ? 416 : head.status;
    return {error_of_status(status, url, with_key), may_pass(status),
            retry_after(head).value_or(std::chrono::seconds(0))};
  }

  const HttpRequest& request_;
  const std::string& path_;
  std::string mark_;  // identifies the server's file that this is a part of
  int fd_;
  HttpAnswer answer_;
  HttpConnections connections_;
};

}  // namespace

Result<HttpAnswer> http_download(const HttpRequest& request, const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail(errno_error("cannot write " + printable(path)));
  return Download(request, path, fd.get()).run();
}

}  // namespace image_engine::models
