// Runs on fixed inputs, to compare and to time sessions.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "infer/session.h"

namespace image_engine::infer {

// All outputs of all runs, run after run. `canaries` are the concatenated inputs of one or more runs. kInvalidArgument
// when the last run is incomplete.
Result<std::vector<Tensor>> run_canaries(const Session& session, std::span<const Tensor> canaries,
                                         std::span<const std::string> outputs);

double median(std::vector<double> values);

// Seconds per picture when `rows` copies of the first canary run at once, with inputs already on the device.
Result<double> seconds_a_picture(const Session& session, std::span<const Tensor> canaries, std::int64_t rows);

}  // namespace image_engine::infer
