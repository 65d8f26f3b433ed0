#include "store/asset_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "core/text.h"
#include "store/asset_query.h"
#include "store/folding.h"
#include "store/live_photos.h"
#include "store/name_parts.h"
#include "store/rows.h"
#include "store/speech_index.h"

namespace image_engine::store {
namespace {

struct CodeRange {
  char32_t first, last;
};
// Thai, Lao, Burmese, Khmer, kana, CJK with its extensions and compatibility forms, half-width kana.
constexpr CodeRange kUnspaced[] = {
    {0x0E00, 0x0EFF}, {0x1000, 0x109F}, {0x1780, 0x17FF}, {0x19E0, 0x19FF}, {0x2E80, 0x2FDF},   {0x3005, 0x3007},
    {0x3040, 0x30FF}, {0x3100, 0x312F}, {0x31A0, 0x31BF}, {0x31F0, 0x31FF}, {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},
    {0xA9E0, 0xA9FF}, {0xAA60, 0xAA7F}, {0xF900, 0xFAFF}, {0xFF66, 0xFF9D}, {0x1B000, 0x1B16F}, {0x20000, 0x3FFFF}};

// A few invalid bytes may be mistaken for a letter; this only costs a row in the trigram index.
char32_t code_at(std::string_view text, size_t i) {
  const auto byte = [&](size_t k) -> char32_t {
    return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U;
  };
  const char32_t first = byte(0);
  if (first >= 0xF0) return (first & 7) << 18 | (byte(1) & 63) << 12 | (byte(2) & 63) << 6 | (byte(3) & 63);
  if (first >= 0xE0) return (first & 15) << 12 | (byte(1) & 63) << 6 | (byte(2) & 63);
  return first;
}

void append_line(std::string& text, std::string_view line) {
  if (line.empty()) return;
  if (!text.empty()) text += '\n';
  text += line;
}

bool has_line(std::string_view text, std::string_view line) {
  for (size_t from = 0; from <= text.size();) {
    const size_t end = std::min(text.find('\n', from), text.size());
    if (text.substr(from, end - from) == line) return true;
    from = end + 1;
  }
  return false;
}

// Several files of an asset mostly have the same.
void add_line(std::string& text, std::string_view line) {
  if (!has_line(text, line)) append_line(text, line);
}

// Longer text does not help search, and enlarges the index.
constexpr size_t kMostText = size_t{64} << 10;

// Valid UTF-8 without NUL, which would end the text for some of SQLite's functions.
std::string clean(std::string_view text) {
  std::string cleaned = to_utf8(text.substr(0, kMostText));
  std::ranges::replace(cleaned, '\0', ' ');
  return cleaned;
}

std::string repeated(std::string_view text, size_t times) {
  std::string result;
  for (size_t i = 0; i < times; ++i) result += text;
  return result;
}

std::optional<std::string> or_null(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(clean(text));
}

}  // namespace

bool has_unspaced_script(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (static_cast<unsigned char>(text[i]) < 0xE0) continue;
    const char32_t code = code_at(text, i);
    for (const CodeRange& range : kUnspaced)
      if (code >= range.first && code <= range.last) return true;
  }
  return false;
}

struct AssetIndex::Document {
  bool has_file = false;
  bool provisional = true;
  bool shown = false;
  std::string kind, format;
  std::shared_ptr<const FileFacts> facts;
  std::optional<std::int64_t> rating;
  std::array<std::string, kTextFields> text;
  std::string& operator[](TextField field) { return text[static_cast<size_t>(field)]; }
};

// Who made it, and what it is part of.
void AssetIndex::add_sound(Document& document, const AudioInfo& audio) {
  for (const std::string& maker : {audio.album_artist, audio.composer})
    add_line(document[TextField::kCreator], clean(maker));
  for (const std::string& name : {audio.album, audio.genre}) add_line(document[TextField::kKeywords], clean(name));
}

// What people and programs have written into a file. Files with equal pictures or sound may differ in it.
void AssetIndex::add_tags(Document& document, const FileFacts& facts) {
  const Metadata& m = facts.metadata;
  // "Canon" + "Canon EOS 40D" becomes "Canon EOS 40D".
  const bool repeated = !m.make.empty() && m.model.starts_with(m.make);
  const std::pair<TextField, std::string> single[] = {
      {TextField::kTitle, m.title},
      {TextField::kDescription, m.description},
      {TextField::kCamera, repeated || m.make.empty() ? m.model : m.make + " " + m.model},
      {TextField::kLens, m.lens},
      {TextField::kCreator, m.creator}};
  for (const auto& [field, text] : single) add_line(document[field], clean(text));
  for (const std::string& keyword : m.keywords) add_line(document[TextField::kKeywords], clean(keyword));
  for (const std::string& name : m.people) add_line(document[TextField::kPeople], clean(name));
  if (m.audio) add_sound(document, *m.audio);
  if (facts.place)
    for (const std::string& part :
         {facts.place->location, facts.place->city, facts.place->region, facts.place->country})
      add_line(document[TextField::kPlace], clean(part));
}

