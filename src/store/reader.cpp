#include <unistd.h>

#include <algorithm>

#include "core/file.h"
#include "core/text.h"
#include "store/asset_finder.h"
#include "store/catalogue.h"
#include "store/conditions.h"
#include "store/nearest_word.h"
#include "store/phrase.h"
#include "store/rows.h"
#include "store/schema.h"

namespace image_engine::store {

CatalogueReader::CatalogueReader(std::unique_ptr<Connection> connection)
    : FileReader(*connection),
      RecordReader(*connection),
      VectorReader(*connection),
      LabelReader(*connection),
      FailureReader(*connection),
      connection_(std::move(connection)) {}
CatalogueReader::CatalogueReader(CatalogueReader&&) noexcept = default;
CatalogueReader& CatalogueReader::operator=(CatalogueReader&&) noexcept = default;
CatalogueReader::~CatalogueReader() = default;

Result<CatalogueReader> CatalogueReader::open(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT)
    return fail(ErrorCode::kNotFound, "there is no catalogue at " + to_utf8(path) + ": run analyze first");
  return guarded([&] {
    auto connection = std::make_unique<Connection>(path, Access::kRead);
    const int version = schema_version(*connection, migrations());
    if (version == 0) raise(ErrorCode::kNotFound, "the catalogue " + to_utf8(path) + " is empty: run analyze first");
    if (version < migrations().back().version)
      raise(ErrorCode::kUnsupported,
            "an older image-engine wrote the catalogue " + to_utf8(path) + ": run analyze once to bring it up to date");
    return CatalogueReader(std::move(connection));
  });
}

Result<AssetId> FileReader::find_asset_by_path(const std::string& path) const {
  return guarded([&] {
    const AssetId asset = connection_->integer("SELECT asset_id FROM files WHERE path = ?", Blob{path});
    if (asset == 0) raise(ErrorCode::kNotFound, to_utf8(path) + " is not in the catalogue");
    return asset;
  });
}

Result<std::vector<KnownFile>> FileReader::known_files(const std::string& root) const {
  return guarded([&] { return files_below(*connection_, root); });
}

Result<bool> FileReader::knows(const std::string& path) const {
  return guarded([&] {
    const PathRange range = below(path);
    return connection_->integer("SELECT EXISTS (SELECT 1 FROM files WHERE path = ? OR (path >= ? AND path < ?))",
                                Blob{range.self}, Blob{range.from}, Blob{range.to}) != 0;
  });
}

Result<AssetId> FileReader::find_asset_by_hash(const Hash128& hash) const {
  return guarded([&] {
    const AssetId asset = connection_->integer("SELECT id FROM assets WHERE hash = ?", Blob{bytes_of(hash)});
    if (asset == 0) raise(ErrorCode::kNotFound, "no asset " + hash.hex() + " is in the catalogue");
    return asset;
  });
}

Result<std::vector<StageKey>> RecordReader::record_keys(const Hash128& hash, AssetId otherwise) const {
  return guarded([&] {
    std::vector<StageKey> keys;
    for (auto row = connection_->query("SELECT stage, model, version, params FROM records "
                                       "WHERE asset_id = coalesce((SELECT id FROM assets WHERE hash = ?), ?)",
                                       Blob{bytes_of(hash)}, otherwise);
         row.next();)
      keys.push_back({row.bytes(0), row.bytes(1), row.bytes(2), row.bytes(3)});
    return keys;
  });
}

Result<std::vector<AssetId>> FileReader::asset_ids() const {
  return guarded([&] {
    std::vector<AssetId> ids;
    for (auto row = connection_->query("SELECT id FROM assets ORDER BY id"); row.next();) ids.push_back(row.integer(0));
    return ids;
  });
}

