#include "media/container_tags.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "media/text.h"

namespace image_engine::media {
namespace {

struct ContainerText {
  std::string Metadata::*member;
  std::array<const char*, 4> keys;
};
constexpr ContainerText kContainerTexts[] = {
    {&Metadata::make, {"com.apple.quicktime.make", "com.android.manufacturer", "make"}},
    {&Metadata::model, {"com.apple.quicktime.model", "com.android.model", "model"}},
    {&Metadata::software, {"com.apple.quicktime.software", "software", "encoder"}},
    {&Metadata::title, {"com.apple.quicktime.title", "title"}},
    {&Metadata::description, {"com.apple.quicktime.description", "description", "comment"}},
    {&Metadata::creator, {"com.apple.quicktime.author", "artist", "author"}},
    {&Metadata::content_identifier, {"com.apple.quicktime.content.identifier"}},
    {&Metadata::copyright, {"com.apple.quicktime.copyright", "copyright"}},
};
constexpr std::array kPlaces{"com.apple.quicktime.location.ISO6709", "location", "location-eng"};

// MP4's creation_time is UTC; these cameras have no zone and write their clock's local time there. Brands of the file.
constexpr std::array kLocalBrands{"CAEP", "niko", "pana", "caqv"};
constexpr std::string_view kGoPro = "GoPro";  // begins its streams' names

bool writes_local_time(const AVFormatContext& input, const AVStream& stream) {
  const std::string brand = tag_of(input, stream, "major_brand");
  const auto* handler = av_dict_get(stream.metadata, "handler_name", nullptr, 0);
  const bool is_gopro = handler != nullptr && clean_text(handler->value).find(kGoPro) != std::string::npos;
  return is_gopro || std::ranges::find(kLocalBrands, brand) != kLocalBrands.end();
}

}  // namespace

std::string tag_of(const AVFormatContext& input, const AVStream& stream, const char* key) {
  if (!key) return {};
  const auto* entry = av_dict_get(input.metadata, key, nullptr, 0);
  if (!entry) entry = av_dict_get(stream.metadata, key, nullptr, 0);
  return entry ? clean_text(entry->value) : std::string();
}

// Apple's has the zone, and `date`, QuickTime's ©day, may have it; creation_time is UTC (ISO/IEC 14496-12, 8.2.2).
std::optional<CaptureTime> container_time(const AVFormatContext& input, const AVStream& stream) {
  const auto stated = [&](const char* key) {
    auto time = parse_time(tag_of(input, stream, key));
    // Zero in QuickTime's and in Unix's count of seconds: a clock that was never set.
    const bool is_unset = time && time->precision >= TimePrecision::kMinute &&
                          (time->local.starts_with("1904-01-01") || time->local.starts_with("1970-01-01"));
    if (!time || is_unset) return std::optional<CaptureTime>();
    if (const auto end = time->local.find(".000000"); end != std::string::npos) time->local.resize(end);
    return time;
  };
  if (auto apple = stated("com.apple.quicktime.creationdate")) return apple;
  const bool is_sound = stream.codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
  auto date = is_sound ? std::nullopt : stated("date");  // of sound: that of its publication
  if (date && date->offset_minutes) return date;
  if (auto created = stated("creation_time")) {
    if (writes_local_time(input, stream)) created->offset_minutes.reset();
    return created;
  }
  return date;
}

void read_container_texts(const AVFormatContext& input, const AVStream& stream, Metadata& metadata) {
  for (const auto& field : kContainerTexts)
    for (const char* key : field.keys)
      if (auto& text = metadata.*field.member; text.empty()) text = tag_of(input, stream, key);
  for (const char* key : kPlaces)
    if (!metadata.gps) metadata.gps = parse_iso6709(tag_of(input, stream, key));
}

std::vector<AudioTrack> audio_tracks_of(const AVFormatContext& input) {
  constexpr size_t kMostTracks = 100;
  const int played = av_find_best_stream(const_cast<AVFormatContext*>(&input), AVMEDIA_TYPE_AUDIO, -1, -1, nullptr, 0);
  std::vector<AudioTrack> tracks;
  for (unsigned i = 0; i < input.nb_streams && tracks.size() < kMostTracks; ++i) {
    const AVStream& stream = *input.streams[i];
    const AVCodecParameters& coded = *stream.codecpar;
    if (coded.codec_type != AVMEDIA_TYPE_AUDIO) continue;
    AudioTrack& track = tracks.emplace_back();
    track.codec = avcodec_get_name(coded.codec_id);
    if (const auto* language = av_dict_get(stream.metadata, "language", nullptr, 0))
      track.language = clean_text(language->value);
    if (track.language.empty()) track.language = tag_of(input, stream, "language");  // ID3's is the file's
    if (track.language == "und") track.language.clear();
    if (const auto* title = av_dict_get(stream.metadata, "title", nullptr, 0)) track.title = clean_text(title->value);
    track.channels = static_cast<std::uint32_t>(std::max(coded.ch_layout.nb_channels, 0));
    track.sample_rate = static_cast<std::uint32_t>(std::max(coded.sample_rate, 0));
    track.is_default = played == static_cast<int>(i);
  }
  return tracks;
}

}  // namespace image_engine::media
