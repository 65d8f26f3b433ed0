// Downloads over HTTP.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "core/result.h"

namespace image_engine::models {

struct HttpRequest {
  std::string url;     // https, or http to this machine
  std::string bearer;  // a key that goes to the url's own host alone, whatever it redirects to; empty: none
  std::uint64_t most_bytes = 0;
  std::chrono::milliseconds first_delay{1000};  // before the second try; doubles
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
  std::stop_token stop;
  int tries = 5;
  std::chrono::seconds slow_time{30};  // below 1 kB a second, until a try ends
};

struct HttpAnswer {
  std::string linked_etag;  // X-Linked-ETag, without quotes: of Hugging Face, the sha256 of a large file
};

// Fetches the url into `path`, going on with what lies there when the server says that its file is the same (ETag or
// Last-Modified, kept in `<path>.from`), else anew. Failures that may pass are tried again, `tries` in all. Proxies
// are taken from the usual variables. A server elsewhere cannot redirect to this machine or a private network. The file
// is complete on success only.
// Errors: kNotFound, kPermission (401, 403, such a redirect), kTooLarge (over most_bytes), kNoSpace, kTimeout
// (connecting 20 s, slow_time), kInterrupted, kIo. After kTooLarge and kNoSpace nothing is kept, after others what
// came.
Result<HttpAnswer> http_download(const HttpRequest& request, const std::string& path);

}  // namespace image_engine::models
