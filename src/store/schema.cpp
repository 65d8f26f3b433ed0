#include "store/schema.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "core/file.h"
#include "store/rebuild_words.h"

namespace image_engine::store {
namespace {

constexpr char kFirst[] = R"sql(
CREATE TABLE roots(
  path BLOB PRIMARY KEY,
  device INTEGER NOT NULL,
  label TEXT NOT NULL DEFAULT '',
  added TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE runs(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  command TEXT NOT NULL,
  started TEXT NOT NULL,
  finished TEXT,
  counts TEXT NOT NULL DEFAULT '{}',
  exit_code INTEGER
);

CREATE TABLE assets(
  id INTEGER PRIMARY KEY,
  hash BLOB UNIQUE,
  kind TEXT NOT NULL,
  format TEXT NOT NULL,
  shown INTEGER NOT NULL DEFAULT 1,
  width INTEGER, height INTEGER,
  taken TEXT, taken_seconds INTEGER, taken_offset INTEGER,
  make TEXT, model TEXT, lens TEXT,
  latitude REAL, longitude REAL, altitude REAL,
  rating INTEGER,
  city TEXT, region TEXT, country TEXT, country_code TEXT
);
CREATE INDEX assets_newest ON assets(taken_seconds, id);
CREATE INDEX assets_kind ON assets(kind, format);
CREATE INDEX assets_hidden ON assets(shown) WHERE shown = 0;
CREATE INDEX assets_rating ON assets(rating) WHERE rating IS NOT NULL;
CREATE INDEX assets_position ON assets(latitude, longitude) WHERE latitude IS NOT NULL;

CREATE TABLE files(
  id INTEGER PRIMARY KEY,
  path BLOB NOT NULL UNIQUE,
  device INTEGER NOT NULL, inode INTEGER NOT NULL,
  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  sidecar_path BLOB, sidecar_size INTEGER, sidecar_mtime_ns INTEGER,
  format TEXT NOT NULL, kind TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('present', 'missing', 'offline')),
  file_hash BLOB,
  asset_id INTEGER NOT NULL REFERENCES assets(id),
  metadata_version TEXT NOT NULL DEFAULT '',
  first_run INTEGER NOT NULL, last_run INTEGER NOT NULL
);
CREATE INDEX files_by_asset ON files(asset_id);

CREATE TABLE records(
  id INTEGER PRIMARY KEY,
  asset_id INTEGER REFERENCES assets(id) ON DELETE CASCADE,
  file_id INTEGER REFERENCES files(id) ON DELETE CASCADE,
  stage TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, params TEXT NOT NULL,
  device TEXT NOT NULL, precision TEXT NOT NULL,
  data TEXT NOT NULL,
  created TEXT NOT NULL,
  CHECK((asset_id IS NULL) <> (file_id IS NULL))
);
CREATE UNIQUE INDEX records_of_asset ON records(asset_id, stage, model, version, params) WHERE asset_id IS NOT NULL;
CREATE UNIQUE INDEX records_of_file ON records(file_id, stage, model, version, params) WHERE file_id IS NOT NULL;
CREATE INDEX records_by_stage ON records(stage, model, version, params, asset_id);

CREATE TABLE failures(
  id INTEGER PRIMARY KEY,
  path BLOB NOT NULL,
  file_id INTEGER REFERENCES files(id) ON DELETE CASCADE,
  stage TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, params TEXT NOT NULL,
  code TEXT NOT NULL, message TEXT NOT NULL,
  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  first_at TEXT NOT NULL, last_at TEXT NOT NULL,
  UNIQUE(path, stage)
);
CREATE INDEX failures_of_file ON failures(file_id);

CREATE TABLE user_ratings(
  asset_hash BLOB PRIMARY KEY,
  rating INTEGER NOT NULL CHECK(rating BETWEEN 0 AND 5),
  set_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE labels(
  asset_hash BLOB NOT NULL,
  label TEXT NOT NULL,
  set_at TEXT NOT NULL,
  PRIMARY KEY(asset_hash, label)
) WITHOUT ROWID;

CREATE TABLE asset_found_text(
  asset_id INTEGER NOT NULL REFERENCES assets(id) ON DELETE CASCADE,
  field TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY(asset_id, field)
) WITHOUT ROWID;
CREATE INDEX asset_found_text_by_field ON asset_found_text(field);

CREATE VIRTUAL TABLE asset_text USING fts5(
  name, title, description, keyword, place, camera, lens, creator, object, scene, text, caption, person,
  tokenize = 'unicode61 remove_diacritics 2', prefix = '4 5');
CREATE VIRTUAL TABLE asset_trigram USING fts5(
  name, title, description, keyword, place, camera, lens, creator, object, scene, text, caption, person,
  tokenize = 'trigram');
)sql";

constexpr char kObjects[] = R"sql(
CREATE TABLE asset_objects(
  asset_id INTEGER NOT NULL REFERENCES assets(id) ON DELETE CASCADE,
  name TEXT NOT NULL COLLATE NOCASE,
  count INTEGER NOT NULL,
  confidence REAL NOT NULL,
  PRIMARY KEY(asset_id, name)
) WITHOUT ROWID;
CREATE INDEX asset_objects_by_name ON asset_objects(name, count);
)sql";

// Vectors as little-endian binary16. A space is what vectors can be compared in: one model at one version; search reads
// the active one. Each change or removal of a vector gets the next generation of its space. (Not by INSERT OR REPLACE:
// within a trigger the conflict policy of the firing statement applies.)
constexpr char kMeaning[] = R"sql(
CREATE TABLE spaces(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  stage TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, params TEXT NOT NULL,
  dimensions INTEGER NOT NULL CHECK(dimensions > 0),
  active INTEGER NOT NULL DEFAULT 0,
  generation INTEGER NOT NULL DEFAULT 0,
  created TEXT NOT NULL,
  UNIQUE(stage, model, version, params)
);
CREATE UNIQUE INDEX spaces_active ON spaces(stage) WHERE active = 1;

CREATE TABLE embeddings(
  space_id INTEGER NOT NULL REFERENCES spaces(id) ON DELETE CASCADE,
  asset_id INTEGER NOT NULL REFERENCES assets(id) ON DELETE CASCADE,
  vector BLOB NOT NULL,
  PRIMARY KEY(space_id, asset_id)
);
CREATE INDEX embeddings_of_asset ON embeddings(asset_id);
CREATE TABLE embedding_changes(
  space_id INTEGER NOT NULL REFERENCES spaces(id) ON DELETE CASCADE,
  asset_id INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  PRIMARY KEY(space_id, asset_id)
) WITHOUT ROWID;
CREATE INDEX embedding_changes_newest ON embedding_changes(space_id, generation);
CREATE TRIGGER embeddings_insert AFTER INSERT ON embeddings BEGIN
  UPDATE spaces SET generation = generation + 1 WHERE id = NEW.space_id;
  DELETE FROM embedding_changes WHERE space_id = NEW.space_id AND asset_id = NEW.asset_id;
  INSERT INTO embedding_changes
    SELECT id, NEW.asset_id, generation FROM spaces WHERE id = NEW.space_id;
END;
CREATE TRIGGER embeddings_update AFTER UPDATE ON embeddings BEGIN
  UPDATE spaces SET generation = generation + 1 WHERE id = NEW.space_id;
  DELETE FROM embedding_changes WHERE space_id = NEW.space_id AND asset_id = NEW.asset_id;
  INSERT INTO embedding_changes
    SELECT id, NEW.asset_id, generation FROM spaces WHERE id = NEW.space_id;
END;
CREATE TRIGGER embeddings_delete AFTER DELETE ON embeddings BEGIN
  UPDATE spaces SET generation = generation + 1 WHERE id = OLD.space_id;
  DELETE FROM embedding_changes WHERE space_id = OLD.space_id AND asset_id = OLD.asset_id;
  INSERT INTO embedding_changes
    SELECT id, OLD.asset_id, generation FROM spaces WHERE id = OLD.space_id;
END;

CREATE TABLE asset_classes(
  asset_id INTEGER NOT NULL REFERENCES assets(id) ON DELETE CASCADE,
  field TEXT NOT NULL,
  name TEXT NOT NULL COLLATE NOCASE,
  confidence REAL NOT NULL,
  box TEXT,
  PRIMARY KEY(asset_id, field, name)
) WITHOUT ROWID;
CREATE INDEX asset_classes_by_name ON asset_classes(field, name, confidence);

CREATE TABLE label_examples(
  name TEXT NOT NULL,
  asset_hash BLOB NOT NULL,
  positive INTEGER NOT NULL,
  box TEXT,
  set_at TEXT NOT NULL,
  PRIMARY KEY(name, asset_hash)
) WITHOUT ROWID;
CREATE TABLE label_heads(
  name TEXT PRIMARY KEY,
  object TEXT,
  space_id INTEGER REFERENCES spaces(id) ON DELETE SET NULL,
  weights BLOB, bias REAL, params TEXT,
  trained TEXT
) WITHOUT ROWID;

CREATE TABLE object_embeddings(
  space_id INTEGER NOT NULL REFERENCES spaces(id) ON DELETE CASCADE,
  asset_id INTEGER NOT NULL REFERENCES assets(id) ON DELETE CASCADE,
  object TEXT NOT NULL,
  box TEXT NOT NULL,
  vector BLOB NOT NULL,
  PRIMARY KEY(space_id, asset_id, object, box)
);
CREATE INDEX object_embeddings_of_asset ON object_embeddings(asset_id);

CREATE TABLE term_vectors(
  model TEXT NOT NULL,
  term TEXT NOT NULL,
  vector BLOB NOT NULL,
  PRIMARY KEY(model, term)
) WITHOUT ROWID;
)sql";

