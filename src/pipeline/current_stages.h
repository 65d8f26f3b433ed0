// What analyze, without flags, would bring a catalogue up to: `status` reports as stale what analyze renews.
#pragma once

#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"
#include "store/catalogue.h"

namespace image_engine::pipeline {

// By this configuration and the models that are installed; without requests to servers. Errors: those of reading the
// catalogue.
Result<store::CurrentStages> current_stages(const store::CatalogueReader& catalogue, const models::InstallPaths& paths,
                                            const Config& config);

}  // namespace image_engine::pipeline
