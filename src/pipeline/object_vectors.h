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

// Embeds the objects of each picture that has some and has not been through this. Pictures that cannot be decoded are
// left out (`analyze` has them in its ledger). Gives the number of pictures that were analyzed. Cut short by
// `stop`, what is done is kept.
Result<std::size_t> embed_objects(const ObjectVectorJob& job);

// What a detector found in a picture, by name, with the largest one's area in pixels.
std::map<std::string, double> object_areas(const store::AssetRecord& record);

}  // namespace image_engine::pipeline
