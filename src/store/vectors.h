// Spaces of vectors, and the vectors of pictures, of objects in them and of tags. Parts of
// CatalogueReader and CatalogueWriter (store/catalogue.h), whose rules for threads, errors and transactions hold.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "store/types.h"

namespace image_engine::store {

class Connection;
struct WriterState;

class VectorReader {
 public:
  // All spaces of a stage, the active one first, then by id.
  Result<std::vector<Space>> spaces(const std::string& stage) const;
  // Vectors of a space that changed after `generation` (0: all there are), by id; removed ones have no numbers.
  Status changed_vectors(SpaceId space, std::int64_t generation,
                         const std::function<Status(VectorId, std::span<const std::uint16_t>)>& take) const;
  Result<std::optional<std::vector<std::uint16_t>>> vector_of(SpaceId space, VectorId id) const;
  // Those of an asset's moments, in the order of the moments.
  Result<std::vector<std::pair<MomentId, std::vector<std::uint16_t>>>> moment_vectors(SpaceId space,
                                                                                      AssetId asset) const;
  // Assets that have a record of `stage`, and records of it at moments, but no moment with a vector in `space` (0: all
  // of them).
  Result<std::vector<AssetId>> moments_not_embedded(const std::string& stage, SpaceId space) const;
  // Assets that have a vector in `space`, or moments that have one, but no record of `key` (a key without a stage: all
  // that have one).
  Result<std::vector<AssetId>> assets_without(SpaceId space, const StageKey& key) const;
  // Shown assets that have such an object but no record of `key`.
  Result<std::vector<AssetId>> objects_without(const std::string& object, const StageKey& key) const;
  Result<std::vector<ObjectVector>> object_vectors(SpaceId space, const std::string& object) const;
  Result<std::vector<std::pair<std::string, std::vector<std::uint16_t>>>> term_vectors(const std::string& model) const;
  // Whether there is one of any model.
  Result<bool> has_term_vectors() const;

 protected:
  explicit VectorReader(Connection& connection) : connection_(&connection) {}

 private:
  Connection* connection_;
};

class VectorWriter {
 public:
  // The space of this key, created where it is missing. The first one of a stage is active. kInvalidArgument when it
  // exists with other dimensions.
  Result<Space> open_space(const StageKey& key, std::size_t dimensions);
  Status put_vector(AssetId asset, SpaceId space, std::span<const std::uint16_t> vector);
  // Deletes those of an asset's moments.
  Status drop_moment_vectors(AssetId asset, SpaceId space);
  // Search reads this one from now on.
  Status activate_space(SpaceId space);
  // With its vectors, those of objects too, and the records of its key.
  Status drop_space(SpaceId space);
  // All crops of that object in a picture; replaces what was there. The caller's record marks an empty list as
  // "analyzed, none found".
  Status set_object_vectors(SpaceId space, AssetId asset, const std::string& object,
                            const std::vector<ObjectVector>& vectors);
  Status put_term_vectors(const std::string& model,
                          const std::vector<std::pair<std::string, std::vector<std::uint16_t>>>& vectors);

 protected:
  explicit VectorWriter(WriterState& state) : state_(&state) {}

 private:
  WriterState* state_;
};

}  // namespace image_engine::store
