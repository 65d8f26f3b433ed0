#include "cli/write_target.h"

#include <algorithm>
#include <filesystem>

#include "core/text.h"

namespace image_engine::cli {
namespace {

// Whether writing there would replace a photo or video of the library, under any name.
Result<bool> is_in_library(const store::CatalogueReader& reader, const std::string& target) {
  std::error_code ignored;
  const std::string real = std::filesystem::weakly_canonical(target, ignored).string();
  for (const std::string& path : {target, real})
    if (const Result<store::AssetId> id = reader.find_asset_by_path(path); id)
      return true;
    else if (id.error().code != ErrorCode::kNotFound)
      return fail(id.error());
  if (!std::filesystem::exists(std::filesystem::symlink_status(target, ignored))) return false;
  // A file in an analyzed folder may be a photo that was not analyzed yet.
  IE_TRY(const store::CatalogueStatus status, reader.status());
  return std::ranges::any_of(status.roots, [&](const std::string& root) {
    const std::string below = root.ends_with('/') ? root : root + "/";
    return target == root || target.starts_with(below) || real == root || real.starts_with(below);
  });
}

}  // namespace

Status check_target(const store::CatalogueReader& reader, const std::string& target) {
  IE_TRY(const bool is_ours, is_in_library(reader, target));
  if (!is_ours) return {};
  return fail(ErrorCode::kInvalidArgument,
              printable(target) + " belongs to the library, which is never written to: name another file");
}

Status check_new(const store::CatalogueReader& reader, const std::string& target) {
  IE_CHECK(check_target(reader, target));
  return check_absent(target);
}

Status check_absent(const std::string& target) {
  std::error_code ignored;
  if (!std::filesystem::exists(std::filesystem::symlink_status(target, ignored))) return {};
  return fail(ErrorCode::kInvalidArgument, printable(target) + " exists: name another file, or remove it");
}

}  // namespace image_engine::cli
