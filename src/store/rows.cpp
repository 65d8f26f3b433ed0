#include "store/rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>

#include "core/file.h"
#include "core/json.h"

namespace image_engine::store {
namespace {

constexpr std::string_view kFormerMark = "x";

constexpr std::string_view kStates[] = {"present", "missing", "excluded", "offline"};
constexpr std::string_view kTextFieldNames[] = {"name",
                                                "title",
                                                "description",
                                                "keyword",
                                                "place",
                                                "camera",
                                                "lens",
                                                "creator",
                                                "object",
                                                "scene",
                                                "text",
                                                "caption",
                                                "person",
                                                "product",
                                                "any",
                                                "action",
                                                "action (zero-shot)",
                                                "sound",
                                                "said"};
static_assert(std::size(kTextFieldNames) == static_cast<size_t>(TextField::kSaid) + 1);

constexpr const char* kPlaceKeys[] = {"city", "region", "country", "country_code", "location"};
constexpr std::string Place::*kPlaceParts[] = {&Place::city, &Place::region, &Place::country, &Place::country_code,
                                               &Place::location};

}  // namespace

Result<FileStamp> stamp_of(int fd) {
  struct stat file {};
  if (::fstat(fd, &file) != 0) return fail(errno_error("cannot be examined"));
  return FileStamp{file.st_size, mtime_ns(file)};
}

std::string_view state_name(FileState state) { return kStates[static_cast<size_t>(state)]; }

std::string_view text_field_name(TextField field) { return kTextFieldNames[static_cast<size_t>(field)]; }

TextField field_from_name(std::string_view name) {
  const auto* found = std::ranges::find(kTextFieldNames, name);
  return found == std::end(kTextFieldNames) ? TextField::kAny : static_cast<TextField>(found - kTextFieldNames);
}

TextField column_of(TextField field) {
  return field > TextField::kAny && field != TextField::kSaid ? TextField::kScene : field;
}

bool is_in(TextField field, TextField searched) {
  const bool action = searched == TextField::kAction && field == TextField::kZeroShotAction;
  return action || searched == TextField::kAny || searched == field || searched == column_of(field);
}

const Counted& counted_in(TextField field) {
  static const Counted kObjects = {"asset_objects", "objects"};
  static const Counted kProducts = {"asset_products", "retail_products"};
  return field == TextField::kProducts ? kProducts : kObjects;
}

std::string text_columns() { return fmt::format("{}", fmt::join(std::span(kTextFieldNames).first(kTextFields), ", ")); }

FileState state_from_name(std::string_view name) {
  const auto* found = std::ranges::find(kStates, name);
  return found == std::end(kStates) ? FileState::kPresent : static_cast<FileState>(found - std::begin(kStates));
}

MediaKind kind_from_name(std::string_view name) {
  for (const MediaKind kind : kMediaKinds)
    if (kind_name(kind) == name) return kind;
  return MediaKind::kNone;
}

KnownFile read_file_row(const Query& row) {
  KnownFile file;
  file.id = row.integer(0);
  file.asset = row.integer(1);
  file.seen.path = row.bytes(2);
  file.seen.device = static_cast<std::uint64_t>(row.integer(3));
  file.seen.inode = static_cast<std::uint64_t>(row.integer(4));
  file.seen.stamp = {row.integer(5), row.integer(6)};
  if (!row.is_null(7)) file.seen.sidecar = Sidecar{row.bytes(7), {row.integer(8), row.integer(9)}};
  file.seen.format = format_from_name(row.bytes(10));
  file.seen.kind = kind_from_name(row.bytes(11));
  file.state = state_from_name(row.bytes(12));
  file.hashed = row.integer(13) != 0;
  file.carried = row.integer(14) != 0;
  file.metadata_version = row.bytes(15);
  file.seen.orientation = static_cast<std::uint32_t>(row.integer(16));
  return file;
}

Failure read_failure_row(const Query& row) {
  Failure failure;
  failure.id = row.integer(0);
  failure.file = row.integer(1);
  failure.asset = row.integer(2);
  failure.path = row.bytes(3);
  failure.key = {row.bytes(4), row.bytes(5), row.bytes(6), row.bytes(7)};
  failure.error = {error_code_from_name(row.bytes(8)), row.bytes(9)};
  failure.stamp = {row.integer(10), row.integer(11)};
  failure.tries = row.integer(12);
  failure.first_at = row.bytes(13);
  failure.last_at = row.bytes(14);
  return failure;
}

Record read_record_row(const Query& row) {
  return {
      {row.bytes(0), row.bytes(1), row.bytes(2), row.bytes(3)}, row.bytes(4), row.bytes(5), row.bytes(6), row.bytes(7)};
}

Hash128 hash_from_bytes(std::string_view bytes) {
  Hash128 hash;
  if (is_former_hash(bytes)) bytes.remove_prefix(kFormerMark.size());
  if (bytes.size() == hash.bytes.size()) std::copy(bytes.begin(), bytes.end(), hash.bytes.begin());
  return hash;
}

bool is_former_hash(std::string_view bytes) {
  return bytes.size() == kFormerMark.size() + sizeof(Hash128) && bytes.starts_with(kFormerMark);
}

std::string former_bytes_of(const Hash128& hash) { return std::string(kFormerMark) + bytes_of(hash); }

std::string bytes_of(const Hash128& hash) { return {hash.bytes.begin(), hash.bytes.end()}; }

void require_asset(Connection& connection, AssetId asset) {
  if (connection.integer("SELECT EXISTS(SELECT 1 FROM assets WHERE id = ?)", asset) == 0)
    raise(ErrorCode::kNotFound, "asset " + std::to_string(asset) + " is not in the catalogue");
}

void require_space(Connection& connection, SpaceId space) {
  if (connection.integer("SELECT EXISTS(SELECT 1 FROM spaces WHERE id = ?)", space) == 0)
    raise(ErrorCode::kNotFound, "vector space " + std::to_string(space) + " is not in the catalogue");
}

std::string hash_of_asset(Connection& connection, AssetId asset) {
  auto row = connection.query("SELECT hash FROM assets WHERE id = ? AND hash IS NOT NULL", asset);
  if (!row.next())
    raise(ErrorCode::kNotFound, "asset " + std::to_string(asset) + " is not in the catalogue, or was not read yet");
  return row.bytes(0);
}

std::string box_to_json(const Box& box) { return fmt::format("[{}, {}, {}, {}]", box.x, box.y, box.width, box.height); }

std::optional<Box> box_from_json(const std::string& text) {
  const auto json = parse_json(text);
  if (!json.is_array() || json.size() != 4) return std::nullopt;
  for (const auto& number : json)
    if (!number.is_number()) return std::nullopt;
  return Box{json[0].get<float>(), json[1].get<float>(), json[2].get<float>(), json[3].get<float>()};
}

std::vector<KnownFile> files_below(Connection& connection, const std::string& root) {
  const PathRange range = below(root);
  std::vector<KnownFile> files;
  auto row = connection.query("SELECT " IE_FILE_COLUMNS IE_FILES "WHERE f.path = ? OR (f.path >= ? AND f.path < ?)",
                              Blob{range.self}, Blob{range.from}, Blob{range.to});
  while (row.next()) files.push_back(read_file_row(row));
  return files;
}

PathRange below(std::string_view root) {
  while (!root.empty() && root.back() == '/') root.remove_suffix(1);
  const std::string folder(root);
  // '0' is the byte after '/'.
  return {folder.empty() ? "/" : folder, folder + "/", folder + "0"};
}

bool is_at_or_below(std::string_view path, const PathRange& range) {
  return path == range.self || path.starts_with(range.from);
}

std::string facts_to_json(const FileFacts& facts) {
  nlohmann::json json = facts.metadata;
  if (facts.place) {
    auto& place = json["place"] = nlohmann::json::object();
    for (size_t i = 0; i < std::size(kPlaceKeys); ++i) {
      const std::string& part = (*facts.place).*kPlaceParts[i];
      if (!part.empty()) place[kPlaceKeys[i]] = part;
    }
  }
  return json_text(json);
}

std::optional<FileFacts> facts_from_json(const std::string& text) {
  try {
    const nlohmann::json json = parse_json(text);
    if (json.is_discarded()) return std::nullopt;
    FileFacts facts{json.get<Metadata>(), std::nullopt};
    if (const auto place = json.find("place"); place != json.end() && place->is_object()) {
      facts.place.emplace();
      for (size_t i = 0; i < std::size(kPlaceKeys); ++i)
        (*facts.place).*kPlaceParts[i] = place->value(kPlaceKeys[i], std::string());
    }
    return facts;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace image_engine::store
