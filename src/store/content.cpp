// Results of pass 1 and pass 2: metadata, content, records; and a person's ratings and labels.
#include <algorithm>

#include "core/text.h"
#include "store/rows.h"
#include "store/writer_state.h"

namespace image_engine::store {

PreparedMetadata prepare_metadata(const Metadata& metadata, const std::optional<Place>& place) {
  const bool is_photo = media_kind(metadata.format) == MediaKind::kPhoto;
  PreparedMetadata prepared{metadata.format, is_photo ? metadata.orientation : 0, facts_to_json({metadata, place}),
                            nullptr};
  // Read back, so that the index is the same when it is rebuilt from the record.
  if (std::optional<FileFacts> facts = facts_from_json(prepared.record))
    prepared.facts = std::make_shared<const FileFacts>(std::move(*facts));
  return prepared;
}

Status FileWriter::set_file_metadata(FileId file, const PreparedMetadata& metadata, const std::string& version) {
  return state_->change([&] {
    WriterState& s = *state_;
    std::optional<std::string_view> format, kind;
    if (metadata.format != MediaFormat::kNone) {
      format = format_name(metadata.format);
      kind = kind_name(media_kind(metadata.format));
    }
    s.adopt_picture(file, metadata);
    const AssetId asset = s.asset_of(file);
    // Not with RETURNING, for which SQLite keeps a journal of the statement.
    s.connection.run(
        "UPDATE files SET metadata_version = ?, format = coalesce(?, format), kind = coalesce(?, kind), "
        "orientation = ? WHERE id = ?",
        version, format, kind, metadata.orientation, file);
    s.dirty.insert(asset);
    s.waiting.erase(asset);
    s.connection.run("DELETE FROM records WHERE file_id = ? AND stage = 'metadata'", file);
    s.connection.run(
        "INSERT INTO records(file_id, stage, model, version, params, device, precision, data, created) "
        "VALUES(?, 'metadata', '', ?, '', 'cpu', '', ?, ?)",
        file, version, metadata.record, utc_now());
    s.connection.run("DELETE FROM failures WHERE file_id = ? AND stage = 'metadata'", file);
    s.index.remember(file, metadata.facts);
  });
}

namespace {

constexpr std::string_view kSaidByPeople[] = {"user_ratings", "user_titles", "labels", "label_examples"};

enum class Examples : bool { kWithBoxes, kOfWholePictures };

// Copies a person's ratings and labels from one hash to another that has none. True when there were any.
bool copy_words(Connection& c, const std::string& from, const std::string& to,
                Examples examples = Examples::kWithBoxes) {
  std::int64_t copied = 0;
  for (const char* sql : {"INSERT OR IGNORE INTO user_ratings(asset_hash, rating, set_at) "
                          "SELECT ?2, rating, set_at FROM user_ratings WHERE asset_hash = ?1",
                          "INSERT OR IGNORE INTO user_titles(asset_hash, title, set_at) "
                          "SELECT ?2, title, set_at FROM user_titles WHERE asset_hash = ?1",
                          "INSERT OR IGNORE INTO labels(asset_hash, label, set_at) "
                          "SELECT ?2, label, set_at FROM labels WHERE asset_hash = ?1"}) {
    c.run(sql, Blob{from}, Blob{to});
    copied += c.changes();
  }
  c.run(
      "INSERT OR IGNORE INTO label_examples(name, asset_hash, positive, box, set_at) "
      "SELECT name, ?2, positive, box, set_at FROM label_examples WHERE asset_hash = ?1 AND (box IS NULL OR ?3)",
      Blob{from}, Blob{to}, examples == Examples::kWithBoxes);
  return copied + c.changes() > 0;
}

bool has_words(Connection& c, const std::string& hash) {
  return c.integer(
             "SELECT EXISTS(SELECT 1 FROM user_ratings WHERE asset_hash = ?1) OR "
             "EXISTS(SELECT 1 FROM user_titles WHERE asset_hash = ?1) OR "
             "EXISTS(SELECT 1 FROM labels WHERE asset_hash = ?1)",
             Blob{hash}) != 0;
}

void forget_words(Connection& c, const std::string& hash) {
  for (const std::string_view table : kSaidByPeople)
    c.run("DELETE FROM " + std::string(table) + " WHERE asset_hash = ?", Blob{hash});
}

// Tables of what was found in a picture, besides its own vectors.
constexpr std::string_view kFindingTables[] = {"records",        "object_embeddings",  "asset_found_text",
                                               "asset_objects",  "asset_products",     "asset_classes",
                                               "asset_subjects", "asset_subject_looks"};

// Of a picture that is analyzed again.
void forget_findings(Connection& c, AssetId asset) {
  c.run("DELETE FROM embeddings WHERE asset_id = ?", asset);
  for (const std::string_view table : kFindingTables)
    c.run("DELETE FROM " + std::string(table) + " WHERE asset_id = ?", asset);
}

// Moves all results of an asset to another one. The other's own results stay.
void move_findings(Connection& c, AssetId from, AssetId to) {
  // Not by UPDATE: triggers record each vector's asset.
  c.run(
      "INSERT OR IGNORE INTO embeddings(space_id, asset_id, vector) "
      "SELECT space_id, ?, vector FROM embeddings WHERE asset_id = ?",
      to, from);
  c.run("DELETE FROM embeddings WHERE asset_id = ?", from);
  for (const std::string_view name : kFindingTables) {
    const std::string table(name);
    c.run("UPDATE OR IGNORE " + table + " SET asset_id = ? WHERE asset_id = ?", to, from);
    c.run("DELETE FROM " + table + " WHERE asset_id = ?", from);
  }
}

}  // namespace

// The same bytes are read by another orientation, or understood otherwise, than before.
void WriterState::adopt_picture(FileId file, const PreparedMetadata& metadata) {
  if (metadata.orientation == 0 || !metadata.facts) return;
  std::int64_t orientation = 0;
  std::optional<FileFacts> before;
  {
    auto row = connection.query(
        "SELECT f.orientation, r.data FROM files f JOIN records r ON r.file_id = f.id AND r.stage = 'metadata' "
        "WHERE f.id = ? AND f.file_hash IS NOT NULL",
        file);
    if (!row.next()) return;
    orientation = row.integer(0);
    before = facts_from_json(row.bytes(1));
  }
  const AssetId asset = asset_of(file);
  const Metadata& now = metadata.facts->metadata;
  if (orientation != metadata.orientation) {
    dirty.insert(asset);
    const AssetId other = add_provisional(kind_name(MediaKind::kPhoto), format_name(metadata.format));
    connection.run("UPDATE files SET asset_id = ?, file_hash = NULL WHERE id = ?", other, file);
    connection.run("DELETE FROM failures WHERE file_id = ? AND stage <> 'metadata'", file);
  } else if (before &&
             (before->metadata.width != now.width || before->metadata.height != now.height ||
              before->metadata.format != now.format || before->metadata.colour_profile != now.colour_profile)) {
    forget_findings(connection, asset);
  }
}

void WriterState::take_words(const std::string& former, AssetId asset, const std::string& hash) {
  if (copy_words(connection, former, hash)) dirty.insert(asset);
  if (connection.integer("SELECT count(*) FROM assets WHERE hash = ?", Blob{former}) == 0)
    forget_words(connection, former);
}

// The asset of this hash: the existing one, or `now` if it has no hash or a former one, or a new one.
AssetId WriterState::name_asset(AssetId now, const std::string& before, const std::string& hash, Content& content) {
  Connection& c = connection;
  AssetId asset = c.integer("SELECT id FROM assets WHERE hash = ?", Blob{hash});
  content.known = asset != 0;
  const bool former = is_former_hash(before);
  if (!content.known) {
    asset = before.empty() || former ? now : add_provisional("none", "none");
    c.run("UPDATE assets SET hash = ? WHERE id = ?", Blob{hash}, asset);
    if (has_words(c, hash)) dirty.insert(asset);  // nothing else that is searched for depends on the hash
  }
  if (former) {
    if (copy_words(c, before, hash)) dirty.insert(asset);
    if (asset == now || c.integer("SELECT count(*) FROM files WHERE asset_id = ? AND file_hash IS NULL", now) <= 1) {
      forget_words(c, before);
      if (asset != now) move_findings(c, now, asset);
    }
    content.former = hash_from_bytes(before);
  }
  return asset;
}

Result<Content> FileWriter::set_content(FileId file, const Hash128& file_hash, const Hash128& asset_hash,
                                        const Hash128& former, std::span<const Hash128> siblings) {
  if (file_hash.empty() || asset_hash.empty())
    return fail(ErrorCode::kInvalidArgument, "catalogue: a content needs both hashes");
  return state_->change([&] {
    WriterState& s = *state_;
    Connection& c = s.connection;
    const std::string hash = bytes_of(asset_hash);
    AssetId now = 0;
    std::string before;
    bool carried = false;
    {
      auto row = c.query("SELECT f.asset_id, a.hash, f.file_hash IS NULL " IE_FILES "WHERE f.id = ?", file);
      if (!row.next()) raise(ErrorCode::kNotFound, "file " + std::to_string(file) + " is not in the catalogue");
      now = row.integer(0);
      before = row.bytes(1);
      carried = row.integer(2) != 0 && before.size() == hash.size();
    }
    Content content;
    content.asset = s.name_asset(now, before, hash, content);
    if (carried && content.asset != now) {  // another of its files has already renamed `now`
      forget_findings(c, now);
      (void)copy_words(c, hash_of_asset(c, now), hash);
    }
    // Only once: a person may remove it later.
    if (!former.empty() && !content.known) s.take_words(former_bytes_of(former), content.asset, hash);
    if (!content.known)
      for (const Hash128& sibling : siblings)
        if (sibling != asset_hash && copy_words(c, bytes_of(sibling), hash, Examples::kOfWholePictures))
          s.dirty.insert(content.asset);
    c.run("UPDATE files SET file_hash = ? WHERE id = ?", Blob{bytes_of(file_hash)}, file);
    if (content.asset != now) {
      c.run("UPDATE files SET asset_id = ? WHERE id = ?", content.asset, file);
      s.dirty.insert(content.asset);
      s.dirty.insert(now);
    }
    c.run("DELETE FROM failures WHERE file_id = ? AND stage = 'content'", file);
    return content;
  });
}

Result<bool> FileWriter::wants_former_hashes() {
  return guarded([&] {
    return std::ranges::any_of(kSaidByPeople, [&](std::string_view table) {
      return state_->connection.integer("SELECT EXISTS(SELECT 1 FROM " + std::string(table) +
                                        " WHERE length(asset_hash) > 16)") != 0;
    });
  });
}

Status RecordWriter::put_record(AssetId asset, const Record& record, std::span<const Fact> facts) {
  IE_CHECK(state_->change([&] {
    Connection& c = state_->connection;
    require_asset(c, asset);
    const StageKey& key = record.key;
    c.run(
        "INSERT INTO records(asset_id, stage, model, version, params, device, precision, data, created) "
        "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT(asset_id, stage, model, version, params) WHERE asset_id IS NOT NULL DO UPDATE SET "
        "device = excluded.device, precision = excluded.precision, data = excluded.data, created = excluded.created",
        asset, key.stage, key.model, key.version, key.params, record.device, record.precision, record.data, utc_now());
    c.run("DELETE FROM failures WHERE stage = ? AND file_id IN (SELECT id FROM files WHERE asset_id = ?)", key.stage,
          asset);
    if (key.stage == kSpeechStage) state_->changed_speech.insert(asset);
  }));
  for (const Fact& fact : facts) IE_CHECK(put_fact(asset, fact));
  return {};
}

Status RecordWriter::put_file_record(FileId file, const Record& record) {
  return state_->change([&] {
    Connection& c = state_->connection;
    (void)state_->asset_of(file);
    const StageKey& key = record.key;
    c.run(
        "INSERT INTO records(file_id, stage, model, version, params, device, precision, data, created) "
        "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT(file_id, stage, model, version, params) WHERE file_id IS NOT NULL DO UPDATE SET "
        "device = excluded.device, precision = excluded.precision, data = excluded.data, created = excluded.created",
        file, key.stage, key.model, key.version, key.params, record.device, record.precision, record.data, utc_now());
    c.run("DELETE FROM failures WHERE stage = ? AND file_id = ?", key.stage, file);
  });
}

Status LabelWriter::set_user_rating(AssetId asset, std::optional<int> rating) {
  if (rating && (*rating < 0 || *rating > 5)) return fail(ErrorCode::kInvalidArgument, "a rating is from 0 to 5");
  return state_->change([&] {
    const std::string hash = hash_of_asset(state_->connection, asset);
    state_->dirty.insert(asset);
    if (rating)
      state_->connection.run(
          "INSERT INTO user_ratings(asset_hash, rating, set_at) VALUES(?, ?, ?) "
          "ON CONFLICT(asset_hash) DO UPDATE SET rating = excluded.rating, set_at = excluded.set_at",
          Blob{hash}, *rating, utc_now());
    else
      state_->connection.run("DELETE FROM user_ratings WHERE asset_hash = ?", Blob{hash});
  });
}

Status LabelWriter::set_user_title(AssetId asset, const std::string& title) {
  return state_->change([&] {
    Connection& c = state_->connection;
    const std::string hash = hash_of_asset(c, asset);
    state_->dirty.insert(asset);
    if (title.empty()) return c.run("DELETE FROM user_titles WHERE asset_hash = ?", Blob{hash});
    c.run(
        "INSERT INTO user_titles(asset_hash, title, set_at) VALUES(?, ?, ?) "
        "ON CONFLICT(asset_hash) DO UPDATE SET title = excluded.title, set_at = excluded.set_at",
        Blob{hash}, to_utf8(title), utc_now());
  });
}

Status LabelWriter::add_label(AssetId asset, const std::string& label) {
  if (label.empty()) return fail(ErrorCode::kInvalidArgument, "a label needs a name");
  return state_->change([&] {
    const std::string hash = hash_of_asset(state_->connection, asset);
    state_->dirty.insert(asset);
    state_->connection.run("INSERT INTO labels(asset_hash, label, set_at) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
                           Blob{hash}, to_utf8(label), utc_now());
  });
}

Status LabelWriter::remove_label(AssetId asset, const std::string& label) {
  return state_->change([&] {
    const std::string hash = hash_of_asset(state_->connection, asset);
    state_->dirty.insert(asset);
    state_->connection.run("DELETE FROM labels WHERE asset_hash = ? AND label = ?", Blob{hash}, to_utf8(label));
    if (state_->connection.changes() == 0)
      raise(ErrorCode::kNotFound, "\"" + to_utf8(label) + "\" is no label that you gave");
  });
}

}  // namespace image_engine::store
