// Python programs of tools/models: the look-up in package registries and the converters.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "core/result.h"

namespace image_engine::models {

// The interpreter that has what tools/models/requirements.txt names: `given` if not empty, else that of an environment
// in the user's cache folder, made when it is first asked for (by one process; others wait).
// Errors: kUnsupported (no python3, or it lacks venv: says what to install), kIo (pip's last words), kInterrupted.
Result<std::string> converter_python(const std::string& given, const std::string& tools,
                                     const std::function<bool()>& cancelled);

// Runs a program to its end; what it printed. It gets the environment without this program's keys.
// Errors: kIo (it failed: the last line that it wrote to stderr), kTimeout, kInterrupted; it is killed then.
Result<std::string> run_tool(const std::vector<std::string>& arguments, std::chrono::seconds limit,
                             const std::function<bool()>& cancelled);

}  // namespace image_engine::models