// The column `product` of the text indexes. Columns cannot be added to them: they are recreated from their own data.
constexpr char kProducts[] = R"sql(
CREATE TABLE asset_products(
  asset_id INTEGER NOT NULL REFERENCES assets(id) ON DELETE CASCADE,
  name TEXT NOT NULL COLLATE NOCASE,
  count INTEGER NOT NULL,
  confidence REAL NOT NULL,
  PRIMARY KEY(asset_id, name)
) WITHOUT ROWID;
CREATE INDEX asset_products_by_name ON asset_products(name, count);

CREATE VIRTUAL TABLE asset_text_4 USING fts5(
  name, title, description, keyword, place, camera, lens, creator, object, scene, text, caption, person, product,
  tokenize = 'unicode61 remove_diacritics 2', prefix = '4 5');
INSERT INTO asset_text_4(rowid, name, title, description, keyword, place, camera, lens, creator, object, scene, text,
  caption, person) SELECT rowid, * FROM asset_text;
DROP TABLE asset_text;
ALTER TABLE asset_text_4 RENAME TO asset_text;
CREATE VIRTUAL TABLE asset_trigram_4 USING fts5(
  name, title, description, keyword, place, camera, lens, creator, object, scene, text, caption, person, product,
  tokenize = 'trigram');
