// The subcommands of `benchmark`: each adds its flags and returns its action.
#pragma once

#include "cli/app.h"

namespace image_engine::cli {

Action setup_benchmark_models(Arguments app);
Action setup_benchmark_batches(Arguments app);
Action setup_benchmark_photos(Arguments app, Settings& settings);
Action setup_benchmark_video(Arguments app, Settings& settings);

}  // namespace image_engine::cli