void AssetIndex::load_roots() {
  roots_.clear();
  for (auto row = connection_.query("SELECT path FROM roots"); row.next();) roots_.push_back(row.bytes(0));
}

bool AssetIndex::is_outermost(const std::string& root) const {
  return std::ranges::none_of(roots_, [&](const std::string& known) { return is_at_or_below(root, below(known)); });
}

std::string AssetIndex::name_text(const std::string& path) const {
  size_t from = std::string::npos;
  for (const std::string& root : roots_)
    if (is_at_or_below(path, below(root))) from = std::min(from, root.rfind('/') + 1);
  if (from == std::string::npos) from = path.starts_with('/') ? 1 : 0;
  std::string text = path.substr(from);
  const std::string parts = name_parts(text);
  std::ranges::replace(text, '/', ' ');
  if (!parts.empty()) text += "\n " + parts;
  return clean(text);
}

void AssetIndex::refresh_names(AssetId asset) {
  std::string names;
  bool shown = false;
  auto row = connection_.query(
      "SELECT path, state FROM files WHERE asset_id = ? "
      "ORDER BY state IN ('missing', 'excluded'), state = 'offline', id",
      asset);
  while (row.next()) {
    const bool there = !is_away(state_from_name(row.bytes(1)));
    if (there || !shown) append_line(names, name_text(row.bytes(0)));
    shown = shown || there;
  }
  connection_.run("UPDATE asset_text SET name = ?1 WHERE rowid = ?2 AND name <> ?1", names, asset);
}

std::shared_ptr<const FileFacts> AssetIndex::facts_of(FileId file, const Query& row, int column) const {
  if (const auto known = facts_.find(file); known != facts_.end()) return known->second;
  std::optional<FileFacts> facts = facts_from_json(row.bytes(column));
  return facts ? std::make_shared<const FileFacts>(std::move(*facts)) : nullptr;
}

// Each copy of a picture refreshes its asset: without a limit, the tags of K copies would be read K² / 2 times.
constexpr int kMostTagged = 64;

void AssetIndex::read_files(AssetId asset, Document& document) {
  auto row = connection_.query(
      "SELECT f.path, f.state, f.format, f.kind, r.data, f.id FROM files f "
      "LEFT JOIN records r ON r.file_id = f.id AND r.stage = 'metadata' "
      "WHERE f.asset_id = ? ORDER BY f.state IN ('missing', 'excluded'), f.state = 'offline', f.id",
      asset);
  int tagged = 0;
  while (row.next()) {
    const bool there = !is_away(state_from_name(row.bytes(1)));
    if (!document.has_file) {
      document.format = row.bytes(2);
      document.kind = row.bytes(3);
    }
    document.has_file = true;
    // The names of missing files count only if all are missing.
    if (there || !document.shown) append_line(document[TextField::kName], name_text(row.bytes(0)));
    // So do their tags; those of the first files count, of which the present ones come first.
    const bool counts = there || !document.shown;
    document.shown = document.shown || there;
    if (row.is_null(4) || tagged == kMostTagged || !(counts || !document.facts)) continue;
    std::shared_ptr<const FileFacts> facts = facts_of(row.integer(5), row, 4);
    if (!facts) continue;
    ++tagged;
    add_tags(document, *facts);
    if (!document.facts) document.facts = std::move(facts);
  }
}

void AssetIndex::refresh(AssetId asset) {
  Document document;
  {
    auto row = connection_.query(
        "SELECT a.hash IS NULL, u.rating, t.title FROM assets a LEFT JOIN user_ratings u ON u.asset_hash = a.hash "
        "LEFT JOIN user_titles t ON t.asset_hash = a.hash WHERE a.id = ?",
        asset);
    if (!row.next()) return;
    document.provisional = row.integer(0) != 0;
    if (!row.is_null(1)) document.rating = row.integer(1);
    append_line(document[TextField::kTitle], clean(row.bytes(2)));
  }
  read_files(asset, document);
  if (!document.has_file) {
    if (document.provisional) return erase(asset);
    return connection_.run("UPDATE assets SET shown = 0 WHERE id = ?", asset);
  }
  if (document.kind == kind_name(MediaKind::kVideo) && is_live_clip(connection_, asset)) document.shown = false;
  if (document.facts && !document.rating) document.rating = document.facts->metadata.rating;
  for (auto row = connection_.query(
           "SELECT label FROM labels WHERE asset_hash = (SELECT hash FROM assets WHERE id = ?)", asset);
       row.next();)
    append_line(document[TextField::kKeywords], row.bytes(0));
  for (auto row = connection_.query("SELECT field, body FROM asset_found_text WHERE asset_id = ?", asset); row.next();)
    for (size_t field = 0; field < kTextFields; ++field)
      if (text_field_name(static_cast<TextField>(field)) == row.bytes(0))
        append_line(document.text[field], row.bytes(1));
  for (auto row = connection_.query("SELECT field, name FROM asset_classes WHERE asset_id = ? ORDER BY confidence DESC",
                                    asset);
       row.next();)
    if (const TextField field = field_from_name(row.bytes(0)); field != TextField::kAny)
      append_line(document[column_of(field)], clean(row.bytes(1)));
  write_columns(asset, document);
  write_text(asset, document);
}

