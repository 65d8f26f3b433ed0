// The stages that take much longer than all others together, once everything else is known of all photos.
#pragma once

#include <vector>

#include "core/result.h"
#include "pipeline/meaning.h"
#include "pipeline/run.h"
#include "pipeline/stages.h"
#include "store/types.h"

namespace image_engine::pipeline {

// A photo whose stages' look() left it to prepare().
struct SlowPhoto {
  store::PendingFile file;
  store::AssetId asset = 0;
  std::vector<const PictureStage*> stages;
};

// Decodes each photo again, as large as its stages ask for, and runs them. After a stop request those that are left
// have no record and are due again in the next run; report.waiting counts them. Errors as of the passes: one of a photo
// is a failure of its files.
Status run_slow_stages(Run& run, Meaning& meaning, const std::vector<SlowPhoto>& photos);

}  // namespace image_engine::pipeline
