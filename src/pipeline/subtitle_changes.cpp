#include "pipeline/subtitle_changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/hash.h"
#include "core/json.h"

namespace image_engine::pipeline {
namespace {

store::StageKey sidecar_key() { return {"subtitles", "", "1", ""}; }

// Equal for the same path, size and time. A path is bytes, which JSON cannot hold.
std::string identity_of_sidecar(const scan::SubtitleSidecar& sidecar) {
  return hash128(fmt::format("{}\n{}\n{}", sidecar.size, sidecar.mtime_ns, sidecar.path)).hex();
}

struct RememberedSidecar {
  store::FileId file = 0;
  std::string identity;
};

Result<std::unordered_map<store::AssetId, RememberedSidecar>> remembered_sidecars(Run& run) {
  const std::lock_guard lock(run.reader_mutex);
  IE_TRY(const std::vector<store::StageData> records, run.reader.stage_data(sidecar_key()));
  std::unordered_map<store::AssetId, RememberedSidecar> remembered;
  for (const store::StageData& record : records)
    if (const nlohmann::json data = parse_json(record.data); data.is_object())
      remembered[record.asset] = {data.value("file", store::FileId{0}), data.value("identity", "")};
  return remembered;
}

// The files of this run that were read, by id.
Result<std::map<store::FileId, store::KnownFile>> files_with_sound(Run& run) {
  std::map<store::FileId, store::KnownFile> files;
  for (const std::string& root : run.options.paths) {
    IE_TRY(std::vector<store::KnownFile> known, run.writer.known_files(root));
    for (store::KnownFile& file : known) {
      const bool has_sound = file.seen.kind == MediaKind::kVideo || file.seen.kind == MediaKind::kAudio;
      if (has_sound && file.hashed && file.state == store::FileState::kPresent) files.emplace(file.id, std::move(file));
    }
  }
  return files;
}

// Whether the asset still has that file.
Result<bool> has_file(Run& run, store::AssetId asset, store::FileId file) {
  IE_TRY(const std::vector<store::KnownFile> files, run.writer.files_of(asset));
  return std::ranges::any_of(files,
                             [&](const store::KnownFile& one) { return one.id == file && !store::is_away(one.state); });
}

}  // namespace

Result<SubtitleSidecars> find_sidecars(Run& run, const std::string& language) {
  IE_TRY(const auto files, files_with_sound(run));
  IE_TRY(const auto remembered, remembered_sidecars(run));
  SubtitleSidecars sidecars;
  std::unordered_set<store::AssetId> assets, unknown;
  scan::SubtitleFolders folders;
  for (const auto& [id, file] : files) {
    assets.insert(file.asset);
    Result<std::optional<scan::SubtitleSidecar>> found = folders.find(file.seen.path, language);
    if (!found) unknown.insert(file.asset);
    if (found && *found) sidecars.now.try_emplace(file.asset, AssetSidecar{id, std::move(**found)});
  }
  for (const store::AssetId asset : assets) {
    const auto before = remembered.find(asset);
    const auto now = sidecars.now.find(asset);
    const std::string was = before == remembered.end() ? "" : before->second.identity;
    const std::string is = now == sidecars.now.end() ? "" : identity_of_sidecar(now->second.sidecar);
    if (was == is || unknown.contains(asset)) continue;
    if (!was.empty() && !files.contains(before->second.file)) {
      IE_TRY(const bool is_elsewhere, has_file(run, asset, before->second.file));
      if (is_elsewhere) continue;
    }
    sidecars.changed.insert(asset);
  }
  return sidecars;
}

Status remember_sidecar(store::RecordWriter& writer, store::AssetId asset, const std::optional<AssetSidecar>& sidecar) {
  if (!sidecar) return writer.drop_record(asset, sidecar_key());
  store::Record record;
  record.key = sidecar_key();
  record.device = "cpu";
  record.data = json_text(nlohmann::json{{"file", sidecar->file}, {"identity", identity_of_sidecar(sidecar->sidecar)}});
  return writer.put_record(asset, record);
}

}  // namespace image_engine::pipeline
