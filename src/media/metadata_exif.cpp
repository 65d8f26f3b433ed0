#include <fmt/format.h>
#include <exiv2/exiv2.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

#include "core/file.h"
#include "core/text.h"
#include "media/libraries.h"
#include "media/metadata_readers.h"
#include "media/text.h"
#include "media/written_words.h"
#include "media/xmp_packet.h"

namespace image_engine::media {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr size_t kMaxWarnings = 8;
constexpr size_t kMaxXmp = size_t{16} << 20;

using Keys = std::array<std::string_view, 8>;

// ---- The tags of each field, in order of precedence. A sidecar's tags precede all others, but for times.

struct TextField {
  std::string Metadata::*member;
  Keys keys;
  bool has_defaults = false;  // makers' own texts are none
};
constexpr TextField kTexts[] = {
    {&Metadata::make, {"Exif.Image.Make", "Xmp.tiff.Make"}},
    {&Metadata::model, {"Exif.Image.Model", "Xmp.tiff.Model", "Exif.Image.UniqueCameraModel"}},
    {&Metadata::lens, {"Exif.Photo.LensModel", "Xmp.exifEX.LensModel", "Xmp.aux.Lens"}},
    {&Metadata::software, {"Exif.Image.Software", "Exif.Image.ProcessingSoftware", "Xmp.xmp.CreatorTool"}},
    {&Metadata::label, {"Xmp.xmp.Label"}},
    {&Metadata::title,
     {"Xmp.dc.title", "Iptc.Application2.ObjectName", "Exif.Image.XPTitle", "Xmp.photoshop.Headline",
      "Iptc.Application2.Headline"},
     true},
    {&Metadata::description,
     {"Xmp.dc.description", "Iptc.Application2.Caption", "Exif.Image.ImageDescription", "Exif.Image.XPComment",
      "Exif.Photo.UserComment", "Xmp.exif.UserComment"},
     true},
    {&Metadata::creator, {"Xmp.dc.creator", "Exif.Image.Artist", "Iptc.Application2.Byline", "Exif.Image.XPAuthor"}},
    {&Metadata::copyright, {"Xmp.dc.rights", "Exif.Image.Copyright", "Iptc.Application2.Copyright"}},
};

struct NumberField {
  std::optional<double> Metadata::*member;
  double least, most;  // values outside are ignored
  Keys keys;
};
constexpr double kTiny = 1e-9;
constexpr NumberField kNumbers[] = {
    {&Metadata::exposure_time,
     kTiny,
     1e6,
     {"Exif.Photo.ExposureTime", "Exif.Image.ExposureTime", "Xmp.exif.ExposureTime"}},
    {&Metadata::f_number, 0.1, 1e4, {"Exif.Photo.FNumber", "Exif.Image.FNumber", "Xmp.exif.FNumber"}},
    // Above 65,534 the EXIF 2.2 tag is 65,535 and the newer ones have the value (Exif 2.3, 4.6.5).
    {&Metadata::iso,
     1,
     65'534,
     {"Exif.Photo.ISOSpeedRatings", "Exif.Image.ISOSpeedRatings", "Xmp.exif.ISOSpeedRatings",
      "Xmp.exifEX.PhotographicSensitivity"}},
    {&Metadata::iso,
     1,
     1e8,
     {"Exif.Photo.RecommendedExposureIndex", "Exif.Photo.StandardOutputSensitivity", "Exif.Photo.ISOSpeed",
      "Xmp.exifEX.RecommendedExposureIndex"}},
    {&Metadata::focal_length, 0.1, 1e5, {"Exif.Photo.FocalLength", "Exif.Image.FocalLength", "Xmp.exif.FocalLength"}},
    {&Metadata::focal_length_35, 1, 1e5, {"Exif.Photo.FocalLengthIn35mmFilm", "Xmp.exif.FocalLengthIn35mmFilm"}},
    {&Metadata::exposure_bias,
     -100,
     100,
     {"Exif.Photo.ExposureBiasValue", "Exif.Image.ExposureBiasValue", "Xmp.exif.ExposureBiasValue"}},
};

struct TimeField {
  std::string_view date, subsecond, offset, time;  // `time`: the tag of the time of day where `date` is a day
  TimeSource source = TimeSource::kOriginal;
};
constexpr std::string_view kContainerTime = "the container's time";
// In the order of the Metadata Working Group's guidelines (2.0, 5.4): when it was taken, then when it was digitized.
// What the container itself says and the receiver's time, in UTC, follow; DateTime is last: it is the time of the
// file's last change.
constexpr TimeField kTimes[] = {
    {"Exif.Photo.DateTimeOriginal", "Exif.Photo.SubSecTimeOriginal", "Exif.Photo.OffsetTimeOriginal", ""},
    {"Exif.Image.DateTimeOriginal", "", "", ""},
    {"Xmp.exif.DateTimeOriginal", "", "", ""},
    {"Iptc.Application2.DateCreated", "", "", "Iptc.Application2.TimeCreated"},
    {"Xmp.photoshop.DateCreated", "", "", ""},
    {"Exif.Photo.DateTimeDigitized", "Exif.Photo.SubSecTimeDigitized", "Exif.Photo.OffsetTimeDigitized", "",
     TimeSource::kDigitized},
    {"Iptc.Application2.DigitizationDate", "", "", "Iptc.Application2.DigitizationTime", TimeSource::kDigitized},
    {"Xmp.xmp.CreateDate", "", "", "", TimeSource::kDigitized},
    {"Xmp.exif.DateTimeDigitized", "", "", "", TimeSource::kDigitized},
    {kContainerTime, "", "", ""},
    {"Exif.GPSInfo.GPSDateStamp", "", "", "Exif.GPSInfo.GPSTimeStamp", TimeSource::kGps},
    {"Xmp.exif.GPSTimeStamp", "", "", "", TimeSource::kGps},
    {"Exif.Image.DateTime", "Exif.Photo.SubSecTime", "Exif.Photo.OffsetTime", "", TimeSource::kModified},
};

struct RatingField {
  std::string_view key;
  bool percent;  // Windows' 1, 25, 50, 75, 99 for one to five stars
};
constexpr RatingField kRatings[] = {{"Xmp.xmp.Rating", false},
                                    {"Exif.Image.Rating", false},
                                    {"Xmp.MicrosoftPhoto.Rating", true},
                                    {"Exif.Image.RatingPercent", true}};

// ---- Conversion of exiv2's values

// exiv2's log callback has no user data: this is the current reader's list on this thread.
thread_local std::vector<std::string>* log_sink = nullptr;

void add_warning(std::vector<std::string>& warnings, std::string_view text) {
  std::string warning = clean_text(text);
  if (warnings.size() < kMaxWarnings && std::ranges::find(warnings, warning) == warnings.end())
    warnings.push_back(std::move(warning));
}

void on_log(int, const char* text) {
  if (log_sink) add_warning(*log_sink, text);
}

class LogTo {
 public:
  explicit LogTo(std::vector<std::string>& warnings) : before_(std::exchange(log_sink, &warnings)) {}
  LogTo(const LogTo&) = delete;
  LogTo& operator=(const LogTo&) = delete;
  ~LogTo() { log_sink = before_; }

