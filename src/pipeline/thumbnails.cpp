#include "pipeline/thumbnails.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <filesystem>

#include "core/file.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {

ThumbnailCache::ThumbnailCache(std::string folder)
    : folder_(folder.empty() ? join_path(cache_home(), "thumbnails") : std::move(folder)) {}

std::string ThumbnailCache::path(const Hash128& asset, std::uint32_t edge) const {
  const std::string hex = asset.hex();
  return fmt::format("{}/{}/{}/{}.jpg", folder_, edge, hex.substr(0, 2), hex);
}

bool ThumbnailCache::has(const Hash128& asset, std::uint32_t edge) const {
  return ::access(path(asset, edge).c_str(), R_OK) == 0;
}

void ThumbnailCache::rename(const Hash128& from, const Hash128& to, std::uint32_t edge) const {
  if (!has(from, edge) || has(to, edge)) return;
  const std::string target = path(to, edge);
  if (make_folders(std::string(parent_path(target)), 0700)) (void)std::rename(path(from, edge).c_str(), target.c_str());
}

void ThumbnailCache::forget(std::span<const Hash128> assets) const {
  std::error_code ignored;
  for (const auto& size : std::filesystem::directory_iterator(folder_, ignored)) {
    std::uint32_t edge = 0;
    const std::string name = size.path().filename();
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), edge);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    for (const Hash128& asset : assets) ::unlink(path(asset, edge).c_str());
  }
}

Status ThumbnailCache::put(const Hash128& asset, std::uint32_t edge, std::span<const std::byte> jpeg) const {
  const std::string target = path(asset, edge);
  // Private, as thumbnails show the picture.
  IE_CHECK(make_folders(std::string(parent_path(target)), 0700));
  return write_file_atomically(target, jpeg, 0600);
}

Result<std::string> ThumbnailCache::make(const Hash128& asset, const store::FileObservation& file, std::uint32_t edge,
                                         std::uint32_t quality, worker::Pool& pool, double at) const {
  if (has(asset, edge)) return path(asset, edge);
  IE_TRY(const worker::DecodedFile decoded, worker::decode_file(pool, file.path,
                                                                {.operations = worker::kThumbnail,
                                                                 .thumbnail_edge = edge,
                                                                 .thumbnail_quality = quality,
                                                                 .orientation = file.orientation,
                                                                 .at = at}));
  IE_CHECK(put(asset, edge, decoded.thumbnail()));
  return path(asset, edge);
}

}  // namespace image_engine::pipeline
