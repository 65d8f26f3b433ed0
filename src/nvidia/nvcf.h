// NVIDIA Cloud Functions around a request: pictures that are uploaded before, answers that are waited for after.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "nvidia/dialects.h"

namespace image_engine::nvidia {

// Something uploaded for one request. Its end removes it from NVIDIA's store; where that fails, they do after a day.
class Asset {
 public:
  // `type`: "image/jpeg". `about` is for the log of what left. Errors: those of `line.send`, kCorrupt,
  // kIo where the store answers with another status than 2xx.
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
  std::string id_;  // empty: another one took it over
};

// Seconds that the server may keep a request open before it says that the answer is not ready, as a header: half of
// `timeout`, from 1 to 30.
std::pair<std::string, std::string> patience(std::chrono::milliseconds timeout);

// The answer that `reply`, of a request to `endpoint`, leads to: asked for again while it is not ready (202), fetched
// where it lies elsewhere (302, 303; of kNvcf only). Once stopped, that goes on during `line.grace`. Errors: those of
// `line.send`, kTimeout, kInterrupted, kCorrupt, kIo.
Result<Reply> settled(const Endpoint& endpoint, const Transport& transport, Reply reply, const std::string& about);

// The body, or the first member of it that `reads` takes where it is a zip of at most 64 MB. kCorrupt, kTooLarge.
Result<std::string> unpacked(const Reply& reply, const Reads& reads);

}  // namespace image_engine::nvidia
