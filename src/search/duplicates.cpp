#include "search/duplicates.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "search/photo_facts.h"
#include "search/removable.h"
#include "search/video_duplicates.h"
#include "vision/best_of.h"
#include "vision/hashes.h"
#include "vision/near_duplicates.h"

namespace image_engine::search {
namespace {

// Below this contrast (docs/quality.md) a picture shows almost nothing, and its hash only reflects noise.
constexpr double kBlankContrast = 0.05;
constexpr char kAnotherShot[] = "another shot";

// All but the best by path.
void sort_others(DuplicateGroup& group) {
  if (group.files.empty()) return;
  std::sort(group.files.begin() + 1, group.files.end(),
            [](const DuplicateFile& a, const DuplicateFile& b) { return a.path < b.path; });
}

DuplicateFile photo_file(const Photo& photo, const Photo& best) {
  DuplicateFile file;
  file.asset = photo.brief.id;
  file.path = photo.brief.path;
  file.bytes = photo.brief.bytes;
  file.width = photo.brief.width;
  file.height = photo.brief.height;
  file.distance = vision::distance(photo.phash, best.phash);
  file.partial = photo.partial || !photo.decoded;  // a file that may be truncated must not make another one removable
  file.animated = photo.animated || !photo.decoded;
  return file;
}

// Shots of one burst have one size; a copy that kept its camera and time mostly has another.
bool are_shots(const Photo& a, const Photo& b, const DuplicateOptions& options) {
  if (!a.brief.taken_seconds || !b.brief.taken_seconds || a.brief.camera.empty()) return false;
  const auto apart = static_cast<double>(std::abs(*a.brief.taken_seconds - *b.brief.taken_seconds));
  return a.brief.camera == b.brief.camera && apart <= options.burst_seconds && a.brief.width == b.brief.width &&
         a.brief.height == b.brief.height;
}

Result<DuplicateGroup> make_group(const store::CatalogueReader& catalogue, DuplicateKind kind,
                                  const std::vector<const Photo*>& members, const DuplicateOptions& options) {
  std::vector<vision::Candidate> candidates;
  for (const Photo* photo : members) {
    IE_TRY(candidates.emplace_back(), candidate_of(catalogue, *photo));
  }
  const vision::Choice choice = vision::choose_best(candidates);
  const Photo& best = *members[choice.best];
  DuplicateGroup group{kind, {photo_file(best, best)}, choice.reasons};
  for (size_t i = 0; i < members.size(); ++i) {
    if (i == choice.best) continue;
    DuplicateFile& file = group.files.emplace_back(photo_file(*members[i], best));
    file.advantages = vision::advantages(candidates[i], candidates[choice.best]);
    file.is_worse = vision::is_really_better(candidates[choice.best], candidates[i]);
    if (kind == DuplicateKind::kBurst || are_shots(*members[i], best, options)) file.advantages = {kAnotherShot};
  }
  sort_others(group);
  return group;
}

// A file of an exact group, and what it has.
struct Copy {
  store::KnownFile file;
  vision::Candidate candidate;
};

// The picture is the same: what a person and a camera wrote decides, then age.
std::vector<std::string> exact_reasons(const Copy& best, const Copy& next) {
  std::vector<std::string> reasons = vision::advantages(best.candidate, next.candidate);
  if (reasons.empty() && best.file.seen.stamp.mtime_ns < next.file.seen.stamp.mtime_ns) reasons.emplace_back("older");
  if (reasons.empty()) reasons.emplace_back(vision::kNoBetter);
  return reasons;
}

// The files of the asset, the best first; each file by one of its names.
Result<std::vector<Copy>> copies_of(const store::CatalogueReader& catalogue, store::AssetId asset, Disk& disk,
                                    std::unordered_set<std::string>& links) {
  IE_TRY(store::AssetRecord record, catalogue.asset_record(asset));
  IE_TRY(const auto metadata, catalogue.file_metadata(asset));
  std::erase_if(record.files, [](const store::KnownFile& file) { return store::is_away(file.state); });
  std::vector<Copy> copies;
  for (const store::KnownFile& file : record.files) {
    disk.analyzed[file.seen.path] = file.seen.stamp;
    copies.push_back({file, candidate_of(record, metadata, file.seen)});
  }
  std::ranges::sort(copies, {}, [&](const Copy& copy) {
    const store::FileObservation& seen = copy.file.seen;
    return std::tuple(copy.file.state != store::FileState::kPresent, disk.identities.is_link(seen.path),
                      -vision::merit(copy.candidate), seen.stamp.mtime_ns, seen.path);
  });
  drop_other_names(
      copies, disk, [](const Copy& copy) -> const std::string& { return copy.file.seen.path; },
      [&](const Copy& copy) { links.insert(copy.file.seen.path); });
  return copies;
}

// The first of the copies before `file` with the same bytes.
std::string twin_of(const std::vector<Copy>& copies, const Copy& file) {
  for (const Copy& other : copies) {
    if (&other == &file) break;
    if (other.file.seen.stamp.size == file.file.seen.stamp.size &&
        same_bytes(other.file.seen.path, file.file.seen.path) == true)
      return other.file.seen.path;
  }
  return {};
}

Result<DuplicateGroup> exact_group(const store::CatalogueReader& catalogue, const store::AssetBrief& brief,
                                   const DuplicateOptions& options, Disk& disk) {
  std::unordered_set<std::string> links;
  IE_TRY(const std::vector<Copy> copies, copies_of(catalogue, brief.id, disk, links));
  DuplicateGroup group{DuplicateKind::kExact, {}, {}};
  for (const Copy& copy : copies) {
    const store::FileObservation& seen = copy.file.seen;
    DuplicateFile& entry = group.files.emplace_back();
    entry.asset = brief.id;
    entry.path = seen.path;
    entry.hard_link = links.contains(seen.path);
    entry.bytes = seen.stamp.size;
    entry.width = brief.width;
    entry.height = brief.height;
    entry.has_sidecar = seen.sidecar.has_value();
    if (&copy != &copies.front()) entry.advantages = vision::advantages(copy.candidate, copies.front().candidate);
    if (!options.verify) continue;
    entry.same_bytes = same_bytes(copies.front().file.seen.path, seen.path);
    entry.twin = twin_of(copies, copy);
  }
  if (copies.size() > 1) group.reasons = exact_reasons(copies[0], copies[1]);
  sort_others(group);
  return group;
}

// The near group of each photo.
using NearGroup = std::unordered_map<const Photo*, size_t>;

Result<std::vector<DuplicateGroup>> near_groups(const store::CatalogueReader& catalogue,
                                                const std::vector<Photo>& photos, const DuplicateOptions& options,
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
    IE_TRY(groups.emplace_back(), make_group(catalogue, DuplicateKind::kNear, group, options));
  }
  return groups;
}

// One camera's photos in the order they were taken: a burst continues while the next photo follows soon and still
// resembles the first.
using Shots = std::vector<const Photo*>;
std::vector<Shots> bursts(const std::vector<Photo>& photos, const DuplicateOptions& options) {
  Shots ordered;
  for (const Photo& photo : photos)
    if (photo.brief.taken_seconds && !photo.brief.camera.empty()) ordered.push_back(&photo);
  std::sort(ordered.begin(), ordered.end(), [](const Photo* a, const Photo* b) {
    return std::tie(a->brief.camera, *a->brief.taken_seconds, a->brief.path) <
           std::tie(b->brief.camera, *b->brief.taken_seconds, b->brief.path);
  });
  std::vector<Shots> found;
  for (const Photo* photo : ordered) {
    const bool follows = !found.empty() && found.back().back()->brief.camera == photo->brief.camera &&
                         static_cast<double>(*photo->brief.taken_seconds - *found.back().back()->brief.taken_seconds) <=
                             options.burst_seconds &&
                         vision::distance(photo->phash, found.back().front()->phash) <= options.burst_distance;
    if (!follows) found.emplace_back();
    found.back().push_back(photo);
  }
  std::erase_if(found, [](const Shots& shots) { return shots.size() < 2; });
  return found;
}

Result<std::vector<DuplicateGroup>> burst_groups(const store::CatalogueReader& catalogue,
                                                 const std::vector<Photo>& photos, const DuplicateOptions& options,
                                                 const NearGroup& near) {
  const auto are_near = [&](const Shots& shots) {
    const auto first = near.find(shots.front());
    return first != near.end() && std::ranges::all_of(shots, [&](const Photo* photo) {
             const auto other = near.find(photo);
             return other != near.end() && other->second == first->second;
           });
  };
  std::vector<DuplicateGroup> groups;
  for (const Shots& shots : bursts(photos, options)) {
    if (are_near(shots)) continue;
    IE_TRY(groups.emplace_back(), make_group(catalogue, DuplicateKind::kBurst, shots, options));
  }
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
  IE_TRY(std::vector<DuplicateGroup> alike, near_groups(catalogue, photos, options, near));
  append(groups, std::move(alike));
  IE_TRY(std::vector<DuplicateGroup> shots, burst_groups(catalogue, photos, options, near));
  append(groups, std::move(shots));
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