 private:
  std::vector<std::string>* before_;
};

std::string raw_bytes(const Exiv2::Metadatum& tag) {
  std::string bytes(static_cast<size_t>(std::clamp<long>(tag.size(), 0, kMaxText)), '\0');
  if (tag.size() > 0 && static_cast<size_t>(tag.size()) == bytes.size())
    tag.value().copy(reinterpret_cast<Exiv2::byte*>(bytes.data()), Exiv2::littleEndian);
  return bytes;
}

std::string text_of(const Exiv2::Metadatum& tag) {
  if (const auto* languages = dynamic_cast<const Exiv2::LangAltValue*>(&tag.value())) {
    const auto chosen = languages->value_.find("x-default");
    if (chosen != languages->value_.end()) return clean_text(chosen->second);
    return languages->value_.empty() ? std::string() : clean_text(languages->value_.begin()->second);
  }
  const auto key = tag.key();
  if (key == "Exif.Photo.UserComment") return clean_user_comment(raw_bytes(tag), ByteOrder::kLittle);
  if (key.starts_with("Exif.Image.XP")) return clean_utf16(raw_bytes(tag), ByteOrder::kLittle);
  if (tag.typeId() == Exiv2::xmpSeq || tag.typeId() == Exiv2::xmpBag) {
    std::string all;
    for (long i = 0; i < std::min(tag.count(), 64L); ++i) all += (i ? ", " : "") + tag.toString(i);
    return clean_text(all);
  }
  return clean_text(tag.toString());
}

std::optional<double> number_of(const Exiv2::Metadatum& tag, long index = 0) {
  if (index >= tag.count()) return std::nullopt;
  if (tag.typeId() == Exiv2::unsignedRational || tag.typeId() == Exiv2::signedRational) {
    const auto [above, below] = tag.toRational(index);
    // Here exiv2 converts an unsigned rational through a signed one.
    const bool is_unsigned = tag.typeId() == Exiv2::unsignedRational;
    const double n = is_unsigned ? double(std::uint32_t(above)) : above;
    const double d = is_unsigned ? double(std::uint32_t(below)) : below;
    if (d == 0) return std::nullopt;
    return n / d;
  }
  return parse_number(tag.toString(index));
}

// All tags that a table above could name, by key.
class Tags {
 public:
  template <typename Data>
  void add(const Data& data) {
    for (const Exiv2::Metadatum& tag : data) {
      // Maker notes have hundreds of tags that no table uses.
      if constexpr (std::is_same_v<Data, Exiv2::ExifData>) {
        const auto group = tag.groupName();
        if (group != "Image" && group != "Photo" && group != "GPSInfo") continue;
      }
      tags_[tag.key()].push_back(&tag);
    }
  }
  [[nodiscard]] std::span<const Exiv2::Metadatum* const> all(std::string_view key) const {
    const auto found = tags_.find(key);
    if (found == tags_.end()) return {};
    return found->second;
  }
  [[nodiscard]] const Exiv2::Metadatum* one(std::string_view key) const {
    const auto found = all(key);
    return found.empty() ? nullptr : found.front();
  }
  [[nodiscard]] std::string text(std::string_view key) const {
    const auto* tag = one(key);
    return tag ? text_of(*tag) : std::string();
  }
  [[nodiscard]] std::optional<double> number(std::string_view key) const {
    const auto* tag = one(key);
    return tag ? number_of(*tag) : std::nullopt;
  }
  [[nodiscard]] TagTexts words() const {
    TagTexts words;
    for (const auto& [key, tags] : tags_)
      for (const auto* tag : is_word_tag(key) ? std::span(tags) : std::span<const Exiv2::Metadatum* const>())
        if (tag->typeId() == Exiv2::xmpBag || tag->typeId() == Exiv2::xmpSeq || tag->typeId() == Exiv2::xmpAlt)
          for (long i = 0; i < tag->count(); ++i) words.emplace(key, clean_text(tag->toString(i)));
        else
          words.emplace(key, text_of(*tag));
    return words;
  }

