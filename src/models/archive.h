// Extracts files from archives: a wheel (zip), an sdist or npm's tgz, or a zip in memory. The only user of libarchive.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::models {

// Writes the regular file `member` of the archive to `target`, a new file of at most `most_bytes`. Nothing else in the
// archive is read or written. Errors: kNotFound (no such regular file in it), kCorrupt, kTooLarge, kNoSpace,
// kInterrupted; then `target` does not exist.
Status extract_member(const std::string& archive, const std::string& member, const std::string& target,
                      std::uint64_t most_bytes, const std::stop_token& stop);

struct Member {
  std::string name;  // as in the archive, any bytes; never use it as a path
  std::string bytes;
};
// The regular files of a zip, in their order. Errors: kCorrupt; kTooLarge for more than `most_bytes` in all, or more
// than `most_members` entries of any kind.
Result<std::vector<Member>> read_members(std::string_view zip, std::uint64_t most_bytes, std::size_t most_members);

}  // namespace image_engine::models
