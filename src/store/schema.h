// The catalogue's schema, as the migrations that lead to it.
#pragma once

#include <span>
#include <string>

#include "store/sql.h"

namespace image_engine::store {

// "IECT" in the header of the file (PRAGMA application_id): tells a catalogue from any other SQLite file.
inline constexpr std::int64_t kApplicationId = 0x49454354;

struct Migration {
  int version;       // PRAGMA user_version afterwards; 1, 2, 3, …
  const char* name;  // for a person
  const char* sql;
  const char* fingerprint = "";  // schema_fingerprint() of this version; a test says what it is
};

// All of them, oldest first. Append only: a catalogue out there has run the others.
std::span<const Migration> migrations();

// What the catalogue is: kNewer when its version is over the last migration's; kCorrupt when it is not one, or when its
// tables, indexes, triggers and views are not exactly those that the migrations up to its version make. 0 is an empty
// file.
int schema_version(Connection& connection, std::span<const Migration> known);

// SHA-256, in hexadecimal digits, of the schema that the migrations up to `version` make.
std::string schema_fingerprint(std::span<const Migration> known, int version);

// Runs those that are missing in one transaction. A catalogue that is not empty is copied first, to
// `<path>.backup-v<version>` (with -2, -3, … behind it where that exists). Nothing changes when one fails.
void migrate(Connection& connection, std::span<const Migration> known);

// A consistent copy of the open catalogue at `target`, mode 0600, which appears whole or not at all.
void copy_catalogue(Connection& connection, const std::string& target);

}  // namespace image_engine::store