 private:
  std::map<std::string, std::vector<const Exiv2::Metadatum*>, std::less<>> tags_;
};

// ---- Fields that need more than a lookup. Each fills only what is still empty.

// The receiver's hours, minutes and seconds as "09:08:07.5Z"; empty unless all three are numbers.
std::string gps_clock(const Exiv2::Metadatum& tag) {
  std::array<double, 3> parts{};
  for (long i = 0; i < 3; ++i) {
    const auto part = number_of(tag, i);
    if (!part || *part < 0 || *part > 60) return {};
    parts[static_cast<size_t>(i)] = *part;
  }
  const double second = std::floor(parts[2]);
  const auto thousandths = static_cast<int>((parts[2] - second) * 1000);
  return fmt::format("{:02.0f}:{:02.0f}:{:02.0f}{}Z", parts[0], parts[1], second,
                     thousandths > 0 ? fmt::format(".{:03}", thousandths) : "");
}

std::string clock_of(const Tags& tags, std::string_view key) {
  const auto* tag = tags.one(key);
  if (!tag) return {};
  return tag->typeId() == Exiv2::unsignedRational ? gps_clock(*tag) : text_of(*tag);
}

// `container`: the text of kContainerTime.
void merge_time(const Tags& tags, const std::string& container, Metadata& metadata) {
  for (const auto& field : kTimes) {
    if (metadata.taken) return;
    auto text = field.date == kContainerTime ? container : tags.text(field.date);
    if (text.empty()) continue;
    const auto time = clock_of(tags, field.time);
    if (!time.empty()) text.append(1, 'T').append(time);
    metadata.taken = parse_time(text);
    if (!metadata.taken) {
      add_warning(metadata.warnings, std::string(field.date) + " is not a date: " + text.substr(0, 40));
      continue;
    }
    CaptureTime& taken = *metadata.taken;
    taken.source = field.source;
    if (taken.precision < TimePrecision::kMinute) return;
    const auto subsecond = tags.text(field.subsecond);
    if (!subsecond.empty() && taken.precision == TimePrecision::kSecond && taken.local.find('.') == std::string::npos &&
        subsecond.find_first_not_of("0123456789") == std::string::npos)
      taken.local.append(1, '.').append(subsecond, 0, 9);
    if (!taken.offset_minutes) taken.offset_minutes = parse_offset(tags.text(field.offset));
  }
}

// Of the letter of a hemisphere, as the standard has it or in lower case.
bool is_negative(std::string_view reference) {
  return !reference.empty() && "SWsw"sv.find(reference.front()) != std::string_view::npos;
}

// EXIF: degrees, minutes, seconds as three rationals.
std::optional<double> exif_angle(const Tags& tags, const std::string& key) {
  const auto* tag = tags.one(key);
  if (!tag || tag->count() < 1) return std::nullopt;
  double degrees = 0, unit = 1;
  for (long i = 0; i < std::min(tag->count(), 3L); ++i, unit /= 60) {
    const auto part = number_of(*tag, i);
    if (!part) return std::nullopt;
    degrees += *part * unit;
  }
  return is_negative(tags.text(key + "Ref")) ? -degrees : degrees;
}

// XMP: "48,8.232N" or "48,8,13.9N" (XMP specification part 2, GPSCoordinate); also plain degrees, "-48.1372", whose
// reference is a letter behind them or `reference`.
std::optional<double> xmp_angle(std::string_view text, std::string_view reference) {
  if (text.empty()) return std::nullopt;
  if ("NSEWnsew"sv.find(text.back()) != std::string_view::npos) {
    reference = text.substr(text.size() - 1);
    text.remove_suffix(1);
  }
  double degrees = 0, unit = 1;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const auto part = parse_number(text.substr(0, comma));
    if (!part) return std::nullopt;
    degrees += *part * unit;
    unit /= 60;
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return is_negative(reference) ? -std::abs(degrees) : degrees;
}

// The position by the tags that begin with `prefix`. nullopt where they have none, where it is 0, 0 (what receivers
// write that have none yet), and, with a warning, where it cannot be one.
std::optional<Gps> position(const Tags& tags, const std::string& prefix, std::vector<std::string>& warnings) {
  const auto angle = [&](const char* name) {
    const std::string key = prefix + name;
    return prefix.starts_with("Exif.") ? exif_angle(tags, key) : xmp_angle(tags.text(key), tags.text(key + "Ref"));
  };
  const bool has_latitude = tags.one(prefix + "GPSLatitude"), has_longitude = tags.one(prefix + "GPSLongitude");
  if (!has_latitude && !has_longitude) return std::nullopt;
  const auto latitude = angle("GPSLatitude"), longitude = angle("GPSLongitude");
  if (!has_latitude || !has_longitude) {
    add_warning(warnings, has_latitude ? "the GPS position has no longitude" : "the GPS position has no latitude");
  } else if (!latitude || !longitude) {
    add_warning(warnings, "the GPS position is not a number");
  } else if (std::abs(*latitude) > 90 || std::abs(*longitude) > 180) {
    add_warning(warnings, "the GPS position is not a place on Earth");
  } else if (*latitude != 0 || *longitude != 0) {
    return Gps{*latitude, *longitude, std::nullopt};
  }
  return std::nullopt;
}

void merge_gps(const Tags& tags, Metadata& metadata) {
  constexpr double kFarAway = 1e6;
  for (const char* prefix : {"Exif.GPSInfo.", "Xmp.exif."}) {
    if (metadata.gps) return;
    metadata.gps = position(tags, prefix, metadata.warnings);
    const auto altitude = tags.number(prefix + "GPSAltitude"s);
    if (metadata.gps && altitude && std::abs(*altitude) < kFarAway)
      metadata.gps->altitude = tags.number(prefix + "GPSAltitudeRef"s).value_or(0) == 1 ? -*altitude : *altitude;
  }
}

// A sidecar's is a person's correction; a picture that its library turns is upright whatever else is written.
std::uint32_t find_orientation(const Tags& beside, std::uint32_t stated, const Tags& embedded) {
  if (stated == Blocks::kTurned) return 1;
  const auto number = [](const Tags& tags, std::string_view key) {
    const double value = tags.number(key).value_or(0);
    return value >= 1 && value <= 8 ? static_cast<std::uint32_t>(value) : 0;
  };
  for (const std::uint32_t orientation :
       {number(beside, "Xmp.tiff.Orientation"), stated, number(embedded, "Exif.Image.Orientation"),
        number(embedded, "Xmp.tiff.Orientation")})
    if (orientation != 0) return orientation;
  return 1;
}

void merge_rating(const Tags& tags, Metadata& metadata) {
  for (const auto& field : kRatings) {
    const auto value = tags.number(field.key);
    if (metadata.rating || !value || !(*value >= -1 && *value <= 100)) continue;
    const double stars = !field.percent ? *value : *value < 1 ? 0 : 1 + std::round((*value - 1) / 24.5);
    if (stars <= 5) metadata.rating = static_cast<std::int32_t>(stars);
  }
}

// Android's "Motion photo format" 1.0, and the property that it replaces.
constexpr std::array kMotionPhoto = {"Xmp.GCamera.MotionPhoto"sv, "Xmp.GCamera.MicroVideo"sv};

void merge(const Tags& tags, Metadata& metadata) {
  for (const auto& field : kTexts)
    for (const auto key : field.keys)
      if (auto& text = metadata.*field.member; text.empty() && !key.empty()) {
        text = tags.text(key);
        if (field.has_defaults && is_default_text(text, metadata)) text.clear();
      }
  for (const auto& field : kNumbers)
    for (const auto key : field.keys) {
      auto& number = metadata.*field.member;
      const auto value = number || key.empty() ? std::nullopt : tags.number(key);
      if (value && *value >= field.least && *value <= field.most) number = value;
    }
  if (const auto flash = tags.number("Exif.Photo.Flash"); flash && !metadata.flash)
    metadata.flash = (static_cast<std::uint32_t>(std::clamp(*flash, 0.0, 65535.0)) & 1) != 0;
  for (const auto key : kMotionPhoto) metadata.motion_photo |= tags.number(key).value_or(0) > 0;
  merge_gps(tags, metadata);
  merge_rating(tags, metadata);
  const TagTexts words = tags.words();
  if (metadata.keywords.empty()) add_keywords(words, metadata.keywords);
  if (metadata.people.empty()) add_people(words, metadata.people);
  if (!metadata.place) metadata.place = written_place(words);
}

// ---- Reading blocks

const Exiv2::byte* as_exiv2(Bytes bytes) { return reinterpret_cast<const Exiv2::byte*>(bytes.data()); }

// Of several of a kind the first has precedence.
struct Tagged {
  std::vector<Exiv2::ExifData> exif;
  std::vector<Exiv2::XmpData> xmp;
  std::vector<Exiv2::IptcData> iptc;