INSERT INTO asset_trigram_4(rowid, name, title, description, keyword, place, camera, lens, creator, object, scene, text,
  caption, person) SELECT rowid, * FROM asset_trigram;
DROP TABLE asset_trigram;
ALTER TABLE asset_trigram_4 RENAME TO asset_trigram;
)sql";

// Earlier hashes were XXH3, for which anybody can create a second picture. They get the prefix "x": the asset keeps
// records, vectors and a person's data until its file is read again (set_content). `files` is recreated because SQLite
// cannot change a CHECK.
constexpr char kSha256[] = R"sql(
UPDATE assets SET hash = CAST('x' || hash AS BLOB) WHERE hash IS NOT NULL;
UPDATE user_ratings SET asset_hash = CAST('x' || asset_hash AS BLOB);
UPDATE labels SET asset_hash = CAST('x' || asset_hash AS BLOB);
UPDATE label_examples SET asset_hash = CAST('x' || asset_hash AS BLOB);

CREATE TABLE files_5(
  id INTEGER PRIMARY KEY,
  path BLOB NOT NULL UNIQUE,
  device INTEGER NOT NULL, inode INTEGER NOT NULL,
  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  sidecar_path BLOB, sidecar_size INTEGER, sidecar_mtime_ns INTEGER,
  format TEXT NOT NULL, kind TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('present', 'missing', 'excluded', 'offline')),
  file_hash BLOB,
  asset_id INTEGER NOT NULL REFERENCES assets(id),
  metadata_version TEXT NOT NULL DEFAULT '',
  first_run INTEGER NOT NULL, last_run INTEGER NOT NULL
);
INSERT INTO files_5 SELECT id, path, device, inode, size, mtime_ns, sidecar_path, sidecar_size, sidecar_mtime_ns, format,
  kind, state, NULL, asset_id, metadata_version, first_run, last_run FROM files;
