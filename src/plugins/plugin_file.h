// The file of a plugin, checked and copied: what is loaded is what was checked.
#pragma once

#include <cstdint>
#include <string>

#include "core/file.h"
#include "core/hash.h"
#include "core/result.h"

namespace image_engine::plugins {

// Movable. The copy is sealed memory, which nobody can change.
class PluginFile {
 public:
  // kPermission: a link, or a file that others than this user or root own or may write to. kTooLarge: over 256 MiB.
  // kUnsupported: no shared object of this machine's kind. Also the errors of open().
  static Result<PluginFile> open(const std::string& path);

  [[nodiscard]] int descriptor() const { return copy_.get(); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // Of all bytes: 64 hexadecimal digits.
  [[nodiscard]] const std::string& sha256() const { return sha256_; }
  // Writes the copy to `path`, atomically, with the mode 0755 less the umask.
  [[nodiscard]] Status write_to(const std::string& path) const;

 private:
  PluginFile() = default;
  UniqueFd copy_;
  std::uint64_t bytes_ = 0;
  std::string sha256_;
};

}  // namespace image_engine::plugins