Result<AssetRecord> FileReader::asset_record(AssetId id, const std::string& first) const {
  return guarded([&] {
    Connection& c = *connection_;
    AssetRecord asset;
    asset.id = id;
    std::string hash;
    {
      auto row = c.query("SELECT hash, kind FROM assets WHERE id = ?", id);
      if (!row.next()) raise(ErrorCode::kNotFound, "asset " + std::to_string(id) + " is not in the catalogue");
      hash = row.bytes(0);
      asset.kind = kind_from_name(row.bytes(1));
    }
    if (!hash.empty()) asset.hash = hash_from_bytes(hash);
    for (auto row = c.query(
             "SELECT " IE_FILE_COLUMNS IE_FILES
             "WHERE f.asset_id = ? ORDER BY f.path <> ?, f.state IN ('missing', 'excluded'), f.state = 'offline', f.id",
             id, Blob{first});
         row.next();)
      asset.files.push_back(read_file_row(row));
    for (auto row =
             c.query("SELECT " IE_RECORD_COLUMNS "FROM records WHERE asset_id = ? ORDER BY stage, created, id", id);
         row.next();)
      asset.records.push_back(read_record_row(row));
    for (const KnownFile& file : asset.files) {
      for (auto row = c.query("SELECT " IE_RECORD_COLUMNS "FROM records WHERE file_id = ? ORDER BY stage, id", file.id);
           row.next();)
        asset.records.push_back(read_record_row(row));
      for (auto row = c.query("SELECT " IE_FAILURE_COLUMNS IE_FAILURES "WHERE x.file_id = ? ORDER BY x.stage", file.id);
           row.next();)
        asset.failures.push_back(read_failure_row(row));
    }
    for (const Record& record : asset.records) {
      if (record.key.stage != kMetadataStage || asset.metadata) continue;
      if (auto facts = facts_from_json(record.data)) {
        asset.metadata = std::move(facts->metadata);
        asset.place = std::move(facts->place);
      }
    }
    for (auto row = c.query("SELECT name, confidence, box FROM asset_classes WHERE asset_id = ? AND field = ? "
                            "ORDER BY confidence DESC, name",
                            id, text_field_name(TextField::kKeywords));
         row.next();)
      asset.learned.push_back({row.bytes(0), row.real(1), row.is_null(2) ? std::nullopt : box_from_json(row.bytes(2))});
    if (hash.empty()) return asset;
    for (auto row = c.query("SELECT rating FROM user_ratings WHERE asset_hash = ?", Blob{hash}); row.next();)
      asset.user_rating = static_cast<int>(row.integer(0));
    for (auto row = c.query("SELECT title FROM user_titles WHERE asset_hash = ?", Blob{hash}); row.next();)
      asset.user_title = row.bytes(0);
    for (auto row = c.query("SELECT label FROM labels WHERE asset_hash = ? ORDER BY label", Blob{hash}); row.next();)
      asset.labels.push_back(row.bytes(0));
    return asset;
  });
}

Result<bool> CatalogueReader::is_analysed(TextField field, std::string_view stage) const {
  return guarded([&] {
    if (connection_->integer("SELECT EXISTS(SELECT 1 FROM records WHERE stage = ?)", stage) != 0) return true;
    if (field == TextField::kSaid) return connection_->integer("SELECT EXISTS(SELECT 1 FROM asset_speech)") != 0;
    return connection_->integer(
               "SELECT EXISTS(SELECT 1 FROM asset_found_text WHERE field = ?1) OR "
               "EXISTS(SELECT 1 FROM asset_classes WHERE field IN (?1, ?2))",
               text_field_name(field),
               text_field_name(field == TextField::kAction ? TextField::kZeroShotAction : field)) != 0;
  });
}

namespace {

// The words of the text index, each once, or once for each column that has it.
struct Vocabulary {
  std::string_view create, words;
};
constexpr Vocabulary kAllWords = {
    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.text_words USING fts5vocab(main, asset_text, row)",
    "SELECT term FROM temp.text_words WHERE term >= ? AND term < ?"};
constexpr Vocabulary kWordsOfColumn = {
    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.column_words USING fts5vocab(main, asset_text, col)",
    "SELECT term FROM temp.column_words WHERE term >= ? AND term < ? AND col = ?"};

// Compares words with `nearest` from `from` on, below `end`, and returns where to go on: `end` after the last.
std::string compare_some(Query row, NearestWord& nearest, const std::string& end) {
  constexpr int kMostPassed = 16;  // words that need not be read cost as much as seeking the next one that must be
  std::string next;
  for (int passed = 0; row.next();) {
    const std::string word = row.bytes(0);
    if (word >= next)
      next = nearest.compare(word), passed = 0;
    else if (++passed == kMostPassed)
      return next;
  }
  return end;
}

}  // namespace

Result<std::string> CatalogueReader::nearest_word(const TextCondition& text) const {
  return guarded([&]() -> std::string {
    const TextField column = column_of(text.field);
    if (column > TextField::kAny) return {};
    const std::vector<Token> tokens = tokens_of(*connection_, query_text(text.text));
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (tokens.size() != 1 || std::ranges::all_of(tokens.front().text, is_digit)) return {};
    const std::string& word = tokens.front().text;
    const Vocabulary& vocabulary = column == TextField::kAny ? kAllWords : kWordsOfColumn;
    connection_->execute(std::string(vocabulary.create));
    NearestWord nearest(word);
    std::string from(first_characters(word, 1));
    for (const std::string end = from + "\xF4\x8F\xBF\xBF"; from < end;)
      from = compare_some(column == TextField::kAny
                              ? connection_->query(vocabulary.words, from, end)
                              : connection_->query(vocabulary.words, from, end, text_field_name(column)),
                          nearest, end);
    return nearest.nearest();
  });
}

Result<FoundAssets> CatalogueReader::find(const AssetQuery& query) const {
  return guarded([&] { return AssetFinder(*connection_).find(query); });
}

}  // namespace image_engine::store
