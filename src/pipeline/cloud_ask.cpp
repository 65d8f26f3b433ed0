#include "pipeline/cloud_ask.h"

#include <unistd.h>

#include <array>

#include "core/file.h"
#include "core/text.h"
#include "pipeline/analyze.h"
#include "pipeline/cloud_picture.h"
#include "types/asset_name.h"
#include "types/media_format.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {
namespace {

bool is_video(int fd) {
  std::array<std::byte, kSniffBytes> head{};
  const ssize_t count = ::pread(fd, head.data(), head.size(), 0);
  return count > 0 && media_kind(sniff_format({head.data(), static_cast<std::size_t>(count)})) == MediaKind::kVideo;
}

Result<worker::Hashes> content_of(worker::Pool& pool, UniqueFd media) {
  IE_TRY(const worker::DecodedFile file, worker::decode_file(pool, std::move(media), {.operations = worker::kHash}));
  return *file.reply().hashes;
}

// None if nothing is held back, or if there is no catalogue yet.
Result<std::optional<store::CatalogueReader>> reader_for(const CloudPrivacyConfig& wanted,
                                                         const std::string& catalogue) {
  if (wanted.exclude.empty() && !wanted.exclude_people) return std::nullopt;
  Result<store::CatalogueReader> reader = store::CatalogueReader::open(catalogue);
  if (!reader && reader.error().code == ErrorCode::kNotFound) return std::nullopt;
  if (!reader) return fail(std::move(reader).error());
  return std::optional(std::move(*reader));
}

}  // namespace

nvidia::KeyFiles key_files(const std::string& catalogue, std::string named, std::vector<std::string> pictures) {
  nvidia::KeyFiles files{std::move(named), std::move(pictures)};
  if (!files.named.empty()) return files;
  const Result<store::CatalogueReader> reader = store::CatalogueReader::open(catalogue);
  if (!reader) return files;
  if (const Result<store::CatalogueStatus> status = reader->status())
    files.pictures.insert(files.pictures.end(), status->roots.begin(), status->roots.end());
  return files;
}

PickedPhotos::PickedPhotos(CloudPrivacy privacy, std::optional<store::CatalogueReader> reader,
                           std::unique_ptr<worker::Pool> pool)
    : privacy_(std::move(privacy)), reader_(std::move(reader)), pool_(std::move(pool)) {}

Result<PickedPhotos> PickedPhotos::open(const Config& config, const std::string& catalogue) {
  const CloudPrivacyConfig& wanted = config.nvidia_build.privacy;
  IE_TRY(std::optional<store::CatalogueReader> reader, reader_for(wanted, catalogue));
  std::vector<std::string> roots;
  if (reader) {
    IE_TRY(store::CatalogueStatus status, reader->status());
    roots = std::move(status.roots);
  }
  IE_TRY(CloudPrivacy privacy,
         CloudPrivacy::create(config, models::find_install_paths(config.models.folder), std::move(roots)));
  worker::PoolOptions options = pool_options(config);
  options.workers = 1;
  IE_TRY(std::unique_ptr<worker::Pool> pool, worker::Pool::create(options));
  return PickedPhotos(std::move(privacy), std::move(reader), std::move(pool));
}

Result<nvidia::Picture> PickedPhotos::show(const std::string& path, const nvidia::Endpoint& endpoint) {
  Result<nvidia::Picture> picture = make(path, endpoint);
  if (!picture) return fail(picture.error().code, printable(path) + ": " + picture.error().message);
  return picture;
}

Result<nvidia::Picture> PickedPhotos::make(const std::string& path, const nvidia::Endpoint& endpoint) {
  IE_TRY(UniqueFd media, open_regular(path));
  store::FileObservation file;
  file.path = path;
  IE_TRY(file.stamp, store::stamp_of(media.get()));
  if (is_video(media.get()))
    return fail(ErrorCode::kUnsupported, "is a video; cloud models take photos: export a frame of it first");
  IE_TRY(const worker::Hashes content, content_of(*pool_, std::move(media)));
  IE_CHECK(check_privacy(file, content.coded));
  IE_TRY(nvidia::Picture picture, cloud_picture(*pool_, file, endpoint));
  picture.content = content.asset;
  return picture;
}

// Files and records of this picture by whatever orientation.
Status PickedPhotos::add_known(const Hash128& coded, store::AssetRecord& all) const {
  for (const Hash128& name : asset_names(coded)) {
    const Result<store::AssetId> asset = reader_->find_asset_by_hash(name);
    if (!asset && asset.error().code == ErrorCode::kNotFound) continue;
    if (!asset) return fail(asset.error());
    IE_TRY(const store::AssetRecord one, reader_->asset_record(*asset));
    all.files.insert(all.files.end(), one.files.begin(), one.files.end());
    all.records.insert(all.records.end(), one.records.begin(), one.records.end());
  }
  return {};
}

// Checks all files that the catalogue has of this picture, and the selected one.
Status PickedPhotos::check_privacy(const store::FileObservation& file, const Hash128& coded) {
  store::AssetRecord record;
  if (reader_) IE_CHECK(add_known(coded, record));
  record.files.emplace_back().seen.path = file.path;
  CloudPrivacy::PersonResult result{privacy_.check(record)};
  if (result.held == Held::kNo) result = privacy_.check_for_people(*pool_, file, privacy_.person_detectors(record));
  switch (result.held) {
    case Held::kNo:
      return {};
    case Held::kPossiblePeople:
      return fail(ErrorCode::kPermission, "is not sent: it may show people (nvidia_build.privacy.exclude_people)");
    case Held::kCheckFailed:
      return fail(
          result.error.code,
          "is not sent: the check for people failed (nvidia_build.privacy.exclude_people): " + result.error.message);
    case Held::kExcluded:
      return fail(ErrorCode::kPermission, "is not sent: excluded by nvidia_build.privacy.exclude");
    case Held::kPeople:
      return fail(ErrorCode::kPermission, "is not sent: people are in it (nvidia_build.privacy.exclude_people)");
    case Held::kUnchecked:
      break;
  }
  return fail(ErrorCode::kPermission,
              "is not sent: it was not checked for people (nvidia_build.privacy.exclude_people): run image-engine "
              "analyze with a detector of people installed (image-engine models pull)");
}

}  // namespace image_engine::pipeline
