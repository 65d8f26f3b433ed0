// The key to the cloud: read, kept out of sight, forgotten.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::nvidia {

// Files that a key may be read from.
struct KeyFiles {
  std::string named;  // by the user: nothing else is looked into; empty: `.env` in the current folder, then in
                      // config_home()
  // Folders and files whose pictures are looked at. From those folders, the files' folders and all below them no `.env`
  // is read unless it is named: a stranger's pictures must not bring the account that they are shown to.
  std::vector<std::string> pictures;
};

// While one lives, the process is Undumpable; its memory is wiped at the end. It is never printed: there is no way to a
// log but text().
class ApiKey {
 public:
  // From the environment variable `name`, else from a file (lines NAME=value; `export`, quotes and # comments as in a
  // shell), of which only this one name is read. The variable is wiped and taken out of the environment, so that nobody
  // sees it there and no program that we start gets it: a second load() does not find it. Load it before there are
  // threads: another one must not read the environment meanwhile. A file that others may read is warned of.
  // Errors: kNotFound, "NVIDIA_API_KEY not found in environment" with the steps to get one; kPermission for a key in a
  // file that others may write to or own (root may); kInvalidArgument for one with line breaks or other bytes that
  // cannot be in a header (the value is not told), and for a file that is named and not there.
  static Result<ApiKey> load(const std::string& name, const KeyFiles& files = {});
  // None: of servers that need no key.
  ApiKey();
  ApiKey(ApiKey&&) noexcept;
  ApiKey& operator=(ApiKey&&) noexcept;
  ~ApiKey();

  [[nodiscard]] bool empty() const;
  [[nodiscard]] std::string_view text() const;
  // Where it is from, for people: "the environment variable NVIDIA_API_KEY", "/home/me/.env"; empty without one.
  [[nodiscard]] const std::string& source() const { return source_; }
  // `text` with the key in it replaced by "[key]": for what servers send back. As it was where the key is a short word.
  [[nodiscard]] std::string redacted(std::string_view text) const;

 private:
  struct Secret;
  std::unique_ptr<Secret> secret_;
  std::string source_;
};

}  // namespace image_engine::nvidia
