// What search reads about an asset, derived from its files, metadata, labels and recognised text.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "store/files.h"
#include "store/sql.h"
#include "store/types.h"

namespace image_engine::store {

struct FileFacts;

class AssetIndex {
 public:
  explicit AssetIndex(Connection& connection) : connection_(connection) { load_roots(); }
  void load_roots();
  // Whether a root added here would be the outermost of files below it: their names begin with its name then.
  [[nodiscard]] bool is_outermost(const std::string& root) const;
  // The names that refresh() gives to the asset, which is in the text index, replace those there.
  void refresh_names(AssetId asset);
  // Rebuilds the asset's columns and text. Deletes a provisional asset that has no file.
  void refresh(AssetId asset);
  // Deletes the asset and everything that belongs to it.
  void erase(AssetId asset);
  // Keeps what the record of a file holds, so that refresh() does not parse it; until forget_facts().
  void remember(FileId file, std::shared_ptr<const FileFacts> facts) { facts_[file] = std::move(facts); }
  void forget_facts() { facts_.clear(); }

 private:
  struct Document;
  static void add_sound(Document& document, const AudioInfo& audio);
  // Of the file, else of its record in that column.
  [[nodiscard]] std::shared_ptr<const FileFacts> facts_of(FileId file, const Query& row, int column) const;
  static void add_tags(Document& document, const FileFacts& facts);
  void read_files(AssetId asset, Document& document);
  void write_columns(AssetId asset, const Document& document);
  enum class Text { kNone, kOther, kSame };
  // Of the asset in the index, beside the document's.
  Text text_of(AssetId asset, const Document& document);
  void write_text(AssetId asset, const Document& document);
  // The names of the file and its folders, starting with that of the outermost root: folders above are the same for
  // all. Then, in a line that begins with a blank, the parts of these names.
  [[nodiscard]] std::string name_text(const std::string& path) const;

  Connection& connection_;
  std::vector<std::string> roots_;
  std::unordered_map<FileId, std::shared_ptr<const FileFacts>> facts_;
};

// Whether the text contains a letter of a script written without spaces: Chinese, Japanese, Thai, Lao, Khmer, Burmese
// (Unicode 15 blocks). Bytes that are not UTF-8 do not count.
bool has_unspaced_script(std::string_view text);

}  // namespace image_engine::store
