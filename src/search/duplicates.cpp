#include "search/duplicates.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <span>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "core/file.h"
#include "core/json.h"
#include "search/video_duplicates.h"
#include "vision/best_of.h"
#include "vision/hashes.h"
#include "vision/near_duplicates.h"

namespace image_engine::search {
namespace {

// Below this contrast (docs/quality.md) a picture shows almost nothing, and its hash only reflects noise.
constexpr double kBlankContrast = 0.05;

// What is known about a photo for comparison.
struct Photo {
  store::AssetBrief brief;
  std::uint64_t phash = 0;
  std::optional<vision::Quality> quality;
  bool decoded = false, partial = false, animated = false;  // by its thumbnail's record

  [[nodiscard]] vision::Candidate candidate() const {
    vision::Candidate c;
    c.pixels = static_cast<std::uint64_t>(brief.width) * static_cast<std::uint64_t>(brief.height);
    c.quality = quality;
    c.rating = brief.rating;
    c.has_gps = brief.has_gps;
    c.has_taken = brief.taken_seconds.has_value();
    c.raw = is_raw(brief.format);
    c.lossless = is_lossless(brief.format);
    c.bytes = static_cast<std::uint64_t>(brief.bytes);
    return c;
  }
  [[nodiscard]] DuplicateFile file(std::uint64_t best_hash) const {
    DuplicateFile file;
    file.asset = brief.id;
    file.path = brief.path;
    file.bytes = brief.bytes;
    file.width = brief.width;
    file.height = brief.height;
    file.distance = vision::distance(phash, best_hash);
    file.partial = partial || !decoded;  // a file that may be truncated must not make another one removable
    file.animated = animated || !decoded;
    return file;
  }
};

std::optional<std::uint64_t> phash_of(const std::string& data) {
  const nlohmann::json json = parse_json(data);
  if (!json.is_object() || !json.contains("phash") || !json["phash"].is_string()) return std::nullopt;
  return vision::from_hex(json["phash"].get<std::string>());
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

// Photos that have a hash, by asset.
Result<std::vector<Photo>> load_photos(const store::CatalogueReader& catalogue, const DuplicateOptions& options) {
  IE_TRY(std::vector<store::AssetBrief> briefs, catalogue.briefs(MediaKind::kPhoto));
  IE_TRY(const std::vector<store::StageData> hashes, catalogue.stage_data(options.hash_stage));
  IE_TRY(const std::vector<store::StageData> qualities, catalogue.stage_data(options.quality_stage));
  IE_TRY(const std::vector<store::StageData> thumbnails, catalogue.stage_data(options.thumbnail_stage));
  std::unordered_map<store::AssetId, const std::string*> hash_data, quality_data, thumbnail_data;
  for (const store::StageData& row : thumbnails) thumbnail_data.emplace(row.asset, &row.data);
  for (const store::StageData& row : hashes) hash_data.emplace(row.asset, &row.data);
  for (const store::StageData& row : qualities) quality_data.emplace(row.asset, &row.data);
  std::vector<Photo> photos;
  for (store::AssetBrief& brief : briefs) {
    const auto data = hash_data.find(brief.id);
    if (data == hash_data.end()) continue;
    const std::optional<std::uint64_t> phash = phash_of(*data->second);
    if (!phash) continue;
    const auto quality = quality_data.find(brief.id);
    photos.push_back(
        {std::move(brief), *phash, quality == quality_data.end() ? std::nullopt : quality_of(*quality->second)});
    Photo& photo = photos.back();
    if (const auto thumbnail = thumbnail_data.find(photo.brief.id); thumbnail != thumbnail_data.end()) {
      const nlohmann::json record = parse_json(*thumbnail->second);
      photo.decoded = true;
      photo.partial = has_flag(record, "partial");
      photo.animated = has_flag(record, "animated");
    }
  }
  return photos;
}

// All but the best by path.
void sort_others(DuplicateGroup& group) {
  if (group.files.empty()) return;
  std::sort(group.files.begin() + 1, group.files.end(),
            [](const DuplicateFile& a, const DuplicateFile& b) { return a.path < b.path; });
}

DuplicateGroup make_group(DuplicateKind kind, const std::vector<const Photo*>& members) {
  // A truncated file is the best only among truncated ones.
  std::vector<const Photo*> eligible;
  std::ranges::copy_if(members, std::back_inserter(eligible), [](const Photo* photo) { return !photo->partial; });
  if (eligible.empty()) eligible = members;
  std::vector<vision::Candidate> candidates;
  for (const Photo* photo : eligible) candidates.push_back(photo->candidate());
  vision::Choice choice;
  if (eligible.size() > 1)
    choice = vision::choose_best(candidates);
  else
    choice.reasons.emplace_back("complete");
  const Photo& best = *eligible[choice.best];
  DuplicateGroup group{kind, {best.file(best.phash)}, choice.reasons};
  for (const Photo* photo : members)
    if (photo != &best) group.files.push_back(photo->file(best.phash));
  sort_others(group);
  return group;
}

// Fills `buffer` up to the file's end: the number of bytes read, or nullopt on an error. Not mapped: the file may
// shrink at any time.
std::optional<size_t> read_on(int fd, std::span<std::byte> buffer) {
  size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t got = ::read(fd, buffer.data() + size, buffer.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  return size;
}

// nullopt when one of them cannot be read.
std::optional<bool> same_bytes(const std::string& first, const std::string& second) {
  constexpr size_t kChunk = size_t{256} << 10;
  const Result<UniqueFd> a = open_regular(first), b = open_regular(second);
  if (!a || !b) return std::nullopt;
  std::vector<std::byte> left(kChunk), right(kChunk);
  while (true) {
    const std::optional<size_t> from_a = read_on(a->get(), left), from_b = read_on(b->get(), right);
    if (!from_a || !from_b) return std::nullopt;
    if (*from_a != *from_b || !std::equal(left.begin(), left.begin() + static_cast<ptrdiff_t>(*from_a), right.begin()))
      return false;
    if (*from_a < kChunk) return true;
  }
}

// Why one of several files with the same picture is kept; the picture itself does not matter.
std::vector<std::string> exact_reasons(const std::vector<store::KnownFile>& files) {
  std::vector<std::string> reasons;
  if (files[0].seen.sidecar && !files[1].seen.sidecar) reasons.emplace_back("has a sidecar");
  if (files[0].seen.stamp.mtime_ns < files[1].seen.stamp.mtime_ns) reasons.emplace_back("older");
  if (reasons.empty()) reasons.emplace_back("no better, but first");
  return reasons;
}

// A file's current state on disk, not the catalogue's.
struct Disk {
  FileIdentities identities;
  std::unordered_map<std::string, store::FileStamp> analyzed;  // of listed files

  // Whether it exists, is readable, and is unchanged since its analysis.
  [[nodiscard]] bool is_as_analyzed(const std::string& path) const {
    const auto stamp = analyzed.find(path);
    const Result<UniqueFd> file = open_regular(path);
    return stamp != analyzed.end() && file && store::stamp_of(file->get()) == stamp->second;
  }
};

// Drops each file that is another name of an earlier one. `linked` is called with each hard link to an earlier one.
template <typename File, typename PathOf, typename Linked>
void drop_other_names(std::vector<File>& files, Disk& disk, PathOf path_of, Linked linked) {
  std::unordered_map<std::string, std::string> first_name;
  std::erase_if(files, [&](File& file) {
    const std::string& path = path_of(file);
    const std::string identity = disk.identities.identity(path);
    if (identity.empty()) return false;
    const auto [first, added] = first_name.try_emplace(identity, path);
    if (added) return false;
    if (disk.identities.compare(first->second, path) == Sameness::kSame) return true;
    linked(file);
    return false;
  });
}

Result<DuplicateGroup> exact_group(const store::CatalogueReader& catalogue, const store::AssetBrief& brief,
                                   const DuplicateOptions& options, Disk& disk) {
  IE_TRY(store::AssetRecord record, catalogue.asset_record(brief.id));
  std::erase_if(record.files, [](const store::KnownFile& file) { return store::is_away(file.state); });
  const auto order = [&](const store::KnownFile& file) {
    return std::tuple(file.state != store::FileState::kPresent, disk.identities.is_link(file.seen.path),
                      !file.seen.sidecar, file.seen.stamp.mtime_ns, file.seen.path);
  };
  std::sort(record.files.begin(), record.files.end(),
            [&](const store::KnownFile& a, const store::KnownFile& b) { return order(a) < order(b); });
  DuplicateGroup group{DuplicateKind::kExact, {}, {}};
  std::unordered_set<std::string> links;
  drop_other_names(
      record.files, disk, [](const store::KnownFile& file) -> const std::string& { return file.seen.path; },
      [&](const store::KnownFile& file) { links.insert(file.seen.path); });
  for (const store::KnownFile& file : record.files) {
    const store::FileObservation& seen = file.seen;
    DuplicateFile& entry = group.files.emplace_back();
    entry.asset = brief.id;
    entry.path = seen.path;
    entry.hard_link = links.contains(seen.path);
    entry.bytes = seen.stamp.size;
    entry.width = brief.width;
    entry.height = brief.height;
    disk.analyzed[seen.path] = seen.stamp;
    if (options.verify) entry.same_bytes = same_bytes(record.files[0].seen.path, seen.path);
  }
  if (group.files.size() > 1) group.reasons = exact_reasons(record.files);
  sort_others(group);
  return group;
}

// The near group of each photo.
using NearGroup = std::unordered_map<const Photo*, size_t>;

std::vector<DuplicateGroup> near_groups(const std::vector<Photo>& photos, const DuplicateOptions& options,
                                        NearGroup& group_of) {
  std::vector<std::uint64_t> hashes;
  for (const Photo& photo : photos) hashes.push_back(photo.phash);
  std::vector<DuplicateGroup> groups;
  const vision::Pairs pairs = vision::all_pairs(hashes, options.max_distance, options.threads);
  for (const std::vector<std::uint32_t>& members : vision::groups(pairs, hashes)) {
    std::vector<const Photo*> group;
    for (const std::uint32_t index : members) {
      group.push_back(&photos[index]);
      group_of.emplace(&photos[index], groups.size());
    }
    groups.push_back(make_group(DuplicateKind::kNear, group));
  }
  return groups;
}

// One camera's photos in the order they were taken: a burst continues while the next photo follows soon and still
// resembles the first.
std::vector<DuplicateGroup> burst_groups(const std::vector<Photo>& photos, const DuplicateOptions& options,
                                         const NearGroup& near) {
  std::vector<const Photo*> ordered;
  for (const Photo& photo : photos)
    if (photo.brief.taken_to_the_second && !photo.brief.camera.empty()) ordered.push_back(&photo);
  std::sort(ordered.begin(), ordered.end(), [](const Photo* a, const Photo* b) {
    return std::tie(a->brief.camera, *a->brief.taken_seconds, a->brief.path) <
           std::tie(b->brief.camera, *b->brief.taken_seconds, b->brief.path);
  });
  std::vector<DuplicateGroup> groups;
  std::vector<const Photo*> burst;
  const auto all_near = [&] {
    const auto first = near.find(burst.front());
    return first != near.end() && std::all_of(burst.begin(), burst.end(), [&](const Photo* photo) {
             const auto other = near.find(photo);
             return other != near.end() && other->second == first->second;
           });
  };
  const auto finish = [&] {
    if (burst.size() > 1 && !all_near()) groups.push_back(make_group(DuplicateKind::kBurst, burst));
    burst.clear();
  };
  for (const Photo* photo : ordered) {
    const bool follows = !burst.empty() && burst.back()->brief.camera == photo->brief.camera &&
                         static_cast<double>(*photo->brief.taken_seconds - *burst.back()->brief.taken_seconds) <=
                             options.burst_seconds &&
                         vision::distance(photo->phash, burst.front()->phash) <= options.burst_distance;
    if (!follows) finish();
    burst.push_back(photo);
  }
  finish();
  return groups;
}

void append(std::vector<DuplicateGroup>& all, std::vector<DuplicateGroup> groups) {
  std::sort(groups.begin(), groups.end(), [](const DuplicateGroup& a, const DuplicateGroup& b) {
    return a.files.front().path < b.files.front().path;
  });
  std::move(groups.begin(), groups.end(), std::back_inserter(all));
}

}  // namespace

std::string_view duplicate_kind_name(DuplicateKind kind) {
  constexpr std::array<std::string_view, 4> kNames = {"exact", "near", "burst", "video"};
  return kNames[static_cast<size_t>(kind)];
}

namespace {

// Merges names of one file, and sets each file's relation to the best one.
void compare_files(DuplicateGroup& group, Disk& disk) {
  if (group.kind != DuplicateKind::kExact)  // whose files were listed so
    drop_other_names(
        group.files, disk, [](const DuplicateFile& file) -> const std::string& { return file.path; },
        [](DuplicateFile& file) { file.hard_link = true; });
  const std::string best = group.files.front().path;
  for (DuplicateFile& file : group.files) file.sameness = disk.identities.compare(best, file.path);
}

// Marks a file removable only once, and never one that another group keeps in place of a removable file.
void mark_removable(std::vector<DuplicateGroup>& groups, Disk& disk) {
  std::unordered_set<std::string> kept, offered;
  for (DuplicateGroup& group : groups) {
    const std::string best = disk.identities.identity(group.files.front().path);
    if (best.empty() || offered.contains(best) || !disk.is_as_analyzed(group.files.front().path)) continue;
    if (group.kind != DuplicateKind::kExact && group.files.front().partial) continue;
    for (DuplicateFile& file : std::span(group.files).subspan(1)) {
      if (group.kind != DuplicateKind::kExact && (file.animated || !file.advantages.empty())) continue;
      if (file.sameness != Sameness::kDistinct || !disk.is_as_analyzed(file.path)) continue;
      if (group.kind == DuplicateKind::kExact && file.same_bytes != true) continue;
      const std::string identity = disk.identities.identity(file.path);
      if (kept.contains(identity)) continue;
      file.removable = true;
      offered.insert(identity);
      kept.insert(best);
    }
  }
}

}  // namespace

Result<std::vector<DuplicateGroup>> find_duplicates(const store::CatalogueReader& catalogue,
                                                    const DuplicateOptions& options) {
  IE_TRY(const std::vector<store::AssetBrief> photo_briefs, catalogue.briefs(MediaKind::kPhoto));
  IE_TRY(std::vector<store::AssetBrief> video_briefs, catalogue.briefs(MediaKind::kVideo));
  IE_TRY(const std::vector<store::AssetBrief> sound_briefs, catalogue.briefs(MediaKind::kAudio));
  Disk disk;
  std::vector<DuplicateGroup> groups;
  std::unordered_map<store::AssetId, std::string> best_of_asset;
  std::vector<DuplicateGroup> exact;
  std::vector<store::AssetBrief> briefs = photo_briefs;
  briefs.insert(briefs.end(), video_briefs.begin(), video_briefs.end());
  briefs.insert(briefs.end(), sound_briefs.begin(), sound_briefs.end());
  for (const store::AssetBrief& brief : briefs) {
    disk.analyzed[brief.path] = {brief.bytes, brief.mtime_ns};
    if (brief.files < 2) continue;
    IE_TRY(DuplicateGroup group, exact_group(catalogue, brief, options, disk));
    if (!group.files.empty()) best_of_asset[brief.id] = group.files.front().path;
    if (group.files.size() > 1) exact.push_back(std::move(group));
  }
  append(groups, std::move(exact));
  IE_TRY(std::vector<Photo> photos, load_photos(catalogue, options));
  std::erase_if(photos, [](const Photo& photo) { return photo.quality && photo.quality->contrast < kBlankContrast; });
  for (Photo& photo : photos)
    if (const auto best = best_of_asset.find(photo.brief.id); best != best_of_asset.end())
      photo.brief.path = best->second;
  NearGroup near;
  append(groups, near_groups(photos, options, near));
  append(groups, burst_groups(photos, options, near));
  for (store::AssetBrief& brief : video_briefs)
    if (const auto best = best_of_asset.find(brief.id); best != best_of_asset.end()) brief.path = best->second;
  if (options.kinds.empty() || std::ranges::find(options.kinds, DuplicateKind::kVideo) != options.kinds.end()) {
    IE_TRY(std::vector<DuplicateGroup> videos, video_groups(catalogue, options, video_briefs));
    append(groups, std::move(videos));
  }
  std::erase_if(groups, [&](DuplicateGroup& group) {
    if (!options.kinds.empty() && std::ranges::find(options.kinds, group.kind) == options.kinds.end()) return true;
    compare_files(group, disk);
    return group.files.size() < 2;
  });
  if (options.verify) mark_removable(groups, disk);
  return groups;
}

Result<std::vector<SimilarPhoto>> find_similar(const store::CatalogueReader& catalogue,
                                               const store::StageKey& hash_stage,
                                               const std::vector<std::uint64_t>& query, int max_distance,
                                               std::size_t limit) {
  DuplicateOptions options;
  options.hash_stage = hash_stage;
  IE_TRY(const std::vector<Photo> photos, load_photos(catalogue, options));
  std::vector<std::uint64_t> hashes;
  for (const Photo& photo : photos) hashes.push_back(photo.phash);
  std::vector<SimilarPhoto> similar;
  for (const vision::Neighbour& found : vision::nearest(query, hashes, limit, max_distance)) {
    const store::AssetBrief& brief = photos[found.index].brief;
    similar.push_back({brief.id, brief.path, found.distance});
  }
  return similar;
}

}  // namespace image_engine::search
