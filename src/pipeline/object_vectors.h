// Vectors of single objects, cut out of the pictures in which a detector found them.
#pragma once

#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "core/result.h"
#include "pipeline/installed_models.h"
#include "store/catalogue.h"

namespace image_engine::pipeline {

struct ObjectVectorJob {
  const store::CatalogueReader& reader;
  store::CatalogueWriter& writer;
  const InstalledModels& models;
  store::Space space;                // whose model embeds
  std::string object;                // the detector's name for them
  std::vector<store::AssetId> only;  // these pictures; empty: all that have such an object
  bool progress = false;
  std::stop_token stop;
  // Called with each picture's vectors before they count as done; may be empty.
  std::function<Status(store::AssetId, const std::vector<store::ObjectVector>&)> embedded = {};
};

// Embeds the objects of each picture that has some and was not embedded yet. Skips pictures that cannot be decoded
// (`analyze` has them in its ledger). Returns the number of pictures embedded. A stop request ends it early and keeps
// what is done.
Result<std::size_t> embed_objects(const ObjectVectorJob& job);

// The objects of a picture by name, each with the area in pixels of its largest one.
std::map<std::string, double> object_areas(const store::AssetRecord& record);

}  // namespace image_engine::pipeline
