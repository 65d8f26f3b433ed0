// Which sidecar of subtitles belongs to what is said in an asset, and whether that has changed since it was analyzed.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "pipeline/run.h"
#include "scan/subtitle_sidecar.h"

namespace image_engine::pipeline {

// The sidecar of one of an asset's files.
struct AssetSidecar {
  store::FileId file = 0;
  scan::SubtitleSidecar sidecar;
};

struct SubtitleSidecars {
  std::unordered_map<store::AssetId, AssetSidecar> now;  // of assets that have one
  std::unordered_set<store::AssetId> changed;            // another one, or none, when they were analyzed
};

// Of the videos and recordings of this run that were read. Of several files with the same content the first one that
// has a sidecar counts. A folder that cannot be read is no change, nor is a sidecar beside a file that is not of this
// run. `language`: the preferred one (language_code()); empty: none is. Errors: the catalogue's.
Result<SubtitleSidecars> find_sidecars(Run& run, const std::string& language);

// Remembers the sidecar that the asset has been analyzed with, or that it had none that could be read. The sink's.
Status remember_sidecar(store::RecordWriter& writer, store::AssetId asset, const std::optional<AssetSidecar>& sidecar);

}  // namespace image_engine::pipeline
