#include "store/sql.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/file.h"
#include "store/catalogue_file.h"
#include "store/short_trigrams.h"
#include "store/word_tokenizer.h"

namespace image_engine::store {
namespace {

constexpr int kBusyMilliseconds = 10'000;

struct CodeOfSqlite {
  int sqlite;
  ErrorCode code;
  std::string_view advice;
};
constexpr CodeOfSqlite kCodes[] = {
    {SQLITE_FULL, ErrorCode::kNoSpace, "make room and run again; what was committed is kept"},
    {SQLITE_CORRUPT, ErrorCode::kCorrupt,
     "it is damaged: restore a backup ('catalog backup' makes one), or move it away and analyze again"},
    {SQLITE_NOTADB, ErrorCode::kCorrupt, "it is not a catalogue: name another file, or move it away and analyze again"},
    {SQLITE_BUSY, ErrorCode::kBusy, "another program keeps it locked"},
    {SQLITE_LOCKED, ErrorCode::kBusy, "another program keeps it locked"},
    {SQLITE_PERM, ErrorCode::kPermission, "no permission to write it"},
    {SQLITE_READONLY, ErrorCode::kPermission, "no permission to write it"},
    {SQLITE_AUTH, ErrorCode::kPermission, "no permission to read it"},
    {SQLITE_CANTOPEN, ErrorCode::kIo, "it cannot be opened"},
    {SQLITE_IOERR, ErrorCode::kIo, "its disk has an error"},
    {SQLITE_NOMEM, ErrorCode::kOutOfMemory, "there is not enough memory"},
    {SQLITE_TOOBIG, ErrorCode::kTooLarge, "a value is too long"},
    {SQLITE_INTERRUPT, ErrorCode::kInterrupted, "it was interrupted"},
};

bool is_no_space(int error_number) { return error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG; }

// SQLite does not report why a write failed unless it is ENOSPC: tries a write beside the catalogue, at the offset of
// the -wal's end, to detect a quota or a limit on file size.
bool has_no_room(const std::string& path) {
  struct stat wal {};
  if (::stat((path + "-wal").c_str(), &wal) != 0) wal.st_size = 0;
  const UniqueFd probe(::open(std::string(parent_path(path)).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  const std::string bytes(size_t{64} << 10, '\0');
  const ssize_t written = probe ? ::pwrite(probe.get(), bytes.data(), bytes.size(), wal.st_size) : 0;
  if (written < 0) return is_no_space(errno);
  return probe && written < static_cast<ssize_t>(bytes.size());
}

Error describe(const std::string& path, int code, int error_number, std::string_view message) {
  const std::string prefix = "catalogue " + to_utf8(path) + ": ";
  const int primary = code & 0xff;
  const bool of_system = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN;
  if ((of_system && is_no_space(error_number)) || (code == SQLITE_IOERR_WRITE && has_no_room(path)))
    return {ErrorCode::kNoSpace, prefix + "the disk is full: " + std::string(kCodes[0].advice)};
  if (of_system && (error_number == EACCES || error_number == EPERM || error_number == EROFS))
    return {ErrorCode::kPermission, prefix + "no permission"};
  const auto* known = std::ranges::find(kCodes, primary, &CodeOfSqlite::sqlite);
  if (known == std::end(kCodes)) return {ErrorCode::kInternal, prefix + std::string(message)};
  return {known->code, prefix + std::string(known->advice) + " (" + std::string(message) + ")"};
}

// A path as an SQLite URI.
std::string immutable_uri(const std::string& path) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string uri = "file:";
  for (const unsigned char c : absolute_path(path)) {
    if (c > 0x20 && c < 0x7f && c != '%' && c != '?' && c != '#')
      uri += static_cast<char>(c);
    else
      (uri += '%') += {kHex[c >> 4], kHex[c & 15]};
  }
  return uri + "?immutable=1";
}

// Limits for a hostile database. Ours has no views, and only triggers that change one row of each table.
constexpr std::pair<int, int> kSettings[] = {
    {SQLITE_DBCONFIG_DEFENSIVE, 1}, {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0}};
constexpr std::pair<int, int> kLimits[] = {{SQLITE_LIMIT_LENGTH, 256 << 20}, {SQLITE_LIMIT_TRIGGER_DEPTH, 8}};

sqlite3_destructor_type destructor_of(Values values) {
  return values == Values::kLiveOn ? SQLITE_STATIC : SQLITE_TRANSIENT;
}

void keep_private(int fd) {
  struct stat file {};
  if (::fstat(fd, &file) == 0 && (file.st_mode & 0077) != 0 && file.st_uid == ::geteuid()) (void)::fchmod(fd, 0600);
}

void make_file(const std::string& path, Access access) {
  errno = ENOENT;
  const UniqueFd made(
      access == Access::kCreate ? ::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600) : -1);
  if (!made) throw SqlFailure{errno_error("catalogue " + to_utf8(path))};
}

// The address of FTS5's functions is returned through a bound pointer: sqlite.org/fts5.html, "Extending FTS5".
fts5_api* fts5_functions(sqlite3* handle) {
  fts5_api* api = nullptr;
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(handle, "SELECT fts5(?1)", -1, &statement, nullptr) == SQLITE_OK) {
    sqlite3_bind_pointer(statement, 1, static_cast<void*>(&api), "fts5_api_ptr", nullptr);
    sqlite3_step(statement);
  }
  sqlite3_finalize(statement);
  if (api == nullptr) raise(ErrorCode::kUnsupported, "this SQLite has no FTS5");
  return api;
}

bool has_wal(const std::string& path) {
  struct stat wal {};
  return ::stat((path + "-wal").c_str(), &wal) == 0 && wal.st_size > 0;
}

}  // namespace