void AssetIndex::write_columns(AssetId asset, const Document& document) {
  static const Metadata kNothing;
  const Metadata& m = document.facts ? document.facts->metadata : kNothing;
  const Place place = document.facts && document.facts->place ? *document.facts->place : Place();
  const auto known = [](std::uint32_t pixels) {
    return pixels == 0 ? std::nullopt : std::optional<std::int64_t>(pixels);
  };
  std::optional<std::string> taken;
  std::optional<std::int64_t> seconds, offset;
  if (m.taken) {
    taken = clean(m.taken->known_local());
    seconds = m.taken->local_seconds();
    if (m.taken->offset_minutes) offset = *m.taken->offset_minutes;
  }
  std::optional<double> latitude, longitude, altitude;
  if (m.gps) {
    latitude = m.gps->latitude;
    longitude = m.gps->longitude;
    altitude = m.gps->altitude;
  }
  connection_.run(
      "UPDATE assets SET kind = ?, format = ?, shown = ?, width = ?, height = ?, taken = ?, taken_seconds = ?, "
      "taken_offset = ?, make = ?, model = ?, lens = ?, latitude = ?, longitude = ?, altitude = ?, rating = ?, "
      "city = ?, region = ?, country = ?, country_code = ? WHERE id = ?",
      document.kind, document.format, document.shown, known(m.width), known(m.height), taken, seconds, offset,
      or_null(m.make), or_null(m.model), or_null(m.lens), latitude, longitude, altitude, document.rating,
      or_null(place.city), or_null(place.region), or_null(place.country), or_null(place.country_code), asset);
}

// Most photos have the same text after each pass; comparing costs a fraction of writing.
AssetIndex::Text AssetIndex::text_of(AssetId asset, const Document& document) {
  static const std::string kSelect = fmt::format("SELECT {} FROM asset_text WHERE rowid = ?", text_columns());
  auto row = connection_.query(kSelect, asset);
  if (!row.next()) return Text::kNone;
  for (size_t field = 0; field < kTextFields; ++field)
    if (row.bytes(static_cast<int>(field)) != document.text[field]) return Text::kOther;
  return Text::kSame;
}

void AssetIndex::write_text(AssetId asset, const Document& document) {
  static const std::string kColumns = text_columns();
  static const std::string kInsert = fmt::format("(rowid, {}) VALUES(?{})", kColumns, repeated(", ?", kTextFields));
  static const std::string kInsertText = "INSERT INTO asset_text" + kInsert;
  static const std::string kInsertTrigram = "INSERT INTO asset_trigram" + kInsert;
  const Text before = text_of(asset, document);
  if (before == Text::kSame) return;
  if (before == Text::kOther) connection_.run("DELETE FROM asset_text WHERE rowid = ?", asset);
  std::apply([&](const auto&... text) { connection_.run(kInsertText, asset, text...); }, document.text);
  // Both indexes have a row, or only the first.
  if (before == Text::kOther) connection_.run("DELETE FROM asset_trigram WHERE rowid = ?", asset);
  auto parts = document.text;
  for (size_t field = 0; field < kTextFields; ++field) {
    const bool in_pictures = static_cast<TextField>(field) == TextField::kText;
    parts[field] = in_pictures || has_unspaced_script(parts[field]) ? folded_text(parts[field]) : "";
  }
  if (std::ranges::all_of(parts, &std::string::empty)) return;
  std::apply([&](const auto&... text) { connection_.run(kInsertTrigram, asset, text...); }, parts);
}

void AssetIndex::erase(AssetId asset) {
  connection_.run("DELETE FROM asset_text WHERE rowid = ?", asset);
  connection_.run("DELETE FROM asset_trigram WHERE rowid = ?", asset);
  erase_speech(connection_, asset);
  connection_.run("DELETE FROM assets WHERE id = ?", asset);
}

}  // namespace image_engine::store