DROP TABLE files;
ALTER TABLE files_5 RENAME TO files;
CREATE INDEX files_by_asset ON files(asset_id);
)sql";

// Observations below an asset: time ranges of videos, what was found at them, and their vectors. The id of a vector is
// vector_id() of store/types.h.
constexpr char kMoments[] = R"sql(
CREATE TABLE moments(
  asset_id INTEGER NOT NULL REFERENCES assets(id) ON DELETE CASCADE,
  moment INTEGER NOT NULL CHECK(moment > 0),
  kind TEXT NOT NULL,
  from_seconds REAL NOT NULL, to_seconds REAL NOT NULL,
  PRIMARY KEY(asset_id, moment)
) WITHOUT ROWID;
CREATE TABLE moment_records(
  asset_id INTEGER NOT NULL REFERENCES assets(id) ON DELETE CASCADE,
  stage TEXT NOT NULL,
  moment INTEGER NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY(asset_id, stage, moment)
) WITHOUT ROWID;
CREATE TABLE moment_things(
  asset_id INTEGER NOT NULL REFERENCES assets(id) ON DELETE CASCADE,
  field TEXT NOT NULL,
  moment INTEGER NOT NULL,
  name TEXT NOT NULL COLLATE NOCASE,
  count INTEGER NOT NULL,
  confidence REAL NOT NULL,
  PRIMARY KEY(asset_id, field, moment, name)
) WITHOUT ROWID;
CREATE TABLE analysis_progress(
  asset_id INTEGER NOT NULL REFERENCES assets(id) ON DELETE CASCADE,
  stage TEXT NOT NULL,
  key TEXT NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY(asset_id, stage)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE asset_speech USING fts5(
  said, segments UNINDEXED, tokenize = 'unicode61 remove_diacritics 2', prefix = '4 5');
CREATE VIRTUAL TABLE asset_speech_trigram USING fts5(said, segments UNINDEXED, tokenize = 'trigram');

CREATE TABLE moment_embeddings(
  space_id INTEGER NOT NULL REFERENCES spaces(id) ON DELETE CASCADE,
  asset_id INTEGER NOT NULL REFERENCES assets(id) ON DELETE CASCADE,
  moment INTEGER NOT NULL CHECK(moment > 0),
  vector BLOB NOT NULL,
  PRIMARY KEY(space_id, asset_id, moment)
);
CREATE INDEX moment_embeddings_of_asset ON moment_embeddings(asset_id);
ALTER TABLE embedding_changes RENAME COLUMN asset_id TO vector_id;
CREATE TRIGGER moment_embeddings_insert AFTER INSERT ON moment_embeddings BEGIN
  UPDATE spaces SET generation = generation + 1 WHERE id = NEW.space_id;
  DELETE FROM embedding_changes WHERE space_id = NEW.space_id AND vector_id = NEW.asset_id + (NEW.moment << 27);
  INSERT INTO embedding_changes
    SELECT id, NEW.asset_id + (NEW.moment << 27), generation FROM spaces WHERE id = NEW.space_id;
END;
CREATE TRIGGER moment_embeddings_update AFTER UPDATE ON moment_embeddings BEGIN
  UPDATE spaces SET generation = generation + 1 WHERE id = NEW.space_id;
  DELETE FROM embedding_changes WHERE space_id = NEW.space_id AND vector_id = NEW.asset_id + (NEW.moment << 27);
  INSERT INTO embedding_changes
    SELECT id, NEW.asset_id + (NEW.moment << 27), generation FROM spaces WHERE id = NEW.space_id;
END;
CREATE TRIGGER moment_embeddings_delete AFTER DELETE ON moment_embeddings BEGIN
  UPDATE spaces SET generation = generation + 1 WHERE id = OLD.space_id;
  DELETE FROM embedding_changes WHERE space_id = OLD.space_id AND vector_id = OLD.asset_id + (OLD.moment << 27);
  INSERT INTO embedding_changes
    SELECT id, OLD.asset_id + (OLD.moment << 27), generation FROM spaces WHERE id = OLD.space_id;
END;
)sql";

