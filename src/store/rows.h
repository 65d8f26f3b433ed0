// Rows to structs and back, shared by the readers and writers of store/.
#pragma once

#include <string>
#include <string_view>

#include "store/asset_query.h"
#include "store/facts.h"
#include "store/moments.h"
#include "store/sql.h"
#include "store/types.h"

namespace image_engine::store {

FileState state_from_name(std::string_view name);  // kPresent for an unknown name
MediaKind kind_from_name(std::string_view name);

// The columns that read_file_row reads, from `files f` joined to `assets a`; they come first in a SELECT.
#define IE_FILE_COLUMNS                                                                               \
  "f.id, f.asset_id, f.path, f.device, f.inode, f.size, f.mtime_ns, f.sidecar_path, f.sidecar_size, " \
  "f.sidecar_mtime_ns, f.format, f.kind, f.state, (f.file_hash IS NOT NULL AND a.hash IS NOT NULL), " \
  "(f.file_hash IS NULL AND a.hash IS NOT NULL), f.metadata_version, f.orientation "
#define IE_FILES "FROM files f JOIN assets a ON a.id = f.asset_id "
KnownFile read_file_row(const Query& row);

// From `failures x LEFT JOIN files f ON f.id = x.file_id`.
#define IE_FAILURE_COLUMNS                                                                                  \
  "x.id, x.file_id, f.asset_id, x.path, x.stage, x.model, x.version, x.params, x.code, x.message, x.size, " \
  "x.mtime_ns, x.tries, x.first_at, x.last_at "
#define IE_FAILURES "FROM failures x LEFT JOIN files f ON f.id = x.file_id "
Failure read_failure_row(const Query& row);

// From `records`.
#define IE_RECORD_COLUMNS "stage, model, version, params, device, precision, data, created "
Record read_record_row(const Query& row);

// What was found at an asset's moments, by moment.
std::vector<MomentThing> things_of(Connection& connection, AssetId asset);
// Without the text of speech, which is long.
std::vector<MomentThing> things_but_said(Connection& connection, AssetId asset);
// kFrame for an unknown name.
MomentKind moment_kind_from(std::string_view name);

// The table that counts things by name, and the stage that fills it: objects, or (kProducts) products.
struct Counted {
  std::string_view table, stage;
};
const Counted& counted_in(TextField field);
// "name, title, …": the columns of the text index.
std::string text_columns();

// "[x, y, width, height]"; nullopt when it is invalid.
std::string box_to_json(const Box& box);
std::optional<Box> box_from_json(const std::string& json);

// The 16 bytes of a hash, or of a former hash after its mark; else the zero hash.
Hash128 hash_from_bytes(std::string_view bytes);
// "x" and 16 bytes: the XXH3 of formats up to 4, until the file is read again.
bool is_former_hash(std::string_view bytes);
std::string former_bytes_of(const Hash128& hash);
std::string bytes_of(const Hash128& hash);
// kNotFound when it does not exist.
void require_asset(Connection& connection, AssetId asset);
void require_space(Connection& connection, SpaceId space);

// The parts of put_fact() that are defined with the other statements of their tables. The asset must exist.
void put_classes(Connection& connection, AssetId asset, const ClassFacts& facts);
// Never returns 0: kInvalidArgument where no such space was opened.
SpaceId space_of(Connection& connection, const StageKey& key);
void put_in_space(Connection& connection, AssetId asset, SpaceId space, std::span<const std::uint16_t> vector);
void put_in_space(Connection& connection, AssetId asset, MomentId moment, SpaceId space,
                  std::span<const std::uint16_t> vector);
// kNotFound for an asset that does not exist, or whose hash is not known yet.
std::string hash_of_asset(Connection& connection, AssetId asset);

// All, by stage, the active one of each first.
std::vector<Space> read_spaces(Connection& connection);
// Deletes it and everything that belongs to it, except records.
void forget_space(Connection& connection, SpaceId space);

// `path >= range.from AND path < range.to` selects all below the folder `root`, without `root` itself.
struct PathRange {
  std::string self, from, to;
};
PathRange below(std::string_view root);
// True when `path` is `root` or lies below it.
bool is_at_or_below(std::string_view path, const PathRange& range);
// All files at or below `root`, in no order, whatever their state. Throws.
std::vector<KnownFile> files_below(Connection& connection, const std::string& root);

// The file's metadata and place, to and from the JSON of the "metadata" record; nullopt when it is invalid.
inline constexpr std::string_view kMetadataStage = "metadata";
struct FileFacts {
  Metadata metadata;
  std::optional<Place> place;
};
std::string facts_to_json(const FileFacts& facts);
std::optional<FileFacts> facts_from_json(const std::string& json);

// FileWriter::pending(), which only reads. May throw SqlFailure.
std::vector<PendingFile> read_pending(Connection& connection, const PendingQuery& query);

}  // namespace image_engine::store