  void add_to(Tags& tags) const {
    for (const auto& one : exif) tags.add(one);
    for (const auto& one : xmp) tags.add(one);
    for (const auto& one : iptc) tags.add(one);
  }
};

// Runs `read`; exiv2's exceptions become warnings about `what`.
template <typename Read>
void attempt(std::string_view what, Metadata& metadata, Read read) {
  try {
    read();
  } catch (const std::exception& error) {
    add_warning(metadata.warnings, std::string(what) + " is broken: " + error.what());
  }
}

bool decode_xmp(const std::string& packet, std::vector<Exiv2::XmpData>& into) {
  try {
    return Exiv2::XmpParser::decode(into.emplace_back(), packet) == 0;
  } catch (const std::exception&) {
    return false;
  }
}

// A fault costs its property alone.
void read_xmp(const std::string& text, std::string_view what, std::vector<Exiv2::XmpData>& xmp, Metadata& metadata) {
  if (decode_xmp(text, xmp)) return;
  add_warning(metadata.warnings, std::string(what) + " is broken");
  std::vector<std::string> reasons;  // the first one is among the warnings
  const LogTo log(reasons);
  for (const XmpProperty& property : xmp_properties(text))
    if (!decode_xmp(property.packet, xmp))
      add_warning(metadata.warnings, fmt::format("{}: {} cannot be read", what, property.name));
}

void read_xmp(Bytes packet, std::string_view what, std::vector<Exiv2::XmpData>& xmp, Metadata& metadata) {
  if (!packet.empty() && packet.size() <= kMaxXmp) read_xmp(xmp_text(packet), what, xmp, metadata);
}

// The packet of a TIFF, which is a tag there; else that of another container, as exiv2 has it.
std::string packet_in(Exiv2::Image& image) {
  const auto tag = image.exifData().findKey(Exiv2::ExifKey("Exif.Image.XMLPacket"));
  if (tag == image.exifData().end() || tag->size() <= 0) return image.xmpPacket();
  std::string packet(static_cast<size_t>(tag->size()), '\0');
  tag->copy(reinterpret_cast<Exiv2::byte*>(packet.data()), Exiv2::bigEndian);
  return packet;
}

// What exiv2 has read before it finds a fault is kept.
void read_whole_file(Bytes file, Tagged& tagged, Metadata& metadata) {
  attempt("the metadata", metadata, [&] {
    const auto image = Exiv2::ImageFactory::open(as_exiv2(file), static_cast<long>(file.size()));
    attempt("the metadata", metadata, [&] { image->readMetadata(); });
    tagged.exif.push_back(image->exifData());
    tagged.xmp.push_back(image->xmpData());
    tagged.iptc.push_back(image->iptcData());
    if (image->xmpData().empty()) {
      const std::string packet = packet_in(*image);
      read_xmp(std::as_bytes(std::span(packet)), "XMP", tagged.xmp, metadata);
    }
  });
}

void read_blocks(const TagBlocks& blocks, Tagged& tagged, Metadata& metadata) {
  for (const Bytes exif : blocks.exif) {
    if (exif.empty()) continue;
    attempt("EXIF", metadata, [&] {
      const auto order = Exiv2::ExifParser::decode(tagged.exif.emplace_back(), as_exiv2(exif),
                                                   static_cast<std::uint32_t>(exif.size()));
      if (order == Exiv2::invalidByteOrder) add_warning(metadata.warnings, "EXIF is broken");
    });
  }
  for (const Bytes xmp : blocks.xmp) read_xmp(xmp, "XMP", tagged.xmp, metadata);
  std::vector<Bytes> records = blocks.iptc;
  for (const Bytes photoshop : blocks.photoshop)
    std::ranges::copy(iptc_resources(photoshop), std::back_inserter(records));
  for (const Bytes iptc : records)
    attempt("IPTC", metadata, [&] {
      Exiv2::IptcParser::decode(tagged.iptc.emplace_back(), as_exiv2(iptc), static_cast<std::uint32_t>(iptc.size()));
    });
}

// Lightroom and others write the file's extension into a sidecar that is named without it.
bool is_for(MediaFormat format, const Tags& sidecar) {
  std::string extension = ascii_lower(sidecar.text("Xmp.photoshop.SidecarForExtension"));
  if (extension.starts_with('.')) extension.erase(0, 1);
  if (extension.empty()) return true;
  const std::vector<MediaFormat> formats = formats_called(extension);
  return formats.empty() ? is_raw(format) : std::ranges::find(formats, format) != formats.end();
}

// exiv2's name for the maker's lens number; ignores "Unknown" and bare numbers.
std::string lens_by_maker_note(const Exiv2::ExifData& exif) {
  const auto lens = Exiv2::lensName(exif);
  if (lens == exif.end()) return {};
  const auto name = clean_text(lens->print(&exif));
  const bool named = name.find_first_of("0123456789") != std::string::npos && !name.starts_with('(') &&
                     !name.starts_with("Unknown") && name.find_first_not_of("0123456789 .-/") != std::string::npos;
  return named ? name : std::string();
}

// Tag 17 of Apple's maker note: "Apple iOS", a version, "MM", then a directory whose offsets begin at the note.
std::string apple_content_identifier(const Exiv2::ExifData& exif) {
  constexpr std::uint64_t kOrder = 12, kDirectory = 14, kEntry = 12, kMostEntries = 512, kLongest = 256;
  constexpr std::uint16_t kContentIdentifier = 0x11, kAscii = 2;
  const auto tag = exif.findKey(Exiv2::ExifKey("Exif.Photo.MakerNote"));
  if (tag == exif.end() || tag->size() < static_cast<long>(kDirectory)) return {};
  std::vector<std::byte> bytes(static_cast<size_t>(tag->size()));
  tag->copy(reinterpret_cast<Exiv2::byte*>(bytes.data()), Exiv2::bigEndian);
  const ByteView any_order(bytes);
  if (!any_order.starts_with("Apple iOS")) return {};
  const ByteView note =
      any_order.with_order(any_order.starts_with("II", kOrder) ? ByteOrder::kLittle : ByteOrder::kBig);
  const std::uint64_t entries = std::min<std::uint64_t>(note.u16(kDirectory), kMostEntries);
  for (std::uint64_t i = 0; i < entries; ++i) {
    const std::uint64_t at = kDirectory + 2 + i * kEntry;
    const std::uint64_t length = note.u32(at + 4);
    if (note.u16(at) == kContentIdentifier && note.u16(at + 2) == kAscii && length > 4 && length <= kLongest)
      return clean_text(note.text(note.u32(at + 8), length));
  }
  return {};
}

}  // namespace

