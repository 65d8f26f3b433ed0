#include "search/duplicates.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "search/photo_facts.h"
#include "search/raw_pairs.h"
#include "search/removable.h"
#include "search/video_duplicates.h"
#include "vision/best_of.h"
#include "vision/hashes.h"
#include "vision/near_duplicates.h"
#include "vision/subject_look.h"

namespace image_engine::search {
namespace {

// Below this contrast (docs/quality.md) a picture shows almost nothing, and its hash only reflects noise.
constexpr double kBlankContrast = 0.05;
constexpr char kAnotherShot[] = "another shot", kAnotherPicture[] = "another picture", kOfAPair[] = "raw and JPEG";

// Photos by the path that stands for them.
using Shots = std::vector<const Photo*>;

// What the groups of photos are made of.
struct Library {
  const store::CatalogueReader& catalogue;
  const DuplicateOptions& options;
  std::vector<Photo> photos;
  RawPairs pairs;
  std::unordered_map<std::string, const Photo*> by_path;
};

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
  return file;
}

// Shots of one burst have one size; a copy that kept its camera and time mostly has another.
bool are_shots(const Photo& a, const Photo& b, const DuplicateOptions& options) {
  if (!a.brief.taken_seconds || !b.brief.taken_seconds || a.brief.camera.empty()) return false;
  const auto apart = static_cast<double>(std::abs(*a.brief.taken_seconds - *b.brief.taken_seconds));
  return a.brief.camera == b.brief.camera && apart <= options.burst_seconds && a.brief.width == b.brief.width &&
         a.brief.height == b.brief.height;
}

bool is_wanted(const DuplicateOptions& options, DuplicateKind kind) {
  return options.kinds.empty() || std::ranges::find(options.kinds, kind) != options.kinds.end();
}

// Of all files of photos.
Result<RawPairs> pairs_of(const store::CatalogueReader& catalogue, const std::vector<store::AssetBrief>& briefs) {
  if (std::ranges::none_of(briefs, [](const store::AssetBrief& brief) { return is_raw(brief.format); }))
    return RawPairs();
  std::unordered_map<store::AssetId, const store::AssetBrief*> by_asset;
  for (const store::AssetBrief& brief : briefs) by_asset.emplace(brief.id, &brief);
  IE_TRY(const std::vector<store::KnownFile> known, catalogue.known_files("/"));
  std::vector<PairFile> files;
  for (const store::KnownFile& file : known) {
    const auto brief = by_asset.find(file.asset);
    if (brief == by_asset.end() || store::is_away(file.state)) continue;
    const store::AssetBrief& of = *brief->second;
    files.push_back({file.seen.path, of.format, of.taken_seconds, of.camera, of.width * of.height});
  }
  return raw_pairs(files);
}

// The other half of its pair, where that is a photo by itself.
const Photo* half_of(const Library& library, const Photo& photo) {
  const auto pair = library.pairs.find(photo.brief.path);
  if (pair == library.pairs.end()) return nullptr;
  const auto half = library.by_path.find(pair->second);
  return half == library.by_path.end() ? nullptr : half->second;
}

// Of pairs of which both are among `members`, the raw photo alone.
Shots without_second_halves(const Library& library, Shots members) {
  const Shots all = members;
  std::erase_if(members, [&](const Photo* photo) {
    return !is_raw(photo->brief.format) && std::ranges::find(all, half_of(library, *photo)) != all.end();
  });
  return members;
}

// Of both halves, where it is one of a pair.
Result<vision::Candidate> facts_of(const Library& library, const Photo& photo) {
  IE_TRY(vision::Candidate candidate, candidate_of(library.catalogue, photo));
  const Photo* half = half_of(library, photo);
  if (half == nullptr) return candidate;
  IE_TRY(vision::Candidate other, candidate_of(library.catalogue, *half));
  return is_raw(photo.brief.format) ? both_of(std::move(candidate), other) : both_of(std::move(other), candidate);
}

// The best first; empty if both halves of one pair are all there is, or if nobody asked for it.
Result<DuplicateGroup> make_group(const Library& library, DuplicateKind kind, const Shots& all) {
  const Shots members = without_second_halves(library, all);
  if (members.size() < 2 || !is_wanted(library.options, kind)) return DuplicateGroup{kind, {}, {}};
  std::vector<vision::Candidate> candidates;
  for (const Photo* photo : members) {
    IE_TRY(candidates.emplace_back(), facts_of(library, *photo));
  }
  const vision::Choice choice = vision::choose_best(candidates);
  const Photo& best = *members[choice.best];
  DuplicateGroup group{kind, {}, choice.reasons};
  for (size_t i = 0; i < members.size(); ++i) {
    DuplicateFile file = photo_file(*members[i], best);
    const Photo* half = half_of(library, *members[i]);
    if (half != nullptr) file.pair = half->brief.path;
    if (i != choice.best) {
      file.advantages = vision::advantages(candidates[i], candidates[choice.best]);
      // What was not decoded may have any number of frames.
      file.is_worse = members[i]->decoded && vision::is_really_better(candidates[choice.best], candidates[i]);
      if (half != nullptr) file.advantages.emplace_back(kOfAPair);
      if (kind == DuplicateKind::kBurst || are_shots(*members[i], best, library.options))
        file.advantages = {kAnotherShot};
      if (kind == DuplicateKind::kSubject) file.advantages = {kAnotherPicture};
    }
    group.files.insert(i == choice.best ? group.files.begin() : group.files.end(), std::move(file));
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

// The files of the asset, the best first; each file by one of its names. Halves of pairs come first.
Result<std::vector<Copy>> copies_of(const store::CatalogueReader& catalogue, store::AssetId asset,
                                    const RawPairs& pairs, Disk& disk, std::unordered_set<std::string>& links) {
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
    // Both halves of a pair have their copies in one folder, but not always the same times.
    const bool is_half = pairs.contains(seen.path);
    return std::tuple(copy.file.state != store::FileState::kPresent, disk.identities.is_link(seen.path), !is_half,
                      -vision::merit(copy.candidate), is_half ? 0 : seen.stamp.mtime_ns, seen.path);
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
                                   const DuplicateOptions& options, const RawPairs& pairs, Disk& disk) {
  std::unordered_set<std::string> links;
  IE_TRY(const std::vector<Copy> copies, copies_of(catalogue, brief.id, pairs, disk, links));
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
    if (const auto pair = pairs.find(seen.path); pair != pairs.end()) entry.pair = pair->second;
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

// Parts in each of which `fit` holds for any two; those of one photo are left out.
template <typename Fit>
std::vector<Shots> parts_that_fit(const Shots& photos, Fit fit) {
  std::vector<Shots> parts;
  for (const Photo* photo : photos) {
    const auto part = std::ranges::find_if(parts, [&](const Shots& others) {
      return std::ranges::all_of(others, [&](const Photo* other) { return fit(*photo, *other); });
    });
    (part == parts.end() ? parts.emplace_back() : *part).push_back(photo);
  }
  std::erase_if(parts, [](const Shots& part) { return part.size() < 2; });
  return parts;
}

// Groups of photos whose hashes are near, and for any two of which `fit` holds.
template <typename Fit>
std::vector<Shots> photos_alike(const Shots& photos, const std::vector<std::uint64_t>& hashes, int max_distance,
                                int threads, Fit fit) {
  std::vector<Shots> found;
  const vision::Pairs pairs = vision::all_pairs(hashes, max_distance, threads);
  for (const std::vector<std::uint32_t>& members : vision::groups(pairs, hashes)) {
    Shots group;
    for (const std::uint32_t index : members) group.push_back(photos[index]);
    std::ranges::move(parts_that_fit(group, fit), std::back_inserter(found));
  }
  return found;
}

Result<std::vector<DuplicateGroup>> near_groups(const Library& library, NearGroup& group_of) {
  Shots photos;
  std::vector<std::uint64_t> hashes;
  for (const Photo& photo : library.photos) photos.push_back(&photo), hashes.push_back(photo.phash);
  const auto fit = [](const Photo& a, const Photo& b) { return vision::have_same_colours(a.colours, b.colours); };
  std::vector<DuplicateGroup> groups;
  for (const Shots& group : photos_alike(photos, hashes, library.options.max_distance, library.options.threads, fit)) {
    for (const Photo* photo : group) group_of.emplace(photo, groups.size());
    IE_TRY(groups.emplace_back(), make_group(library, DuplicateKind::kNear, group));
  }
  return groups;
}

// Whether all are in one near group.
bool are_near(const Shots& shots, const NearGroup& near) {
  const auto first = near.find(shots.front());
  return first != near.end() && std::ranges::all_of(shots, [&](const Photo* photo) {
           const auto other = near.find(photo);
           return other != near.end() && other->second == first->second;
         });
}

// One camera's photos in the order they were taken: a burst continues while the next photo follows soon and still
// resembles the first.
std::vector<Shots> bursts(const Library& library) {
  const DuplicateOptions& options = library.options;
  Shots ordered;
  for (const Photo& photo : library.photos)
    if (photo.brief.taken_to_the_second && !photo.brief.camera.empty()) ordered.push_back(&photo);
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

Result<std::vector<DuplicateGroup>> burst_groups(const Library& library, const NearGroup& near) {
  std::vector<DuplicateGroup> groups;
  for (const Shots& shots : bursts(library)) {
    if (are_near(shots, near)) continue;
    IE_TRY(groups.emplace_back(), make_group(library, DuplicateKind::kBurst, shots));
  }
  return groups;
}

// One subject before several backgrounds. What is one picture, or one moment, is no such group.
Result<std::vector<DuplicateGroup>> subject_groups(const Library& library, const NearGroup& near) {
  IE_TRY(const std::vector<store::StageData> rows, library.catalogue.subject_looks());
  std::unordered_map<store::AssetId, vision::SubjectLook> looks;
  for (const store::StageData& row : rows)
    if (const auto look = vision::look_of_bytes(row.data)) looks.emplace(row.asset, *look);
  Shots photos;
  std::vector<std::uint64_t> hashes;
  for (const Photo& photo : library.photos)
    if (const auto look = looks.find(photo.brief.id); look != looks.end())
      photos.push_back(&photo), hashes.push_back(look->second.phash);
  const auto fit = [&](const Photo& a, const Photo& b) {
    return vision::are_looks_of_one(looks.at(a.brief.id), looks.at(b.brief.id));
  };
  std::vector<DuplicateGroup> groups;
  for (const Shots& shots : photos_alike(photos, hashes, vision::kSameSubjectDistance, library.options.threads, fit)) {
    const auto is_shot = [&](const Photo* photo) { return are_shots(*photo, *shots.front(), library.options); };
    if (are_near(shots, near) || std::ranges::all_of(shots, is_shot)) continue;
    IE_TRY(DuplicateGroup group, make_group(library, DuplicateKind::kSubject, shots));
    for (DuplicateFile& file : group.files)
      if (const auto look = looks.find(file.asset); look != looks.end())
        file.distance = vision::distance(look->second.phash, looks.at(group.files.front().asset).phash);
    groups.push_back(std::move(group));
  }
  return groups;
}

void append(std::vector<DuplicateGroup>& all, std::vector<DuplicateGroup> groups) {
  std::erase_if(groups, [](const DuplicateGroup& group) { return group.files.empty(); });
  std::sort(groups.begin(), groups.end(), [](const DuplicateGroup& a, const DuplicateGroup& b) {
    return a.files.front().path < b.files.front().path;
  });
  std::move(groups.begin(), groups.end(), std::back_inserter(all));
}

}  // namespace

std::string_view duplicate_kind_name(DuplicateKind kind) {
  constexpr std::array<std::string_view, 5> kNames = {"exact", "near", "burst", "video", "subject"};
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
  Library library{catalogue, options, {}, {}, {}};
  IE_TRY(library.pairs, pairs_of(catalogue, photo_briefs));
  for (const store::AssetBrief& brief : briefs) {
    disk.analyzed[brief.path] = {brief.bytes, brief.mtime_ns};
    if (brief.files < 2) continue;
    IE_TRY(DuplicateGroup group, exact_group(catalogue, brief, options, library.pairs, disk));
    if (!group.files.empty()) best_of_asset[brief.id] = group.files.front().path;
    if (group.files.size() > 1) exact.push_back(std::move(group));
  }
  append(groups, std::move(exact));
  IE_TRY(library.photos, load_photos(catalogue, options));
  // One frame tells nothing of the others.
  std::erase_if(library.photos, [](const Photo& photo) {
    return photo.animated || (photo.quality && photo.quality->contrast < kBlankContrast);
  });
  for (Photo& photo : library.photos) {
    if (const auto best = best_of_asset.find(photo.brief.id); best != best_of_asset.end())
      photo.brief.path = best->second;
    library.by_path.emplace(photo.brief.path, &photo);
  }
  NearGroup near;
  IE_TRY(std::vector<DuplicateGroup> alike, near_groups(library, near));
  append(groups, std::move(alike));
  IE_TRY(std::vector<DuplicateGroup> shots, burst_groups(library, near));
  append(groups, std::move(shots));
  for (store::AssetBrief& brief : video_briefs)
    if (const auto best = best_of_asset.find(brief.id); best != best_of_asset.end()) brief.path = best->second;
  if (is_wanted(options, DuplicateKind::kVideo)) {
    IE_TRY(std::vector<DuplicateGroup> videos, video_groups(catalogue, options, video_briefs));
    append(groups, std::move(videos));
  }
  if (is_wanted(options, DuplicateKind::kSubject)) {
    IE_TRY(std::vector<DuplicateGroup> subjects, subject_groups(library, near));
    append(groups, std::move(subjects));
  }
  std::erase_if(groups, [&](DuplicateGroup& group) {
    if (!is_wanted(options, group.kind)) return true;
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
