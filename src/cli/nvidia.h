// The subcommands of `nvidia`: each adds its flags and returns its action.
#pragma once

#include "cli/app.h"

namespace image_engine::cli {

Action setup_nvidia_check(Arguments app);
Action setup_nvidia_describe(Arguments app);
Action setup_nvidia_detect(Arguments app, Settings& settings);
Action setup_nvidia_benchmark(Arguments app);

}  // namespace image_engine::cli