Status init_tags() {
  static std::mutex xmp_mutex;
  const auto lock = [](void* mutex, bool take) {
    auto& m = *static_cast<std::mutex*>(mutex);
    take ? m.lock() : m.unlock();
  };
  Exiv2::enableBMFF(true);  // of Canon's CR3
  Exiv2::LogMsg::setHandler(on_log);
  Exiv2::LogMsg::setLevel(Exiv2::LogMsg::error);
  if (!Exiv2::XmpParser::initialize(lock, &xmp_mutex))
    return fail(ErrorCode::kInternal, "exiv2's XMP support does not start");
  return {};
}

std::string exiv2_version() { return Exiv2::version(); }

void merge_tags(Bytes file, const Blocks& blocks, Bytes sidecar, Metadata& metadata) {
  const LogTo log(metadata.warnings);
  Tagged embedded, beside;
  if (blocks.tags.whole_file) read_whole_file(file, embedded, metadata);
  read_blocks(blocks.tags, embedded, metadata);
  read_xmp(sidecar, "the XMP sidecar", beside.xmp, metadata);

  attempt("the metadata", metadata, [&] {
    Tags sidecar_tags, tags;
    beside.add_to(sidecar_tags);
    if (!is_for(metadata.format, sidecar_tags)) sidecar_tags = Tags(), beside = Tagged();
    merge(sidecar_tags, metadata);
    embedded.add_to(tags);
    merge(tags, metadata);
    metadata.orientation = find_orientation(sidecar_tags, blocks.orientation, tags);
    Tags all;  // a time's rank is its tag's, in whichever of both it is
    beside.add_to(all);
    embedded.add_to(all);
    merge_time(all, blocks.time, metadata);
    for (const auto& exif : embedded.exif) {
      if (metadata.lens.empty()) metadata.lens = lens_by_maker_note(exif);
      if (metadata.content_identifier.empty()) metadata.content_identifier = apple_content_identifier(exif);
    }
  });
}

void merge_sidecar(Bytes sidecar, Metadata& metadata) {
  Metadata beside;
  beside.format = metadata.format;
  merge_tags({}, {}, sidecar, beside);
  for (const auto& field : kTexts)
    if (auto& text = beside.*field.member; !text.empty()) metadata.*field.member = std::move(text);
  if (!beside.keywords.empty()) metadata.keywords = std::move(beside.keywords);
  if (!beside.people.empty()) metadata.people = std::move(beside.people);
  if (beside.place) metadata.place = std::move(beside.place);
  if (beside.gps) metadata.gps = beside.gps;
  if (beside.rating) metadata.rating = beside.rating;
  if (beside.taken && (!metadata.taken || beside.taken->source <= TimeSource::kDigitized))
    metadata.taken = std::move(beside.taken);
  for (const std::string& warning : beside.warnings) add_warning(metadata.warnings, warning);
}

}  // namespace image_engine::media