// The orientation is part of an asset's name (types/asset_name.h). Assets of turned photos get the prefix "x" as in
// format 5: they keep what is known of them until their files are read again.
constexpr char kOrientation[] = R"sql(
ALTER TABLE files ADD COLUMN orientation INTEGER NOT NULL DEFAULT 0;
UPDATE files SET orientation = (
  SELECT coalesce(json_extract(data, '$.orientation'), 1) FROM records WHERE file_id = files.id AND stage = 'metadata')
  WHERE EXISTS (SELECT 1 FROM records WHERE file_id = files.id AND stage = 'metadata') AND kind = 'photo';
CREATE TEMP TABLE turned AS
  SELECT DISTINCT a.id, a.hash FROM assets a JOIN files f ON f.asset_id = a.id
  WHERE f.orientation > 1 AND length(a.hash) = 16;
UPDATE files SET file_hash = NULL WHERE asset_id IN (SELECT id FROM turned);
UPDATE user_ratings SET asset_hash = CAST('x' || asset_hash AS BLOB) WHERE asset_hash IN (SELECT hash FROM turned);
UPDATE labels SET asset_hash = CAST('x' || asset_hash AS BLOB) WHERE asset_hash IN (SELECT hash FROM turned);
UPDATE label_examples SET asset_hash = CAST('x' || asset_hash AS BLOB) WHERE asset_hash IN (SELECT hash FROM turned);
UPDATE assets SET hash = CAST('x' || hash AS BLOB) WHERE id IN (SELECT id FROM turned);
DROP TABLE turned;
)sql";

// What people call their pictures. Words are cut and folded in another way than before (word_tokenizer.h).
constexpr char kOwnTitles[] = R"sql(
CREATE TABLE user_titles(
  asset_hash BLOB PRIMARY KEY,
  title TEXT NOT NULL,
  set_at TEXT NOT NULL
) WITHOUT ROWID;
)sql";

// How much of a picture is of a name, and how its subject looks whatever is behind it.
constexpr char kSubjects[] = R"sql(
CREATE TABLE asset_subjects(
  asset_id INTEGER NOT NULL REFERENCES assets(id) ON DELETE CASCADE,
  name TEXT NOT NULL COLLATE NOCASE,
  share REAL NOT NULL,
  confidence REAL NOT NULL,
  PRIMARY KEY(asset_id, name)
) WITHOUT ROWID;
CREATE INDEX asset_subjects_by_name ON asset_subjects(name, share);
CREATE TABLE asset_subject_looks(
  asset_id INTEGER PRIMARY KEY REFERENCES assets(id) ON DELETE CASCADE,
  look BLOB NOT NULL
);
)sql";

