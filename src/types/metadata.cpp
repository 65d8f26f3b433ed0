#include "types/metadata.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/text.h"

namespace image_engine {
namespace {

using nlohmann::json;

template <typename T>
void put(json& object, const char* key, const std::optional<T>& value) {
  if (value) object[key] = *value;
}
void put(json& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = to_utf8(value);
}

template <typename T>
void get(const json& object, const char* key, T& value) {
  if (const auto found = object.find(key); found != object.end() && !found->is_null()) value = found->get<T>();
}
template <typename T>
void get(const json& object, const char* key, std::optional<T>& value) {
  if (const auto found = object.find(key); found != object.end() && !found->is_null()) value = found->get<T>();
}

void put_count(json& object, const char* key, std::int64_t value) {
  if (value != 0) object[key] = value;
}

// Of degrees a centimetre, below what any receiver knows.
double to_seven_digits(double value) { return std::round(value * 1e7) / 1e7; }

json audio_json(const AudioInfo& audio) {
  json out = {{"duration", audio.duration}};
  put(out, "codec", audio.codec);
  put_count(out, "channels", audio.channels);
  put_count(out, "sample_rate", audio.sample_rate);
  put_count(out, "bit_rate", audio.bit_rate);
  put(out, "album", audio.album);
  put(out, "album_artist", audio.album_artist);
  put(out, "composer", audio.composer);
  put(out, "genre", audio.genre);
  put(out, "date", audio.date);
  put(out, "track", audio.track);
  return out;
}

AudioInfo audio_from(const json& in) {
  AudioInfo audio;
  get(in, "duration", audio.duration);
  get(in, "codec", audio.codec);
  get(in, "channels", audio.channels);
  get(in, "sample_rate", audio.sample_rate);
  get(in, "bit_rate", audio.bit_rate);
  get(in, "album", audio.album);
  get(in, "album_artist", audio.album_artist);
  get(in, "composer", audio.composer);
  get(in, "genre", audio.genre);
  get(in, "date", audio.date);
  get(in, "track", audio.track);
  return audio;
}

json track_json(const AudioTrack& track) {
  json out = json::object();
  put(out, "codec", track.codec);
  put(out, "language", track.language);
  put(out, "title", track.title);
  put_count(out, "channels", track.channels);
  put_count(out, "sample_rate", track.sample_rate);
  if (track.is_default) out["default"] = true;
  return out;
}

AudioTrack track_from(const json& in) {
  AudioTrack track;
  get(in, "codec", track.codec);
  get(in, "language", track.language);
  get(in, "title", track.title);
  get(in, "channels", track.channels);
  get(in, "sample_rate", track.sample_rate);
  get(in, "default", track.is_default);
  return track;
}

json utf8_list(const std::vector<std::string>& values) {
  json list = json::array();
  for (const std::string& value : values) list.push_back(to_utf8(value));
  return list;
}

// "2024-06-01T10:22:03+02:00" back into its parts.
CaptureTime parse_iso(const std::string& text) {
  CaptureTime time;
  const size_t zone = text.find_first_of("Z+-", std::min<size_t>(text.size(), 11));
  time.local = text.substr(0, zone);
  if (zone == std::string::npos) return time;
  if (text[zone] == 'Z') {
    time.offset_minutes = 0;
  } else {
    int hours = 0, minutes = 0;
    if (std::sscanf(text.c_str() + zone + 1, "%2d:%2d", &hours, &minutes) == 2)
      time.offset_minutes = (text[zone] == '-' ? -1 : 1) * (hours * 60 + minutes);
  }
  return time;
}

}  // namespace

void to_json(json& out, const Metadata& m) {
  out = json::object();
  out["media"] = kind_name(media_kind(m.format));
  out["format"] = format_name(m.format);
  if (!m.audio) {
    out["width"] = m.width;
    out["height"] = m.height;
  }
  if (m.orientation != 1) out["orientation"] = m.orientation;
  if (m.frames != 1) out["frames"] = m.frames;
  if (m.bit_depth != 8) out["bit_depth"] = m.bit_depth;
  if (m.has_alpha) out["alpha"] = true;
  if (m.motion_photo) out["motion_photo"] = true;
  if (m.progressive) out["progressive"] = true;
  put(out, "colour_profile", m.colour_profile);
  if (m.taken) {
    out["taken"] = to_utf8(m.taken->iso());
    if (m.taken->precision != TimePrecision::kSecond) out["taken_precision"] = precision_name(m.taken->precision);
    out["taken_from"] = source_name(m.taken->source);
  }
  json camera = json::object();
  put(camera, "make", m.make);
  put(camera, "model", m.model);
  put(camera, "lens", m.lens);
  put(camera, "software", m.software);
  if (!camera.empty()) out["camera"] = std::move(camera);
  json exposure = json::object();
  put(exposure, "time", m.exposure_time);
  put(exposure, "f_number", m.f_number);
  put(exposure, "iso", m.iso);
  put(exposure, "focal_length", m.focal_length);
  put(exposure, "focal_length_35", m.focal_length_35);
  put(exposure, "bias", m.exposure_bias);
  put(exposure, "flash", m.flash);
  if (!exposure.empty()) out["exposure"] = std::move(exposure);
  if (m.gps) {
    out["gps"] = {{"lat", to_seven_digits(m.gps->latitude)}, {"lon", to_seven_digits(m.gps->longitude)}};
    if (m.gps->altitude) out["gps"]["altitude"] = to_seven_digits(*m.gps->altitude);
  }
  put(out, "rating", m.rating);
  put(out, "label", m.label);
  if (!m.keywords.empty()) out["keywords"] = utf8_list(m.keywords);
  if (!m.people.empty()) out["people"] = utf8_list(m.people);
  put(out, "content_identifier", m.content_identifier);
  put(out, "title", m.title);
  put(out, "description", m.description);
  put(out, "creator", m.creator);
  put(out, "copyright", m.copyright);
  if (m.video) {
    out["video"] = {{"duration", m.video->duration}, {"frame_rate", m.video->frame_rate}};
    put(out["video"], "video_codec", m.video->video_codec);
    put(out["video"], "audio_codec", m.video->audio_codec);
    if (m.video->bit_rate != 0) out["video"]["bit_rate"] = m.video->bit_rate;
  }
  if (m.audio) out["audio"] = audio_json(*m.audio);
  for (const AudioTrack& track : m.audio_tracks) out["audio_tracks"].push_back(track_json(track));
  if (!m.warnings.empty()) out["warnings"] = utf8_list(m.warnings);
}

void from_json(const json& in, Metadata& m) {
  m = Metadata{};
  std::string name;
  get(in, "format", name);
  m.format = format_from_name(name);
  get(in, "width", m.width);
  get(in, "height", m.height);
  get(in, "orientation", m.orientation);
  get(in, "frames", m.frames);
  get(in, "bit_depth", m.bit_depth);
  get(in, "alpha", m.has_alpha);
  get(in, "motion_photo", m.motion_photo);
  get(in, "progressive", m.progressive);
  get(in, "colour_profile", m.colour_profile);
  if (std::string taken; get(in, "taken", taken), !taken.empty()) {
    m.taken = parse_iso(taken);
    m.taken->precision = precision_from_name(in.value("taken_precision", ""));
    m.taken->source = source_from_name(in.value("taken_from", ""));
  }
  if (const auto camera = in.find("camera"); camera != in.end()) {
    get(*camera, "make", m.make);
    get(*camera, "model", m.model);
    get(*camera, "lens", m.lens);
    get(*camera, "software", m.software);
  }
  if (const auto exposure = in.find("exposure"); exposure != in.end()) {
    get(*exposure, "time", m.exposure_time);
    get(*exposure, "f_number", m.f_number);
    get(*exposure, "iso", m.iso);
    get(*exposure, "focal_length", m.focal_length);
    get(*exposure, "focal_length_35", m.focal_length_35);
    get(*exposure, "bias", m.exposure_bias);
    get(*exposure, "flash", m.flash);
  }
  if (const auto gps = in.find("gps"); gps != in.end()) {
    m.gps.emplace();
    get(*gps, "lat", m.gps->latitude);
    get(*gps, "lon", m.gps->longitude);
    get(*gps, "altitude", m.gps->altitude);
  }
  get(in, "rating", m.rating);
  get(in, "label", m.label);
  get(in, "keywords", m.keywords);
  get(in, "people", m.people);
  get(in, "content_identifier", m.content_identifier);
  get(in, "title", m.title);
  get(in, "description", m.description);
  get(in, "creator", m.creator);
  get(in, "copyright", m.copyright);
  if (const auto video = in.find("video"); video != in.end()) {
    m.video.emplace();
    get(*video, "duration", m.video->duration);
    get(*video, "frame_rate", m.video->frame_rate);
    get(*video, "video_codec", m.video->video_codec);
    get(*video, "audio_codec", m.video->audio_codec);
    get(*video, "bit_rate", m.video->bit_rate);
  }
  if (const auto audio = in.find("audio"); audio != in.end()) m.audio = audio_from(*audio);
  if (const auto tracks = in.find("audio_tracks"); tracks != in.end())
    for (const json& track : *tracks) m.audio_tracks.push_back(track_from(track));
  get(in, "warnings", m.warnings);
}

}  // namespace image_engine