struct Connection::Tokenizer {
  fts5_tokenizer functions{};
  Fts5Tokenizer* instance = nullptr;

  Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;
  ~Tokenizer() {
    if (instance != nullptr) functions.xDelete(instance);
  }
};

// ---- Query

void FinalizeStatement::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Query::Query(Connection& connection, Statement& idle, Statement statement, Values values)
    : connection_(&connection), idle_(&idle), statement_(std::move(statement)), values_(values) {}

Query::Query(Query&&) noexcept = default;

Query::~Query() {
  if (!statement_) return;
  sqlite3_reset(statement_.get());
  *idle_ = std::move(statement_);
}

void Query::check(int code) const {
  if (code != SQLITE_OK) connection_->raise_current();
}

void Query::bind(int index, std::int64_t value) { check(sqlite3_bind_int64(statement_.get(), index, value)); }
void Query::bind(int index, double value) { check(sqlite3_bind_double(statement_.get(), index, value)); }
void Query::bind(int index, std::string_view text) {
  // A null pointer would bind NULL, not an empty text; likewise below.
  const char* bytes = text.empty() ? "" : text.data();
  check(sqlite3_bind_text64(statement_.get(), index, bytes, text.size(), destructor_of(values_), SQLITE_UTF8));
}
void Query::bind(int index, Blob blob) {
  const void* bytes = blob.bytes.empty() ? "" : blob.bytes.data();
  check(sqlite3_bind_blob64(statement_.get(), index, bytes, blob.bytes.size(), destructor_of(values_)));
}
void Query::bind(int index, std::nullopt_t) { check(sqlite3_bind_null(statement_.get(), index)); }

bool Query::next() {
  const int code = sqlite3_step(statement_.get());
  if (code != SQLITE_ROW && code != SQLITE_DONE) connection_->raise_current();
  return code == SQLITE_ROW;
}

bool Query::is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }
std::int64_t Query::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
double Query::real(int column) const { return sqlite3_column_double(statement_.get(), column); }
std::string Query::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  return data == nullptr ? std::string()
                         : std::string(data, static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column)));
}

// ---- Connection

Connection::Connection(const std::string& path, Access access) : path_(path) {
  // Statistics that nobody reads cost a lock for each allocation. An error (SQLite is in use already) changes nothing.
  [[maybe_unused]] static const int kWithoutStatistics = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  if (path.empty() || path.find('\0') != std::string::npos)
    raise(ErrorCode::kInvalidArgument, "the catalogue needs a file name");
  if (access == Access::kMemory) {
    connect(":memory:", SQLITE_OPEN_READWRITE);
    return;
  }
  const Result<UniqueFd> there = open_catalogue_file(path);
  if (!there) throw SqlFailure{there.error()};
  // SQLite gives -wal and -shm the mode of the database.
  if (*there && access == Access::kCreate) keep_private(there->get());
  if (!*there) make_file(path, access);
  open(access);
}

Connection::~Connection() {
  tokenizer_.reset();
  idle_.clear();
}

void Connection::connect(const std::string& name, int flags) {
  try {
    database_ = std::make_unique<SQLite::Database>(name, flags, kBusyMilliseconds);
    sqlite3* handle = database_->getHandle();
    sqlite3_extended_result_codes(handle, 1);
    for (const auto& [setting, value] : kSettings) sqlite3_db_config(handle, setting, value, nullptr);
    for (const auto& [limit, value] : kLimits) sqlite3_limit(handle, limit, value);
    database_->exec("PRAGMA foreign_keys = ON; PRAGMA synchronous = NORMAL; PRAGMA cell_size_check = ON");
    database_->exec("SELECT count(*) FROM sqlite_schema");  // the first read reports the error
    fts5_api* text_indexes = fts5_functions(handle);
    add_word_tokenizer(text_indexes);
    add_short_trigrams(text_indexes);
  } catch (const SQLite::Exception& error) {
    if (database_) raise_current();
    throw SqlFailure{describe(path_, error.getExtendedErrorCode(), errno, error.what())};
  }
}

