// A signed list of plugins that can be installed by name.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "core/result.h"

namespace image_engine::plugins {

struct IndexOptions {
  std::string place;  // of the index: a file, or an https address; its signature is there with .minisig behind the name
  std::string key;    // the minisign public key that has signed it
  std::stop_token stop;
};

struct IndexEntry {
  std::string name, version, licence, summary;
  std::string machine;  // of `uname -m`
  std::string file;     // an https address, or a name beside the index
  std::string sha256;   // lower-case hex
};

// Reads the index and checks its signature before anything of it is used. kInvalidArgument: no place or key is
// configured. kPermission: the signature is wrong. kCorrupt: not an index. Also the errors of models::http_download().
Result<std::vector<IndexEntry>> read_index(const IndexOptions& options);

// Fetches the entry's file to `path` and compares its checksum: kCorrupt where it differs.
Status fetch_plugin(const IndexOptions& options, const IndexEntry& entry, const std::string& path);

// The entries for this machine whose name or summary has the words, in any case; all for no words.
std::vector<IndexEntry> matching(const std::vector<IndexEntry>& entries, const std::string& words);

}  // namespace image_engine::plugins