// Text in pictures is found inside words, too.
constexpr char kTextParts[] = R"sql(
UPDATE asset_trigram SET text = (SELECT text FROM asset_text WHERE asset_text.rowid = asset_trigram.rowid)
WHERE coalesce(text, '') = '' AND rowid IN (SELECT rowid FROM asset_text WHERE text <> '');
INSERT INTO asset_trigram(rowid, text)
SELECT rowid, text FROM asset_text WHERE text <> '' AND rowid NOT IN (SELECT rowid FROM asset_trigram);
)sql";

constexpr Migration kMigrations[] = {
    {1, "files, assets, records, failures, runs, user data, text index", kFirst,
     "84b40387595f38f511e8f81b008994a31f98500a082d8765e22473fa38277d4c"},
    {2, "objects by name", kObjects, "973c699c8a43d03bb15d21997a84f971842d84bfe78d10a230874734512055c6"},
    {3, "vectors, scenes, learned labels", kMeaning,
     "afaab6b5ebdad50a703cb0306ff3fa9943a2a1d2b5fcbd8eaad81627dcfd342f"},
    {4, "products by name", kProducts, "f1fd981590dfeb32cb7430c8a303c2537a49d02d39a67bd7f8ab6a3dd5d3ee73"},
    {5, "SHA-256 names files and assets, files may be excluded", kSha256,
     "8582306244d46b6ed040604343673d073c30deb561edff8e831498e039ec57f3"},
    {6, "moments of videos and sound, what is said", kMoments,
     "9e5beea2bdd312d5c7f00fcc03f85254d7042711165a2f8b2b6ba0e979c56f70"},
    {7, "the orientation of photos, which their names depend on", kOrientation,
     "3adecf4bdf96b90b02e5e0699cec45ff365a3ccb69ee26f839d819ce16a927e6"},
    {8, "titles by people, words of all scripts", kOwnTitles,
     "cbbce2313b12810ece7a8920bb3c1a375e6c8b1baa155f6087d74c0c4e56ed75", true},
    {9, "subjects by name and share, and how they look", kSubjects,
     "3f73199ea51e17593a634f979b9f6b355116159a0a62d0ddf03609e130434d93"},
    {10, "text in pictures inside words", kTextParts,
     "3f73199ea51e17593a634f979b9f6b355116159a0a62d0ddf03609e130434d93"},
};

bool is_ours(Connection& connection) { return connection.integer("PRAGMA application_id") == kApplicationId; }

bool is_empty(Connection& connection) {
  return connection.integer("PRAGMA application_id") == 0 && connection.integer("PRAGMA user_version") == 0 &&
         connection.integer("SELECT count(*) FROM sqlite_schema") == 0;
}

// One row of sqlite_schema: type, name, table, SQL.
using SchemaEntry = std::array<std::string, 4>;

// SQLite's own statistics tables, created by ANALYZE, are ignored.
std::vector<SchemaEntry> schema_of(Connection& connection) {
  std::vector<SchemaEntry> entries;
  for (auto row = connection.query("SELECT type, name, tbl_name, sql FROM sqlite_schema "
                                   "WHERE NOT (type = 'table' AND (sql = 'CREATE TABLE sqlite_stat1(tbl,idx,stat)' OR "
                                   "sql = 'CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)')) "
                                   "ORDER BY type, name, tbl_name, sql");
       row.next();)
    entries.push_back({row.bytes(0), row.bytes(1), row.bytes(2), row.bytes(3)});
  return entries;
}

std::vector<SchemaEntry> schema_after(std::span<const Migration> known, int version) {
  Connection connection("schema", Access::kMemory);
  for (const Migration& migration : known)
    if (migration.version <= version) connection.execute(migration.sql);
  return schema_of(connection);
}

