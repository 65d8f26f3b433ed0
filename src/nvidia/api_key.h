// Loads the API key, hides it and wipes it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::nvidia {

// Files that a key may be read from.
struct KeyFiles {
  std::string named;  // by the user: the only file to read; empty: `.env` in the current folder, then in
                      // config_home()
  // Folders and files whose pictures are analyzed. No `.env` at or below these folders or the files' folders is read
  // unless it is named: pictures from others must not supply the account that they are sent to.
  std::vector<std::string> pictures;
};

// While it lives, the process is Undumpable; its memory is wiped at the end. Only text() reveals the key; it is never
// printed.
class ApiKey {
 public:
  // From the environment variable `name`, else from a file (lines NAME=value; `export`, quotes and # comments as in a
  // shell), of which only this one name is read. The variable is wiped and removed from the environment, so that nobody
  // sees it there and no child process gets it: a second load() does not find it. Call before any thread starts: none
  // may read the environment meanwhile. Warns about a file that others may read. Errors: kNotFound, "NVIDIA_API_KEY not
  // found in environment" with the steps to get one; kPermission for a key in a file that others may write to or own
  // (except root); kInvalidArgument for a key with line breaks or other bytes that a header cannot contain (the value
  // is not shown), and for a named file that does not exist.
  static Result<ApiKey> load(const std::string& name, const KeyFiles& files = {});
  // No key, for servers that need none.
  ApiKey();
  ApiKey(ApiKey&&) noexcept;
  ApiKey& operator=(ApiKey&&) noexcept;
  ~ApiKey();

  [[nodiscard]] bool empty() const;
  [[nodiscard]] std::string_view text() const;
  // Its source, for people: "the environment variable NVIDIA_API_KEY", "/home/me/.env"; empty without a key.
  [[nodiscard]] const std::string& source() const { return source_; }
  // `text` with the key replaced by "[key]": for servers' answers. Unchanged if the key is a short word.
  [[nodiscard]] std::string redacted(std::string_view text) const;

 private:
  struct Secret;
  std::unique_ptr<Secret> secret_;
  std::string source_;
};

}  // namespace image_engine::nvidia
