#include "search/photo_facts.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <unordered_map>

#include "core/json.h"
#include "vision/hashes.h"

namespace image_engine::search {
namespace {

// Text of that name; empty without it.
std::string text_of(const nlohmann::json& record, const char* name) {
  const bool has = record.is_object() && record.contains(name) && record[name].is_string();
  return has ? record[name].get<std::string>() : std::string();
}

std::optional<vision::Quality> quality_of(const std::string& data) {
  const nlohmann::json json = parse_json(data);
  if (!json.is_object()) return std::nullopt;
  const nlohmann::json fields = vision::Quality();
  for (const auto& [name, value] : fields.items())
    if (!json.contains(name) || !json[name].is_number() || json[name] < 0 || json[name] > 1) return std::nullopt;
  try {
    return json.get<vision::Quality>();
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

// Whether a record has this flag.
bool has_flag(const nlohmann::json& record, const char* flag) {
  return record.is_object() && record.contains(flag) && record[flag] == true;
}

using DataByAsset = std::unordered_map<store::AssetId, std::string>;

Result<DataByAsset> data_of(const store::CatalogueReader& catalogue, const store::StageKey& key) {
  IE_TRY(std::vector<store::StageData> rows, catalogue.stage_data(key));
  DataByAsset data;
  for (store::StageData& row : rows) data.emplace(row.asset, std::move(row.data));
  return data;
}

// The clip of a Live Photo belongs to the still beside it, not to copies of that elsewhere.
std::string clip_beside(const store::AssetRecord& record, const std::string& path) {
  const auto stem = [](const std::string& name) { return name.substr(0, name.rfind('.')); };
  for (const store::Record& one : record.records) {
    if (one.key.stage != store::kLivePhotoStage || one.key.model != store::kLiveStill) continue;
    const nlohmann::json json = parse_json(one.data);
    const nlohmann::json::json_pointer pointer("/live_photo/clip/path");
    const std::string clip =
        json.contains(pointer) && json[pointer].is_string() ? json[pointer].get<std::string>() : "";
    if (record.files.size() == 1 || stem(clip) == stem(path)) return clip;
  }
  return {};
}

}  // namespace

Result<std::vector<Photo>> load_photos(const store::CatalogueReader& catalogue, const DuplicateOptions& options) {
  IE_TRY(std::vector<store::AssetBrief> briefs, catalogue.briefs(MediaKind::kPhoto));
  IE_TRY(const DataByAsset hashes, data_of(catalogue, options.hash_stage));
  IE_TRY(const DataByAsset qualities, data_of(catalogue, options.quality_stage));
  IE_TRY(const DataByAsset thumbnails, data_of(catalogue, options.thumbnail_stage));
  std::vector<Photo> photos;
  for (store::AssetBrief& brief : briefs) {
    const auto hash = hashes.find(brief.id);
    if (hash == hashes.end()) continue;
    const nlohmann::json hashes_record = parse_json(hash->second);
    const auto phash = vision::from_hex(text_of(hashes_record, "phash"));
    const auto colours = vision::colours_from_hex(text_of(hashes_record, "colours"));
    if (!phash || !colours) continue;
    Photo& photo = photos.emplace_back(Photo{std::move(brief), *phash, *colours});
    if (const auto quality = qualities.find(photo.brief.id); quality != qualities.end())
      photo.quality = quality_of(quality->second);
    if (const auto thumbnail = thumbnails.find(photo.brief.id); thumbnail != thumbnails.end()) {
      const nlohmann::json record = parse_json(thumbnail->second);
      photo.decoded = record.is_object();
      photo.partial = has_flag(record, "partial");
      photo.animated = has_flag(record, "animated");
    }
  }
  return photos;
}

vision::Candidate candidate_of(const store::AssetRecord& record, const std::map<std::string, Metadata>& metadata,
                               const store::FileObservation& file) {
  vision::Candidate c;
  if (const auto found = metadata.find(file.path); found != metadata.end()) c.metadata = found->second;
  c.bytes = static_cast<std::uint64_t>(file.stamp.size);
  c.rating = record.user_rating ? record.user_rating : c.metadata.rating;
  c.words = c.metadata.keywords;
  c.words.insert(c.words.end(), record.labels.begin(), record.labels.end());
  c.title = record.user_title;
  c.clip = c.metadata.motion_photo ? file.path : clip_beside(record, file.path);
  c.has_sidecar = file.sidecar.has_value();
  return c;
}

Result<vision::Candidate> candidate_of(const store::CatalogueReader& catalogue, const Photo& photo) {
  IE_TRY(const store::AssetRecord record, catalogue.asset_record(photo.brief.id));
  IE_TRY(const auto metadata, catalogue.file_metadata(photo.brief.id));
  const auto file =
      std::ranges::find(record.files, photo.brief.path, [](const store::KnownFile& one) { return one.seen.path; });
  if (file == record.files.end())
    return fail(ErrorCode::kInternal, "catalogue: " + photo.brief.path + " is no file of its asset");
  vision::Candidate c = candidate_of(record, metadata, file->seen);
  c.metadata.format = photo.brief.format;
  c.metadata.width = static_cast<std::uint32_t>(std::clamp<std::int64_t>(photo.brief.width, 0, UINT32_MAX));
  c.metadata.height = static_cast<std::uint32_t>(std::clamp<std::int64_t>(photo.brief.height, 0, UINT32_MAX));
  c.quality = photo.quality;
  c.is_partial = photo.partial || !photo.decoded;
  return c;
}

vision::Candidate both_of(vision::Candidate raw, const vision::Candidate& jpeg) {
  const auto fill = [](auto& value, const auto& other) {
    if (value == std::remove_cvref_t<decltype(value)>{}) value = other;
  };
  raw.rating = std::max(raw.rating, jpeg.rating);
  raw.words.insert(raw.words.end(), jpeg.words.begin(), jpeg.words.end());
  raw.bytes = std::max(raw.bytes, jpeg.bytes);
  raw.has_sidecar |= jpeg.has_sidecar;
  raw.is_partial &= jpeg.is_partial;
  fill(raw.title, jpeg.title);
  fill(raw.clip, jpeg.clip);
  fill(raw.metadata.taken, jpeg.metadata.taken);
  fill(raw.metadata.gps, jpeg.metadata.gps);
  for (std::string Metadata::*text : {&Metadata::model, &Metadata::title, &Metadata::description, &Metadata::creator,
                                      &Metadata::copyright, &Metadata::label})
    fill(raw.metadata.*text, jpeg.metadata.*text);
  return raw;
}

}  // namespace image_engine::search
