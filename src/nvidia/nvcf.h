// NVIDIA Cloud Functions: uploads of pictures before a request, polling for its answer.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "nvidia/dialects.h"

namespace image_engine::nvidia {

// An upload for one request. The destructor removes it from NVIDIA's store; if that fails, NVIDIA removes it after a
// day.
class Asset {
 public:
  // `type`: "image/jpeg". `about` is for sent_log. Errors: those of `transport.send`, kCorrupt, kIo if the store's
  // status is not 2xx.
  static Result<Asset> upload(const Endpoint& endpoint, const Transport& transport, std::string_view bytes,
                              const std::string& type, const std::string& about);
  Asset(Asset&& other) noexcept;
  Asset& operator=(Asset&&) = delete;
  ~Asset();

  [[nodiscard]] const std::string& id() const { return id_; }

 private:
  Asset(const Endpoint& endpoint, const Transport& transport, std::string id);

  const Endpoint* endpoint_;
  const Transport* transport_;
  std::string id_;  // empty: moved from
};

// The header with the seconds that the server may hold a request before it answers that it is not ready: half of
// `timeout`, 1…30.
std::pair<std::string, std::string> patience(std::chrono::milliseconds timeout);

// The final answer for `reply`, of a request to `endpoint`: polls while it is not ready (202), follows a redirect (302,
// 303; only kNvcf). After a stop request this continues during `transport.grace`. Errors: those of `transport.send`,
// kTimeout, kInterrupted, kCorrupt, kIo.
Result<Reply> settled(const Endpoint& endpoint, const Transport& transport, Reply reply, const std::string& about);

// The body; of a zip (at most 64 MB), the first member that `reads` accepts. kCorrupt, kTooLarge.
Result<std::string> unpacked(const Reply& reply, const Reads& reads);

}  // namespace image_engine::nvidia
