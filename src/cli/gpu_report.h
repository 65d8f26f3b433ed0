// What `analyze` shows about GPUs: while it runs, in its report and in its JSON.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/app.h"
#include "gpu/monitor.h"

namespace image_engine::cli {

using GpuMonitor = std::unique_ptr<gpu::Monitor>;  // null: there is no GPU to watch

// Starts to monitor every GPU. If there is none and `explain`, prints the reason to stderr.
GpuMonitor watch_gpus(bool explain);

// "GPU 87 %  3.1 GB  250 W  64 °C", for each GPU, with its number if there are several.
std::string gpus_now(const gpu::Monitor& monitor);

// An array, empty without any.
nlohmann::json gpus_json(const GpuMonitor& monitor);
void print_gpus(const Context& context, const gpu::Monitor& monitor);

}  // namespace image_engine::cli
