// Facts of sound files against ffprobe's, and what remains the same when tags are edited.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "core/text.h"
#include "tests/media/inputs.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"

namespace image_engine::media {
namespace {

constexpr const char* kSounds = "sound_files";
constexpr const char* kNoSounds = "no sound_files/manifest.json: tests/media/make_sound_files.py has not run";

const nlohmann::json& sounds() {
  static const nlohmann::json all = json_of(std::string(kSounds) + "/manifest.json");
  return all;
}

Buffer sound(const std::string& name) { return load(name, kSounds); }

Buffer joined(std::initializer_list<std::string> parts) {
  Buffer bytes;
  for (const std::string& part : parts)
    for (const char c : part) bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}

std::string text_of(const Buffer& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// ffprobe's tags of the container, else of the sound; by lower-case name.
std::map<std::string, std::string> tags_of(const nlohmann::json& probe, const nlohmann::json& stream) {
  std::map<std::string, std::string> tags;
  for (const nlohmann::json* owner : {&stream, &probe["format"]})
    if (owner->contains("tags"))
      for (const auto& [name, value] : (*owner)["tags"].items()) tags[ascii_lower(name)] = value;
  return tags;
}

TEST(SoundFiles, AgreeWithFfprobe) {
  if (sounds().is_null()) GTEST_SKIP() << kNoSounds;
  ASSERT_GE(sounds()["files"].size(), 20U);
  int tagged = 0;
  for (const auto& file : sounds()["files"]) {
    const std::string name = file["file"];
    SCOPED_TRACE(name);
    const auto metadata = read_metadata(sound(name), {});
    ASSERT_OK(metadata);
    ASSERT_TRUE(metadata->audio && !metadata->video);
    EXPECT_EQ(media_kind(metadata->format), MediaKind::kAudio);
    const AudioInfo& audio = *metadata->audio;
    const auto& probe = file["ffprobe"];
    const auto& streams = probe["streams"];
    const auto is_played = [&](const nlohmann::json& stream) {
      return stream["codec_type"] == "audio" && (name != "languages.m4a" || stream["disposition"]["default"] == 1);
    };
    const auto& stream = *std::ranges::find_if(streams, is_played);
    EXPECT_EQ(audio.codec, std::string(stream["codec_name"]));
    EXPECT_EQ(audio.channels, stream["channels"].get<std::uint32_t>());
    EXPECT_EQ(std::to_string(audio.sample_rate), std::string(stream["sample_rate"]));
    EXPECT_NEAR(audio.duration, std::stod(std::string(probe["format"]["duration"])), 0.05);
    const double bit_rate = std::stod(std::string(probe["format"]["bit_rate"]));
    EXPECT_NEAR(static_cast<double>(audio.bit_rate), bit_rate, bit_rate * 0.02);
    auto tags = tags_of(probe, stream);
    if (name == "latin1.mp3") continue;  // ffprobe does not convert it
    tagged += tags.contains("title") ? 1 : 0;
    EXPECT_EQ(metadata->title, tags["title"]);
    EXPECT_EQ(metadata->creator, tags["artist"]);
    EXPECT_EQ(metadata->description, tags["comment"]);
    EXPECT_EQ(audio.album, tags["album"]);
    EXPECT_EQ(audio.album_artist, tags["album_artist"]);
    EXPECT_EQ(audio.composer, tags["composer"]);
    EXPECT_EQ(audio.genre, tags["genre"]);
    EXPECT_EQ(audio.date, tags["date"]);
    EXPECT_EQ(audio.track, tags.contains("track") ? std::optional(3) : std::nullopt);
  }
  EXPECT_GE(tagged, 15);
}

TEST(SoundFiles, FormatIsTheContainerAndWhatItHolds) {
  if (sounds().is_null()) GTEST_SKIP() << kNoSounds;
  const std::map<std::string, MediaFormat> expected = {
      {"song.mp3", MediaFormat::kMp3},          {"old.mp2", MediaFormat::kMp3},
      {"song.m4a", MediaFormat::kM4a},          {"book.m4b", MediaFormat::kM4a},
      {"talk.mp4", MediaFormat::kM4a},          {"memo.mov", MediaFormat::kM4a},
      {"take.wav", MediaFormat::kWav},          {"long.rf64", MediaFormat::kWav},
      {"song.flac", MediaFormat::kFlac},        {"song.ogg", MediaFormat::kOggAudio},
      {"voice.opus", MediaFormat::kOggAudio},   {"speech.spx", MediaFormat::kOggAudio},
      {"lossless.oga", MediaFormat::kOggAudio}, {"take.aiff", MediaFormat::kAiff},
      {"song.wma", MediaFormat::kWma},          {"stream.aac", MediaFormat::kAac},
      {"song.mka", MediaFormat::kMka},          {"web.webm", MediaFormat::kMka},
      {"call.amr", MediaFormat::kAmr},          {"clip.m4a", MediaFormat::kMp4}};
  for (const auto& [name, format] : expected) {
    const auto metadata = read_metadata(sound(name), {});
    ASSERT_OK(metadata);
    EXPECT_EQ(format_name(metadata->format), format_name(format)) << name;
    EXPECT_EQ(metadata->video.has_value(), name == "clip.m4a") << name;
  }
}

TEST(SoundFiles, TracksAndTheirLanguages) {
  if (sounds().is_null()) GTEST_SKIP() << kNoSounds;
  const auto metadata = read_metadata(sound("languages.m4a"), {});
  ASSERT_OK(metadata);
  ASSERT_EQ(metadata->audio_tracks.size(), 2U);
  EXPECT_EQ(metadata->audio_tracks[0].language, "eng");
  EXPECT_EQ(metadata->audio_tracks[1].language, "deu");
  EXPECT_FALSE(metadata->audio_tracks[0].is_default);
  EXPECT_TRUE(metadata->audio_tracks[1].is_default);
  EXPECT_EQ(read_metadata(sound("song.mp3"), {})->audio_tracks.size(), 1U) << "a cover is no track";
}

TEST(SoundFiles, TimeIsThatOfTheRecording) {
  if (sounds().is_null()) GTEST_SKIP() << kNoSounds;
  const auto memo = read_metadata(sound("memo.m4a"), {});
  ASSERT_OK(memo);
  ASSERT_TRUE(memo->taken);
  EXPECT_EQ(memo->taken->iso(), "2021-03-04T05:06:07Z");
  const auto field = read_metadata(sound("field.wav"), {});
  ASSERT_OK(field);
  ASSERT_TRUE(field->taken);
  EXPECT_EQ(field->taken->iso(), "2022-02-03T14:15:16");
  EXPECT_FALSE(read_metadata(sound("song.mp3"), {})->taken) << "its date is that of the release";
}

TEST(SoundFiles, TextOfEarlyTagsIsLatin1) {
  if (sounds().is_null()) GTEST_SKIP() << kNoSounds;
  const auto metadata = read_metadata(sound("latin1.mp3"), {});
  ASSERT_OK(metadata);
  EXPECT_EQ(metadata->title, "Café");
  EXPECT_EQ(metadata->creator, "Zoë");
  EXPECT_EQ(metadata->audio->album, "Crêpe");
}

TEST(SoundFiles, BrokenOnesAreErrors) {
  if (sounds().is_null()) GTEST_SKIP() << kNoSounds;
  for (const auto* name : {"endless_tag.mp3", "tag_only.mp3", "cut.m4a"})
    EXPECT_EQ(read_metadata(sound(name), {}).error().code, ErrorCode::kCorrupt) << name;
  EXPECT_EQ(read_metadata(sound("noise.mp3"), {}).error().code, ErrorCode::kUnsupported);
  for (const auto* name : {"cut.mp3", "cut.flac"}) EXPECT_OK(read_metadata(sound(name), {}));
}

TEST(SoundFiles, PrefixesAreSafe) {
  if (sounds().is_null()) GTEST_SKIP() << kNoSounds;
  for (const auto* name :
       {"song.mp3", "song.m4a", "song.flac", "song.ogg", "take.aiff", "song.wma", "stream.aac", "song.mka"}) {
    const Buffer whole = sound(name);
    for (size_t size = 1; size < whole.size(); size = size * 5 / 4 + 1) {
      const Bytes part(whole.data(), size);
      (void)read_metadata(part, {});
      (void)content_hashes(part);
    }
  }
}

TEST(SoundFiles, HaveNoPicture) {
  if (sounds().is_null()) GTEST_SKIP() << kNoSounds;
  for (const auto* name : {"song.mp3", "song.m4a", "take.wav"})
    for (const std::optional<double> at : {std::optional<double>(), std::optional(0.0)})
      EXPECT_EQ(decode(sound(name), {.at = at}).error().code, ErrorCode::kUnsupported) << name;
}

TEST(SoundFiles, EditedTagsKeepTheAsset) {
  if (sounds().is_null()) GTEST_SKIP() << kNoSounds;
  const std::string bare = text_of(sound("bare.mp3"));
  const std::string id3v2 = "ID3\x03" + std::string(5, '\0') + "\x20" + std::string(32, 'x');
  const std::string id3v1 = "TAG" + std::string(125, ' ');
  const std::string ape = std::string("APETAGEX\xd0\x07\0\0\x20\0\0\0\0\0\0\0\0\0\0\0", 24) + std::string(8, '\0');
  const std::string lyrics = "LYRICSBEGIN" + std::string(4, 'x') + "000015LYRICS200";
  const ContentHashes plain = content_hashes(joined({bare}));
  EXPECT_EQ(plain.coded, plain.file);
  for (const Buffer& edited :
       {joined({id3v2, bare}), joined({id3v2, id3v2, bare}), joined({bare, id3v1}), joined({bare, ape}),
        joined({bare, ape, lyrics, id3v1}), joined({id3v2, bare, ape, id3v1})}) {
    const ContentHashes hashes = content_hashes(edited);
    EXPECT_EQ(hashes.coded, plain.coded);
    EXPECT_NE(hashes.file, plain.file);
  }
  EXPECT_NE(content_hashes(joined({bare.substr(0, bare.size() - 1), id3v1})).coded, plain.coded);
  EXPECT_NE(content_hashes(joined({id3v2, id3v1})).coded, content_hashes(joined({id3v1})).coded) << "tags alone";
  EXPECT_EQ(content_hashes(sound("latin1.mp3")).coded, plain.coded);
  EXPECT_EQ(content_hashes(sound("retagged.flac")).coded, content_hashes(sound("song.flac")).coded);
  EXPECT_NE(content_hashes(sound("cut.flac")).coded, content_hashes(sound("song.flac")).coded);
}

}  // namespace
}  // namespace image_engine::media
