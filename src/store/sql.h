// The only access to SQLite, for store/ only. Inside store/ a failure is thrown as SqlFailure, so that a statement
// takes one line; guarded() wraps every public function of store/ and turns the exception into a Result.
#pragma once

#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/result.h"

namespace SQLite {
class Database;
}  // namespace SQLite
struct sqlite3_stmt;

namespace image_engine::store {

struct SqlFailure {
  Error error;
};

[[noreturn]] inline void raise(ErrorCode code, std::string message) { throw SqlFailure{{code, std::move(message)}}; }

template <typename F>
auto guarded(F&& f) -> Result<std::invoke_result_t<F>> {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      f();
      return {};
    } else {
      return f();
    }
  } catch (const SqlFailure& failure) {
    return fail(failure.error);
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInternal, std::string("catalogue: ") + error.what());
  }
}

// Bytes that are not text: paths and hashes.
struct Blob {
  std::string_view bytes;
};

class Connection;

struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const;
};
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

// Whether a statement's values live until it has ended: then they are not copied.
enum class Values : bool { kCopied, kLiveOn };

// A running prepared statement, read row by row. Columns count from 0.
class Query {
 public:
  // The statement goes back to `idle` when the query ends.
  Query(Connection& connection, Statement& idle, Statement statement, Values values);
  Query(Query&&) noexcept;
  Query& operator=(Query&&) = delete;
  ~Query();

  void bind(int index, std::int64_t value);
  void bind(int index, std::integral auto value) { bind(index, static_cast<std::int64_t>(value)); }
  void bind(int index, double value);
  void bind(int index, std::string_view text);
  void bind(int index, const std::string& text) { bind(index, std::string_view(text)); }
  void bind(int index, const char* text) { bind(index, std::string_view(text)); }
  void bind(int index, Blob blob);
  void bind(int index, std::nullopt_t);
  template <typename T>
  void bind(int index, const std::optional<T>& value) {
    value ? bind(index, *value) : bind(index, std::nullopt);
  }

  // Steps to the next row; false when there is none.
  bool next();
  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;  // 0 for NULL
  [[nodiscard]] double real(int column) const;
  [[nodiscard]] std::string bytes(int column) const;  // text or blob; "" for NULL

 private:
  void check(int code) const;

  Connection* connection_;
  Statement* idle_;
  Statement statement_;
  Values values_;
};

enum class Access { kRead, kWrite, kCreate, kMemory };

class Connection {
 public:
  // kCreate creates a missing file with mode 0600; an existing catalogue that the user owns gets this mode too. A file
  // that is no catalogue is refused (kCorrupt) before SQLite opens it, and nothing is created beside it. A catalogue on
  // a read-only medium is opened as immutable when it has no -wal file. kMemory is an empty database that ends with the
  // connection; `path` is only its name.
  Connection(const std::string& path, Access access);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // `sql` is prepared once and kept: there must be few different ones.
  template <typename... T>
  Query query(std::string_view sql, const T&... values) {
    return start(Values::kCopied, sql, values...);
  }
  template <typename... T>
  void run(std::string_view sql, const T&... values) {
    Query statement = start(Values::kLiveOn, sql, values...);
    while (statement.next()) {
    }
  }
  // The first column of the first row; 0 without a row.
  template <typename... T>
  std::int64_t integer(std::string_view sql, const T&... values) {
    Query statement = start(Values::kLiveOn, sql, values...);
    return statement.next() ? statement.integer(0) : 0;
  }
  // One or more statements that need no values.
  void execute(const std::string& sql);

  [[nodiscard]] std::int64_t last_id() const;
  [[nodiscard]] std::int64_t changes() const;  // rows of the last statement
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] const std::string& path() const { return path_; }

  // Tokenizes `text` as the text index does: calls `token(folded token, from byte, to byte)`.
  using OnToken = std::function<void(std::string_view token, int from, int to)>;
  void tokenize(std::string_view text, const OnToken& token);
  // Lets queries of FTS5 tables call word_places(TABLE): the places of the matched phrases in the row, counted in words
  // from 0; word_places_from() reads them.
  void add_word_places();

 private:
  friend class Query;
  struct Tokenizer;
  struct HashOfText {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  template <typename... T>
  Query start(Values lifetime, std::string_view sql, const T&... values) {
    Query query = prepare(sql, lifetime);
    int index = 0;
    (query.bind(++index, values), ...);
    return query;
  }
  Query prepare(std::string_view sql, Values values);
  [[noreturn]] void raise_current() const;
  void connect(const std::string& name, int flags);
  void open(Access access);

  std::string path_;
  std::unique_ptr<SQLite::Database> database_;
  // By their SQL; null while one is running.
  std::unordered_map<std::string, Statement, HashOfText, std::equal_to<>> idle_;
  std::unique_ptr<Tokenizer> tokenizer_;
  bool has_word_places_ = false;
};

std::vector<std::uint32_t> word_places_from(std::string_view bytes);

// BEGIN IMMEDIATE … COMMIT; rolls back without commit().
class Transaction {
 public:
  explicit Transaction(Connection& connection);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();
  void commit();

 private:
  Connection& connection_;
};

// Several reads see the same state of the catalogue, whatever a writer commits meanwhile.
class Snapshot {
 public:
  explicit Snapshot(Connection& connection);
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot();

 private:
  Connection& connection_;
};

}  // namespace image_engine::store