void Connection::open(Access access) {
  if (access != Access::kRead) {
    connect(path_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX);  // one thread at a time
    execute("PRAGMA cache_size = -32768");
    return;
  }
  try {
    connect(path_, SQLITE_OPEN_READONLY);
  } catch (const SqlFailure& failure) {
    const ErrorCode code = failure.error.code;
    if ((code != ErrorCode::kIo && code != ErrorCode::kPermission) || has_wal(path_)) throw;
    connect(immutable_uri(path_), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
  }
}

void Connection::raise_current() const {
  sqlite3* handle = database_->getHandle();
  throw SqlFailure{
      describe(path_, sqlite3_extended_errcode(handle), sqlite3_system_errno(handle), sqlite3_errmsg(handle))};
}

Query Connection::prepare(std::string_view sql, Values values) {
  auto slot = idle_.find(sql);
  if (slot == idle_.end()) slot = idle_.emplace(std::string(sql), nullptr).first;
  Statement statement = std::move(slot->second);
  if (!statement) {
    sqlite3_stmt* made = nullptr;
    const int code = sqlite3_prepare_v3(database_->getHandle(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &made, nullptr);
    statement.reset(made);
    if (code != SQLITE_OK) raise_current();
  } else {
    sqlite3_clear_bindings(statement.get());
  }
  return {*this, slot->second, std::move(statement), values};
}

void Connection::execute(const std::string& sql) {
  if (sqlite3_exec(database_->getHandle(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) raise_current();
}

std::int64_t Connection::last_id() const { return database_->getLastInsertRowid(); }
std::int64_t Connection::changes() const { return database_->getChanges(); }
bool Connection::in_transaction() const { return sqlite3_get_autocommit(database_->getHandle()) == 0; }

namespace {

void word_places(const Fts5ExtensionApi* api, Fts5Context* row, sqlite3_context* result, int, sqlite3_value**) {
  int count = 0;
  int code = api->xInstCount(row, &count);
  auto* places = static_cast<std::uint32_t*>(sqlite3_malloc64(sizeof(std::uint32_t) * static_cast<size_t>(count + 1)));
  if (places == nullptr) return sqlite3_result_error_nomem(result);
  for (int i = 0; i < count && code == SQLITE_OK; ++i) {
    int phrase = 0, column = 0, place = 0;
    code = api->xInst(row, i, &phrase, &column, &place);
    places[i] = static_cast<std::uint32_t>(place);
  }
  if (code == SQLITE_OK)
    return sqlite3_result_blob64(result, places, sizeof(*places) * static_cast<size_t>(count), sqlite3_free);
  sqlite3_free(places);
  sqlite3_result_error_code(result, code);
}

}  // namespace

void Connection::add_word_places() {
  if (has_word_places_) return;
  fts5_api* api = fts5_functions(database_->getHandle());
  if (api->xCreateFunction(api, "word_places", nullptr, word_places, nullptr) != SQLITE_OK)
    raise(ErrorCode::kInternal, "catalogue: SQLite takes no function for text indexes");
  has_word_places_ = true;
}

std::vector<std::uint32_t> word_places_from(std::string_view bytes) {
  std::vector<std::uint32_t> places(bytes.size() / sizeof(std::uint32_t));
  std::copy_n(bytes.data(), places.size() * sizeof(std::uint32_t), reinterpret_cast<char*>(places.data()));
  return places;
}

void Connection::tokenize(std::string_view text, const OnToken& token) {
  if (!tokenizer_) {
    fts5_api* api = fts5_functions(database_->getHandle());
    auto tokenizer = std::make_unique<Tokenizer>();
    void* context = nullptr;
    if (api->xFindTokenizer(api, "unicode61", &context, &tokenizer->functions) != SQLITE_OK ||
        tokenizer->functions.xCreate(context, nullptr, 0, &tokenizer->instance) != SQLITE_OK)
      raise(ErrorCode::kInternal, "catalogue: the connection has no tokenizer");
    tokenizer_ = std::move(tokenizer);
  }
  const auto forward = [](void* context, int, const char* folded, int size, int from, int to) {
    (*static_cast<const OnToken*>(context))({folded, static_cast<size_t>(size)}, from, to);
    return SQLITE_OK;
  };
  tokenizer_->functions.xTokenize(tokenizer_->instance, const_cast<OnToken*>(&token), FTS5_TOKENIZE_AUX, text.data(),
                                  static_cast<int>(text.size()), forward);
}

// ---- Transaction, Snapshot

namespace {

void roll_back(Connection& connection) {
  if (!connection.in_transaction()) return;
  try {
    connection.execute("ROLLBACK");
  } catch (const SqlFailure&) {
    // The connection closes next, or reports the same error at its next use.
  }
}

}  // namespace

Transaction::Transaction(Connection& connection) : connection_(connection) { connection_.execute("BEGIN IMMEDIATE"); }

Transaction::~Transaction() { roll_back(connection_); }

void Transaction::commit() { connection_.execute("COMMIT"); }

Snapshot::Snapshot(Connection& connection) : connection_(connection) { connection_.execute("BEGIN"); }

Snapshot::~Snapshot() { roll_back(connection_); }

}  // namespace image_engine::store
