// Runs whose outputs are known, for comparing what computes them and for timing it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "infer/session.h"

namespace image_engine::infer {

// All outputs of all runs, run after run. `canaries` are the inputs of one or more runs, one after the other.
// kInvalidArgument when they do not make whole runs.
Result<std::vector<Tensor>> run_canaries(const Session& session, std::span<const Tensor> canaries,
                                         std::span<const std::string> outputs);

double median(std::vector<double> values);

// Seconds for a picture when `rows` of the first canary are computed at once, inputs already where they are needed.
Result<double> seconds_a_picture(const Session& session, std::span<const Tensor> canaries, std::int64_t rows);

}  // namespace image_engine::infer