// SHA-256: nobody can construct another schema with the same fingerprint.
std::string fingerprint_of(const std::vector<SchemaEntry>& schema) {
  std::string text;
  for (const SchemaEntry& entry : schema)
    for (const std::string& part : entry) text += fmt::format("{}:{}", part.size(), part);
  std::array<unsigned char, 32> digest{};
  if (::EVP_Digest(text.data(), text.size(), digest.data(), nullptr, ::EVP_sha256(), nullptr) != 1)
    raise(ErrorCode::kInternal, "OpenSSL cannot make checksums");
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

// Running the migrations takes 20 ms, so it is done only for an unknown fingerprint: another SQLite may write the same
// tables differently.
bool is_our_schema(const std::vector<SchemaEntry>& schema, std::span<const Migration> known, int version) {
  const auto last = std::ranges::find(known, version, &Migration::version);
  if (last != known.end() && *last->fingerprint != '\0' && fingerprint_of(schema) == last->fingerprint) return true;
  return schema == schema_after(known, version);
}

// A hostile catalogue may contain triggers that write, endless views and computed columns.
void require_our_schema(Connection& connection, std::span<const Migration> known, int version) {
  if (is_our_schema(schema_of(connection), known, version)) return;
  raise(ErrorCode::kCorrupt, "catalogue " + to_utf8(connection.path()) +
                                 ": its tables are not those of image-engine: restore a backup, or move it "
                                 "away and analyze again");
}

std::string free_backup_name(const std::string& path, int version) {
  const std::string first = path + ".backup-v" + std::to_string(version);
  std::string name = first;
  for (int i = 2; ::access(name.c_str(), F_OK) == 0; ++i) name = fmt::format("{}-{}", first, i);
  return name;
}

}  // namespace

std::span<const Migration> migrations() { return kMigrations; }

std::string schema_fingerprint(std::span<const Migration> known, int version) {
  return fingerprint_of(schema_after(known, version));
}

int schema_version(Connection& connection, std::span<const Migration> known) {
  const std::string name = "catalogue " + to_utf8(connection.path());
  if (is_empty(connection)) return 0;
  if (!is_ours(connection))
    raise(ErrorCode::kCorrupt, name + ": it is a database of another program: name another file");
  const auto version = connection.integer("PRAGMA user_version");
  const int newest = known.back().version;
  if (version > newest)
    raise(ErrorCode::kNewer, name + ": a newer image-engine wrote it (format " + std::to_string(version) +
                                 ", this one supports up to " + std::to_string(newest) + "): use that one");
  if (version < 1) raise(ErrorCode::kCorrupt, name + ": its format number is damaged: restore a backup");
  require_our_schema(connection, known, static_cast<int>(version));
  return static_cast<int>(version);
}

void migrate(Connection& connection, std::span<const Migration> known) {
  const int version = schema_version(connection, known);
  if (version == known.back().version) return;
  if (version == 0)
    connection.execute("PRAGMA journal_mode = WAL");
  else
    copy_catalogue(connection, free_backup_name(connection.path(), version));
  // Recreating a table under its old name must not delete the rows that refer to it.
  connection.execute("PRAGMA foreign_keys = OFF");
  Transaction transaction(connection);
  bool rebuilds = false;
  for (const Migration& migration : known) {
    if (migration.version <= version) continue;
    rebuilds = rebuilds || migration.rebuilds_words;
    connection.execute(migration.sql);
    connection.execute("PRAGMA user_version = " + std::to_string(migration.version));
  }
  if (rebuilds && version > 0) rebuild_words(connection);
  connection.execute("PRAGMA application_id = " + std::to_string(kApplicationId));
  transaction.commit();
  connection.execute("PRAGMA foreign_keys = ON");
}

void copy_catalogue(Connection& connection, const std::string& target) {
  const std::string part = target + ".part";
  ::unlink(part.c_str());
  // VACUUM INTO fills an empty file, so this one's mode stays.
  UniqueFd file(::open(part.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
  if (!file) throw SqlFailure{errno_error(to_utf8(part))};
  try {
    connection.run("VACUUM INTO ?", part);
    if (::fsync(file.get()) != 0) throw SqlFailure{errno_error(to_utf8(part))};
    if (std::rename(part.c_str(), target.c_str()) != 0) throw SqlFailure{errno_error(to_utf8(target))};
  } catch (...) {
    ::unlink(part.c_str());
    throw;
  }
}

}  // namespace image_engine::store
