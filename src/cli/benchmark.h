// The subcommands of `benchmark`: each adds its flags and returns its action.
#pragma once

#include "cli/app.h"

namespace image_engine::cli {

Action setup_benchmark_models(Arguments app);
Action setup_benchmark_batches(Arguments app);

}  // namespace image_engine::cli
