// The state of a CatalogueWriter; its functions are in writer.cpp, content.cpp, pending.cpp and ledger.cpp.
#pragma once

#include <string>
#include <type_traits>
#include <unordered_set>

#include "store/asset_index.h"
#include "store/catalogue.h"
#include "store/sql.h"

namespace image_engine::store {

struct WriterState {
  static constexpr std::size_t kMostDirty = 64;
  WriterState(const std::string& path, WriterLock held) : lock(std::move(held)), connection(path, Access::kCreate) {}

  // Runs f in the open batch, else in its own transaction.
  template <typename F>
  auto change(F&& f) -> Result<std::invoke_result_t<F>> {
    return guarded([&] {
      if (!in_batch) return alone(std::forward<F>(f));
      try {
        // Now and then, so that a commit does not keep the threads waiting that read the next files.
        if (dirty.size() >= kMostDirty) flush();
        return f();
      } catch (const SqlFailure& failure) {
        const ErrorCode code = failure.error.code;
        if (code != ErrorCode::kNotFound && code != ErrorCode::kInvalidArgument) rollback();
        throw;
      }
    });
  }

  template <typename F>
  auto alone(F&& f) {
    forget_changes();
    Transaction transaction(connection);
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      f();
      flush();
      transaction.commit();
    } else {
      auto value = f();
      flush();
      transaction.commit();
      return value;
    }
  }

  // Updates the search index for the changed assets.
  void flush();
  void forget_changes();
  // Rolls the batch back.
  void rollback();
  // kNotFound for an unknown file.
  AssetId asset_of(FileId file);
  AssetId add_provisional(std::string_view kind, std::string_view format);
  void index_with(Headers headers, AssetId asset) { (headers == Headers::kFollow ? waiting : dirty).insert(asset); }
  void adopt_picture(FileId file, const PreparedMetadata& metadata);
  void take_words(const std::string& former, AssetId asset, const std::string& hash);
  AssetId name_asset(AssetId now, const std::string& before, const std::string& hash, Content& content);

  WriterLock lock;
  Connection connection;
  AssetIndex index{connection};
  std::unordered_set<AssetId> dirty;           // changed since the last flush()
  std::unordered_set<AssetId> waiting;         // new, not in the index before their headers are known
  std::unordered_set<AssetId> changed_speech;  // likewise, what is said in them
  bool in_batch = false;
};

}  // namespace image_engine::store
