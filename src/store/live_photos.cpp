// Live Photos: a still and a clip of a few seconds that belong together. Both assets keep a record that names the other
// one's file; the clip is no result of its own while its still is there.
#include "store/live_photos.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/json.h"
#include "store/asset_json.h"
#include "store/rows.h"
#include "store/writer_state.h"

namespace image_engine::store {
namespace {

constexpr std::string_view kLivePhotoVersion = "1";
constexpr double kShortestClip = 1.5, kLongestClip = 4;  // seconds
constexpr double kSameTime = 2;                          // seconds between the captures of both

struct LiveFile {
  AssetId asset = 0;
  std::string path;
  Metadata metadata;
};

std::optional<LiveFile> live_file(const Query& row) {
  auto facts = facts_from_json(row.bytes(2));
  if (!facts) return std::nullopt;
  return LiveFile{row.integer(0), row.bytes(1), std::move(facts->metadata)};
}

// "/a/IMG_1.MOV" → "/a/IMG_1."; empty without an extension.
std::string stem_of(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos || path.find('/', dot) != std::string::npos ? "" : path.substr(0, dot + 1);
}

// Seconds between two captures. A video's time may be UTC without the zone in which a photo's clock was: then all but
// whole quarters of an hour counts.
double seconds_apart(const CaptureTime& a, const CaptureTime& b) {
  const auto apart = static_cast<double>(a.local_seconds() - b.local_seconds());
  if (a.offset_minutes && b.offset_minutes) return std::abs(apart - (*a.offset_minutes - *b.offset_minutes) * 60.0);
  if (!a.offset_minutes && !b.offset_minutes) return std::abs(apart);
  constexpr double kQuarter = 900, kFarthest = 14 * 3600;
  if (a.offset_minutes.value_or(0) != 0 || b.offset_minutes.value_or(0) != 0 || std::abs(apart) > kFarthest + kSameTime)
    return std::abs(apart);
  return std::abs(apart - std::round(apart / kQuarter) * kQuarter);
}

// For files of the same folder and stem. Identifiers decide where both have one.
bool are_pair(const Metadata& still, const Metadata& clip) {
  if (!still.content_identifier.empty() && !clip.content_identifier.empty())
    return still.content_identifier == clip.content_identifier;
  const double duration = clip.video ? clip.video->duration : 0;
  const auto has_time = [](const Metadata& m) { return m.taken && m.taken->precision == TimePrecision::kSecond; };
  return duration >= kShortestClip && duration <= kLongestClip && has_time(still) && has_time(clip) &&
         seconds_apart(*still.taken, *clip.taken) <= kSameTime;
}

#define IE_PRESENT_FILES                                                                                        \
  "SELECT f.asset_id, f.path, r.data FROM files f JOIN records r ON r.file_id = f.id AND r.stage = 'metadata' " \
  "WHERE f.state NOT IN ('missing', 'excluded') "

std::vector<LiveFile> clips(Connection& c) {
  std::vector<LiveFile> found;
  for (auto row = c.query(IE_PRESENT_FILES "AND f.kind = 'video' ORDER BY f.path"); row.next();)
    if (auto clip = live_file(row)) found.push_back(std::move(*clip));
  return found;
}

std::optional<LiveFile> still_beside(Connection& c, const LiveFile& clip) {
  const std::string from = stem_of(clip.path);
  if (from.empty()) return std::nullopt;
  std::string to = from;
  ++to.back();
  auto row = c.query(IE_PRESENT_FILES "AND f.kind = 'photo' AND f.path >= ? AND f.path < ? ORDER BY f.path", Blob{from},
                     Blob{to});
  while (row.next())
    if (auto still = live_file(row); still && stem_of(still->path) == from && are_pair(still->metadata, clip.metadata))
      return still;
  return std::nullopt;
}

std::map<std::string, LiveFile> stills_by_identifier(Connection& c) {
  std::map<std::string, LiveFile> found;
  auto row =
      c.query(IE_PRESENT_FILES "AND f.kind = 'photo' AND r.data LIKE '%\"content_identifier\"%' ORDER BY f.path");
  while (row.next())
    if (auto still = live_file(row); still && !still->metadata.content_identifier.empty())
      found.try_emplace(still->metadata.content_identifier, std::move(*still));
  return found;
}

#undef IE_PRESENT_FILES

struct LiveRecord {
  std::string role, data;
  bool operator==(const LiveRecord&) const = default;
};

std::string naming(const char* other, const std::string& path) {
  nlohmann::json file = nlohmann::json::object();
  put_path(file, path);
  nlohmann::json out;
  out["live_photo"][other] = std::move(file);
  return json_text(out);
}

// A clip whose other copies stand alone is a video like others.
std::map<AssetId, LiveRecord> find_pairs(Connection& c) {
  std::map<AssetId, LiveRecord> wanted;
  std::set<AssetId> alone;
  std::optional<std::map<std::string, LiveFile>> by_identifier;
  for (const LiveFile& clip : clips(c)) {
    std::optional<LiveFile> still = still_beside(c, clip);
    if (const std::string& identifier = clip.metadata.content_identifier; !still && !identifier.empty()) {
      if (!by_identifier) by_identifier = stills_by_identifier(c);
      if (const auto found = by_identifier->find(identifier); found != by_identifier->end()) still = found->second;
    }
    if (!still) {
      alone.insert(clip.asset);
      continue;
    }
    wanted.try_emplace(clip.asset, LiveRecord{std::string(kLiveClip), naming("still", still->path)});
    wanted.try_emplace(still->asset, LiveRecord{std::string(kLiveStill), naming("clip", clip.path)});
  }
  std::erase_if(wanted,
                [&](const auto& entry) { return entry.second.role == kLiveClip && alone.contains(entry.first); });
  return wanted;
}

}  // namespace

Status FileWriter::pair_live_photos() {
  return state_->change([&] {
    Connection& c = state_->connection;
    std::map<AssetId, LiveRecord> wanted = find_pairs(c);
    std::vector<AssetId> changed;
    for (auto row = c.query("SELECT asset_id, model, data FROM records WHERE stage = 'live_photo'"); row.next();) {
      const auto found = wanted.find(row.integer(0));
      if (found != wanted.end() && found->second == LiveRecord{row.bytes(1), row.bytes(2)})
        wanted.erase(found);
      else
        changed.push_back(row.integer(0));
    }
    for (const AssetId asset : changed) {
      c.run("DELETE FROM records WHERE asset_id = ? AND stage = 'live_photo'", asset);
      state_->dirty.insert(asset);
    }
    for (const auto& [asset, record] : wanted) {
      c.run(
          "INSERT INTO records(asset_id, stage, model, version, params, device, precision, data, created) "
          "VALUES(?, 'live_photo', ?, ?, '', 'cpu', '', ?, ?)",
          asset, record.role, kLivePhotoVersion, record.data, utc_now());
      state_->dirty.insert(asset);
    }
  });
}

bool is_live_clip(Connection& connection, AssetId asset) {
  return connection.integer("SELECT count(*) FROM records WHERE asset_id = ? AND stage = 'live_photo' AND model = ?",
                            asset, kLiveClip) != 0;
}

}  // namespace image_engine::store
