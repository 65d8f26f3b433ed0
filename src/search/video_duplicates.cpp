#include "search/video_duplicates.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>
#include <unordered_map>

#include "core/json.h"
#include "core/text.h"
#include "video/same_recording.h"

namespace image_engine::search {
namespace {

constexpr double kSameEnd = 0.3;     // seconds by which ends may differ: a few frames
constexpr double kSameLength = 0.5;  // seconds
constexpr double kSameRate = 1.01;   // ratio of frame rates
constexpr double kUnknownCodec = 0;

// How many bits a second a codec needs for the same picture, H.264's being 1. Rough: it is only used to call a video no
// better than another one.
struct CodecNeed {
  std::string_view codec;
  double bits;
};
constexpr CodecNeed kCodecNeeds[] = {
    {"av1", 0.35}, {"hevc", 0.4},    {"vp9", 0.5},  {"h264", 1},       {"vp8", 1.2},      {"vc1", 1.3}, {"wmv3", 1.3},
    {"mpeg4", 2},  {"msmpeg4v3", 2}, {"theora", 2}, {"mpeg2video", 3}, {"mpeg1video", 3}, {"h263", 3},  {"mjpeg", 5},
};

struct Clip {
  store::AssetBrief brief;
  std::string cells;
  double duration = 0, frame_rate = 0;
  std::int64_t audio_streams = 0, subtitle_streams = 0;
  bool is_hdr = false, is_flawed = false;
  std::string codec;
  double begins = 0;     // seconds after the best one's begin, once that is known
  bool differs = false;  // for some seconds from the best one

