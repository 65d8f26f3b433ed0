// What search reads of an asset, derived from its files, metadata, labels and found text.
#pragma once

#include <string>
#include <vector>

#include "store/sql.h"
#include "store/types.h"

namespace image_engine::store {

class AssetIndex {
 public:
  explicit AssetIndex(Connection& connection) : connection_(connection) { load_roots(); }
  void load_roots();
  // Makes the asset's columns and text anew. A provisional asset without a file goes.
  void refresh(AssetId asset);
  // Removes the asset and all that hangs on it.
  void erase(AssetId asset);

 private:
  struct Document;
  void read_files(AssetId asset, Document& document);
  void write_columns(AssetId asset, const Document& document);
  bool has_text(AssetId asset, const Document& document);
  void write_text(AssetId asset, const Document& document);
  [[nodiscard]] std::string name_text(const std::string& path) const;

  Connection& connection_;
  std::vector<std::string> roots_;
};

// Whether the text holds a letter of a script written without spaces: Chinese, Japanese, Thai, Lao, Khmer, Burmese.
// (Unicode 15 blocks.) Bytes that are not UTF-8 are none.
bool has_unspaced_script(std::string_view text);

}  // namespace image_engine::store
