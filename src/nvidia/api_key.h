// The key to the cloud: read, kept out of sight, forgotten.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"

namespace image_engine::nvidia {

// While one lives, the process leaves no core dump and cannot be looked into by others of the same user
// (PR_SET_DUMPABLE, as it was again afterwards); its memory is wiped at the end. It is never printed: there is no way
// to a log but text().
class ApiKey {
 public:
  // From the environment variable `name`, else from `env_file` (lines NAME=value; `export`, quotes and # comments as
  // in a shell), else from `.env` in config_home(). Of the file only this one name is read. The variable is wiped and
  // taken out of the environment, so that nobody sees it there and no program that we start gets it: a second load()
  // does not find it. Load it before there are threads: another one must not read the environment meanwhile.
  // Errors: kNotFound, "NVIDIA_API_KEY not found in environment" with the steps to get one; kInvalidArgument for one
  // with line breaks or other bytes that cannot be in a header (the value is not told), and for an env_file that is
  // asked for and not there.
  static Result<ApiKey> load(const std::string& name, const std::string& env_file = {});
  // None: of servers that need no key.
  ApiKey();
  ApiKey(ApiKey&&) noexcept;
  ApiKey& operator=(ApiKey&&) noexcept;
  ~ApiKey();

  [[nodiscard]] bool empty() const;
  [[nodiscard]] std::string_view text() const;
  // `text` with the key in it replaced by "[key]": for what servers send back. As it was where the key is a short word.
  [[nodiscard]] std::string redacted(std::string_view text) const;

 private:
  struct Secret;
  std::unique_ptr<Secret> secret_;
};

}  // namespace image_engine::nvidia
