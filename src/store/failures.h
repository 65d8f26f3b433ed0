// The failure ledger. Parts of
// CatalogueReader and CatalogueWriter (store/catalogue.h), whose rules for threads, errors and transactions hold.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "store/types.h"

namespace image_engine::store {

class Connection;
struct WriterState;

class FailureReader {
 public:
  // By path, then stage. `roots` as in PendingQuery.
  Result<std::vector<Failure>> list_failures(std::span<const std::string> roots = {}) const;

 protected:
  explicit FailureReader(Connection& connection) : connection_(&connection) {}

 private:
  Connection* connection_;
};

class FailureWriter {
 public:
  // Increments the tries when path and stage are in the ledger. Gives the number of tries.
  Result<std::int64_t> put_failure(const Failure& failure);
  Status clear_failure(const std::string& path, const std::string& stage);

 protected:
  explicit FailureWriter(WriterState& state) : state_(&state) {}

 private:
  WriterState* state_;
};

}  // namespace image_engine::store
