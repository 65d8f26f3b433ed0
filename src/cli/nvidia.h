// The parts of `nvidia`: each adds its subcommand's flags and returns what it does.
#pragma once

#include "cli/app.h"

namespace image_engine::cli {

Action setup_nvidia_check(Arguments app);
Action setup_nvidia_describe(Arguments app);
Action setup_nvidia_detect(Arguments app, Settings& settings);
Action setup_nvidia_benchmark(Arguments app);

}  // namespace image_engine::cli
