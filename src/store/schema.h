// The catalogue's schema, as a list of migrations.
#pragma once

#include <span>
#include <string>

#include "store/sql.h"

namespace image_engine::store {

// "IECT" in the header of the file (PRAGMA application_id): marks a catalogue among SQLite files.
inline constexpr std::int64_t kApplicationId = 0x49454354;

struct Migration {
  int version;       // PRAGMA user_version afterwards; 1, 2, 3, …
  const char* name;  // for a person
  const char* sql;
  const char* fingerprint = "";  // schema_fingerprint() of this version; a test prints it
  bool rebuilds_words = false;   // text is cut into other words: rebuild_words() follows
};

// All migrations, oldest first. Append only: existing catalogues have run the others.
std::span<const Migration> migrations();

// The catalogue's version; 0 for an empty file. kNewer when it is above the last migration's; kCorrupt when the file is
// no catalogue, or when its tables, indexes, triggers and views are not exactly those that the migrations up to its
// version create.
int schema_version(Connection& connection, std::span<const Migration> known);

// SHA-256, in hexadecimal digits, of the schema that the migrations up to `version` create.
std::string schema_fingerprint(std::span<const Migration> known, int version);

// Runs the missing migrations in one transaction; nothing changes when one fails. A catalogue that is not empty is
// first copied to `<path>.backup-v<version>` (with -2, -3, … appended where that exists).
void migrate(Connection& connection, std::span<const Migration> known);

// Writes a consistent copy of the open catalogue to `target`, mode 0600, atomically.
void copy_catalogue(Connection& connection, const std::string& target);

}  // namespace image_engine::store
