// Thumbnails, named by the asset's hash: a cache that may be deleted at any time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/hash.h"
#include "core/result.h"
#include "store/types.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

class ThumbnailCache {
 public:
  // `folder`: empty for cache_home()/thumbnails.
  explicit ThumbnailCache(std::string folder = {});

  // The path of the thumbnail with that longer edge, whether it exists or not.
  [[nodiscard]] std::string path(const Hash128& asset, std::uint32_t edge) const;
  [[nodiscard]] bool has(const Hash128& asset, std::uint32_t edge) const;
  // Renames the thumbnail of an asset whose hash has changed; an existing target stays.
  void rename(const Hash128& from, const Hash128& to, std::uint32_t edge) const;
  // Deletes all their sizes. Errors are ignored: it is a cache.
  void forget(std::span<const Hash128> assets) const;
  Status put(const Hash128& asset, std::uint32_t edge, std::span<const std::byte> jpeg) const;

  // The path of a thumbnail, made from `file` if it is not in the cache; of a video from the frame at `at` seconds.
  // Thread-safe.
  Result<std::string> make(const Hash128& asset, const store::FileObservation& file, std::uint32_t edge,
                           std::uint32_t quality, worker::Pool& pool, double at = -1) const;

 private:
  std::string folder_;
};

}  // namespace image_engine::pipeline
