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
  std::string bearer;  // a key that only the url's own host gets, never a redirect's; empty: none
  std::uint64_t most_bytes = 0;
  std::chrono::milliseconds first_delay{1000};  // before the second try; doubles
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
  std::stop_token stop;
  int tries = 5;
  std::chrono::seconds slow_time{30};  // a try ends after this long below 1 kB/s
};

struct HttpAnswer {
  std::string linked_etag;  // X-Linked-ETag without quotes: on Hugging Face the sha256 of a large file
};

// Fetches the url into `path`. Resumes a partial file if the server's file is unchanged (ETag or Last-Modified, kept in
// `<path>.from`), else starts again. Transient failures are retried, up to `tries` tries in all. Uses the usual proxy
// variables. A server elsewhere cannot redirect to this machine or a private network. The file is complete only on
// success. Errors: kNotFound, kPermission (401, 403, such a redirect), kTooLarge (over most_bytes), kNoSpace, kTimeout
// (connecting 20 s, slow_time), kInterrupted, kIo. After kTooLarge and kNoSpace nothing is kept, after others the
// partial file.
Result<HttpAnswer> http_download(const HttpRequest& request, const std::string& path);

}  // namespace image_engine::models
