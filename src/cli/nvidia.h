// The parts of `nvidia`: each adds its subcommand's flags and returns what it does.
#pragma once

#include "cli/app.h"

namespace image_engine::cli {

Action setup_nvidia_check(CLI::App& app);
Action setup_nvidia_describe(CLI::App& app);
Action setup_nvidia_detect(CLI::App& app, Settings& settings);
Action setup_nvidia_benchmark(CLI::App& app);

}  // namespace image_engine::cli
