// Metadata from the headers of a picture, video or sound file.
#pragma once

#include <concepts>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "types/capture_time.h"
#include "types/media_format.h"

namespace image_engine {

struct Gps {
  double latitude = 0;             // degrees, −90…90
  double longitude = 0;            // degrees, −180…180
  std::optional<double> altitude;  // metres above sea level, negative below
  bool operator==(const Gps&) const = default;
};

// UTF-8; unknown parts are empty.
struct Place {
  std::string city, region, country;
  std::string country_code;  // ISO 3166-1 alpha-2, upper case
  std::string location;      // a spot in the city: a square, a building
  bool operator==(const Place&) const = default;
};

struct VideoInfo {
  double duration = 0;    // seconds
  double frame_rate = 0;  // frames a second, average
  std::string video_codec;
  std::string audio_codec;    // empty without sound
  std::int64_t bit_rate = 0;  // bits a second, 0 unknown
  bool operator==(const VideoInfo&) const = default;
};

// One of the sound tracks of a video or sound file.
struct AudioTrack {
  std::string codec;
  std::string language;           // as the file has it: "eng", "de"; empty unknown
  std::string title;              // "Commentary"
  std::uint32_t channels = 0;     // 0 unknown
  std::uint32_t sample_rate = 0;  // samples a second, 0 unknown
  bool is_default = false;        // the one that a player plays
  bool operator==(const AudioTrack&) const = default;
};

// Of a sound file; codec, channels and rate are its default track's. Its title, artist, comment and copyright are
// Metadata's title, creator, description and copyright.
struct AudioInfo {
  double duration = 0;  // seconds, 0 unknown
  std::string codec;
  std::uint32_t channels = 0;
  std::uint32_t sample_rate = 0;  // samples a second
  std::int64_t bit_rate = 0;      // bits a second, 0 unknown
  std::string album, album_artist, composer, genre;
  std::string date;                   // of the release, as the file has it: "1997", "1997-05-21"
  std::optional<std::int32_t> track;  // its number on the album
  bool operator==(const AudioInfo&) const = default;
};

struct Metadata {
  MediaFormat format = MediaFormat::kNone;
  std::uint32_t width = 0;        // pixels, upright
  std::uint32_t height = 0;       // pixels, upright
  std::uint32_t orientation = 1;  // EXIF 1…8, already applied to width and height
  std::uint32_t frames = 1;       // pictures in an animation or pages in a file
  std::uint32_t bit_depth = 8;    // bits a channel
  bool has_alpha = false;
  bool progressive = false;
  bool motion_photo = false;   // a video clip lies in the file, behind the picture
  std::string colour_profile;  // the ICC profile's description, empty without one
  std::optional<CaptureTime> taken;
  std::string make, model, lens, software;
  std::optional<double> exposure_time;  // seconds
  std::optional<double> f_number;
  std::optional<double> iso;
  std::optional<double> focal_length;     // millimetres
  std::optional<double> focal_length_35;  // millimetres, 35-mm equivalent
  std::optional<double> exposure_bias;    // EV
  std::optional<bool> flash;              // fired
  std::optional<Gps> gps;
  std::optional<std::int32_t> rating;  // −1 rejected, 0…5
  std::string label;                   // XMP colour label
  std::vector<std::string> keywords;   // of a hierarchy the whole path, its levels parted by "|"
  std::vector<std::string> people;     // names that are written in the tags
  std::optional<Place> place;          // in the tags' words; not in JSON, where `place` is the file's (store)
  std::string content_identifier;      // that the two files of a Live Photo share
  std::string title, description, creator, copyright;
  std::optional<VideoInfo> video;
  std::optional<AudioInfo> audio;        // of a sound file, not of a video
  std::vector<AudioTrack> audio_tracks;  // of a video or sound file, in the file's order; at most 100
  std::vector<std::string> warnings;     // for a person: problems that did not prevent reading

  bool operator==(const Metadata&) const = default;
};

// The JSON of docs/schema/asset.json: absent fields are omitted; all text is valid UTF-8.
void to_json(nlohmann::json& json, const Metadata& metadata);
void from_json(const nlohmann::json& json, Metadata& metadata);

// visit_fields(archive, struct) calls archive(field) on each field in a fixed order: the wire format of the worker
// protocol. `Same<S>` accepts S and const S.
template <typename T, typename S>
concept Same = std::same_as<std::remove_const_t<T>, S>;

template <typename Archive>
void visit_fields(Archive& archive, Same<CaptureTime> auto& t) {
  archive(t.local), archive(t.offset_minutes), archive(t.precision), archive(t.source);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Gps> auto& g) {
  archive(g.latitude), archive(g.longitude), archive(g.altitude);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Place> auto& p) {
  archive(p.city), archive(p.region), archive(p.country), archive(p.country_code), archive(p.location);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<VideoInfo> auto& v) {
  archive(v.duration), archive(v.frame_rate), archive(v.video_codec), archive(v.audio_codec), archive(v.bit_rate);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<AudioTrack> auto& t) {
  archive(t.codec), archive(t.language), archive(t.title), archive(t.channels), archive(t.sample_rate);
  archive(t.is_default);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<AudioInfo> auto& a) {
  archive(a.duration), archive(a.codec), archive(a.channels), archive(a.sample_rate), archive(a.bit_rate);
  archive(a.album), archive(a.album_artist), archive(a.composer), archive(a.genre), archive(a.date), archive(a.track);
}
template <typename Archive>
void visit_fields(Archive& archive, Same<Metadata> auto& m) {
  archive(m.format), archive(m.width), archive(m.height), archive(m.orientation), archive(m.frames);
  archive(m.bit_depth), archive(m.has_alpha), archive(m.progressive), archive(m.colour_profile), archive(m.taken);
  archive(m.make), archive(m.model), archive(m.lens), archive(m.software), archive(m.exposure_time);
  archive(m.f_number), archive(m.iso), archive(m.focal_length), archive(m.focal_length_35);
  archive(m.exposure_bias), archive(m.flash), archive(m.gps), archive(m.rating), archive(m.label);
  archive(m.keywords), archive(m.title), archive(m.description), archive(m.creator), archive(m.copyright);
  archive(m.video), archive(m.audio), archive(m.audio_tracks), archive(m.warnings), archive(m.content_identifier);
  archive(m.people), archive(m.place), archive(m.motion_photo);
}

}  // namespace image_engine