  [[nodiscard]] double pixels() const { return static_cast<double>(brief.width) * static_cast<double>(brief.height); }
  [[nodiscard]] bool has_sound() const { return audio_streams > 0; }
  [[nodiscard]] double bits() const { return static_cast<double>(brief.bytes) * 8 / std::max(duration, 1e-3); }
  // As many bits of H.264; 0: not known.
  [[nodiscard]] double worth() const {
    const auto* need = std::ranges::find(kCodecNeeds, codec, &CodecNeed::codec);
    return need == std::end(kCodecNeeds) ? kUnknownCodec : bits() / need->bits;
  }
  [[nodiscard]] int described() const {
    return (brief.taken_seconds ? 1 : 0) + (brief.has_gps ? 1 : 0) + (brief.camera.empty() ? 0 : 1);
  }
};

// What one of two clips of a recording has that the other one lacks. `a.begins` counts from the begin of `b`.
struct Advantage {
  const char* words;
  bool (*has)(const Clip& a, const Clip& b);
};
constexpr Advantage kAdvantages[] = {
    {"has sound", [](const Clip& a, const Clip& b) { return a.has_sound() && !b.has_sound(); }},
    {"undamaged", [](const Clip& a, const Clip& b) { return !a.is_flawed && b.is_flawed; }},
    {"differs for some seconds", [](const Clip& a, const Clip&) { return a.differs; }},
    {"rated higher",
     [](const Clip& a, const Clip& b) { return a.brief.rating.value_or(0) > b.brief.rating.value_or(0); }},
    {"longer",
     [](const Clip& a, const Clip& b) {
       return a.begins < b.begins - kSameEnd || a.begins + a.duration > b.begins + b.duration + kSameEnd;
     }},
    {"larger picture",
     [](const Clip& a, const Clip& b) { return a.brief.width > b.brief.width || a.brief.height > b.brief.height; }},
    {"HDR", [](const Clip& a, const Clip& b) { return a.is_hdr && !b.is_hdr; }},
    {"higher frame rate", [](const Clip& a, const Clip& b) { return a.frame_rate > b.frame_rate * kSameRate; }},
    {"more sound", [](const Clip& a, const Clip& b) { return b.has_sound() && a.audio_streams > b.audio_streams; }},
    {"sound, which is not compared",
     [](const Clip& a, const Clip& b) { return a.has_sound() && a.audio_streams <= b.audio_streams; }},
    {"more subtitles", [](const Clip& a, const Clip& b) { return a.subtitle_streams > b.subtitle_streams; }},
    {"more bits a second",
     [](const Clip& a, const Clip& b) {
       const bool is_known = a.worth() > 0 && b.worth() > 0;
       return a.bits() > b.bits() || (is_known ? a.worth() > b.worth() : a.codec != b.codec);
     }},
    {"has its time", [](const Clip& a, const Clip& b) { return a.brief.taken_seconds && !b.brief.taken_seconds; }},
    {"has GPS", [](const Clip& a, const Clip& b) { return a.brief.has_gps && !b.brief.has_gps; }},
    {"names its camera",
     [](const Clip& a, const Clip& b) { return !a.brief.camera.empty() && b.brief.camera.empty(); }},
};

std::vector<std::string> advantages(const Clip& a, const Clip& b) {
  std::vector<std::string> words;
  for (const Advantage& advantage : kAdvantages)
    if (advantage.has(a, b)) words.emplace_back(advantage.words);
  return words;
}

// Of clips that show all of the recording.
bool is_better(const Clip& a, const Clip& b) {
  const auto rank = [](const Clip& clip) {
    return std::tuple(clip.has_sound(), !clip.is_flawed, clip.brief.rating.value_or(0), clip.pixels(), clip.described(),
                      clip.audio_streams, clip.is_hdr, std::round(clip.frame_rate), clip.worth(), clip.bits());
  };
  return rank(a) != rank(b) ? rank(a) > rank(b) : a.brief.path < b.brief.path;
}

bool read_fingerprint(const std::string& data, Clip& clip) {
  const nlohmann::json json = parse_json(data);
  try {
    Result<std::string> cells = base64_decode(json.at("cells").get<std::string>());
    if (!cells) return false;
    clip.cells = std::move(*cells);
    clip.duration = json.at("duration").get<double>();
    clip.frame_rate = json.at("frame_rate").get<double>();
    clip.audio_streams = json.at("audio_streams").get<std::int64_t>();
    clip.subtitle_streams = json.at("subtitle_streams").get<std::int64_t>();
    clip.is_hdr = json.at("hdr").get<bool>();
    clip.is_flawed = json.at("flawed").get<bool>();
    return clip.duration > 0;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

Result<std::vector<Clip>> load_clips(const store::CatalogueReader& catalogue, const DuplicateOptions& options,
                                     const std::vector<store::AssetBrief>& briefs) {
  std::unordered_map<store::AssetId, const store::AssetBrief*> by_asset;
  for (const store::AssetBrief& brief : briefs) by_asset.emplace(brief.id, &brief);
  IE_TRY(const std::vector<store::StageData> records, catalogue.stage_data(options.fingerprint_stage));
  std::vector<Clip> clips;
  for (const store::StageData& record : records) {
    const auto brief = by_asset.find(record.asset);
    if (brief == by_asset.end()) continue;
    Clip clip{.brief = *brief->second};
    if (read_fingerprint(record.data, clip)) clips.push_back(std::move(clip));
  }
  return clips;
}

struct Match {
  double begins = 0;  // seconds after the other one's begin
  bool differs = false;
};

// Those that are the same, by position.
class Matches {
 public:
  explicit Matches(const std::vector<video::SameRecording>& pairs) {
    for (const video::SameRecording& pair : pairs) {
      of_[pair.longer].emplace(pair.shorter, Match{pair.offset, pair.differs});
      of_[pair.shorter].emplace(pair.longer, Match{-pair.offset, pair.differs});
    }
  }
  [[nodiscard]] const std::map<std::uint32_t, std::map<std::uint32_t, Match>>& all() const { return of_; }
  [[nodiscard]] const std::map<std::uint32_t, Match>& of(std::uint32_t clip) const { return of_.at(clip); }

 private:
  std::map<std::uint32_t, std::map<std::uint32_t, Match>> of_;
};

DuplicateFile file_of(const Clip& clip, const Clip& best) {
  DuplicateFile file;
  file.asset = clip.brief.id;
  file.path = clip.brief.path;
  file.bytes = clip.brief.bytes;
  file.width = clip.brief.width;
  file.height = clip.brief.height;
  file.seconds = clip.duration;
  file.partial = clip.is_flawed;
  const double end = clip.begins + clip.duration;
  if (clip.begins > kSameLength || end < best.duration - kSameLength)
    file.part = {std::max(clip.begins, 0.0), std::min(end, best.duration)};
  if (&clip != &best) file.advantages = advantages(clip, best);
  file.silent = best.has_sound() && !clip.has_sound();
  return file;
}

// `members`: the best first.
DuplicateGroup clip_group(const std::vector<Clip>& members) {
  const Clip& best = members.front();
  DuplicateGroup group{DuplicateKind::kVideo, {}, {}};
  for (const Clip& clip : members) group.files.push_back(file_of(clip, best));
  const auto second = std::min_element(members.begin() + 1, members.end(), is_better);
  group.reasons = advantages(best, *second);
  if (group.reasons.empty()) group.reasons.emplace_back("no better, but first");
  std::sort(group.files.begin() + 1, group.files.end(),
            [](const DuplicateFile& a, const DuplicateFile& b) { return a.path < b.path; });
  return group;
}

Status read_codec(const store::CatalogueReader& catalogue, Clip& clip) {
  IE_TRY(const store::AssetRecord record, catalogue.asset_record(clip.brief.id));
  if (record.metadata && record.metadata->video) clip.codec = record.metadata->video->video_codec;
  return {};
}

}  // namespace

Result<std::vector<DuplicateGroup>> video_groups(const store::CatalogueReader& catalogue,
                                                 const DuplicateOptions& options,
                                                 const std::vector<store::AssetBrief>& briefs) {
  IE_TRY(std::vector<Clip> clips, load_clips(catalogue, options, briefs));
  std::vector<std::string_view> fingerprints;
  for (const Clip& clip : clips) fingerprints.emplace_back(clip.cells);
  const Matches matches(video::same_recordings(fingerprints, options.threads));
  std::vector<std::uint32_t> by_length;
  for (const auto& [clip, others] : matches.all()) {
    IE_CHECK(read_codec(catalogue, clips[clip]));
    by_length.push_back(clip);
  }
  std::ranges::stable_sort(by_length,
                           [&](std::uint32_t a, std::uint32_t b) { return clips[a].duration > clips[b].duration; });
  std::vector<bool> is_taken(clips.size(), false);
  std::vector<DuplicateGroup> groups;
  for (const std::uint32_t longest : by_length) {
    if (is_taken[longest]) continue;
    std::uint32_t best = longest;
    for (const auto& [other, match] : matches.of(longest))
      if (!is_taken[other] && clips[other].duration >= clips[longest].duration - kSameLength &&
          is_better(clips[other], clips[best]))
        best = other;
    std::vector<Clip> members = {clips[best]};
    for (const auto& [other, match] : matches.of(best)) {
      if (is_taken[other]) continue;
      is_taken[other] = true;
      members.push_back(clips[other]);
      members.back().begins = match.begins;
      members.back().differs = match.differs;
    }
    is_taken[best] = true;
    if (members.size() > 1) groups.push_back(clip_group(members));
  }
  return groups;
}

}  // namespace image_engine::search
