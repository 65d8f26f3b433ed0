// Python programs of tools/models: the look-up in package registries and the converters.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <vector>

#include "core/result.h"

namespace image_engine::models {

// The interpreter that has what tools/models/requirements.txt names: `given` if not empty, else that of an environment
// in the user's cache folder, made when it is first asked for (by one process; others wait).
// Errors: kUnsupported (no python3, or it lacks venv: says what to install), kIo (pip's last words), kInterrupted.
Result<std::string> converter_python(const std::string& given, const std::string& tools, const std::stop_token& stop);

// Runs a Python program to its end; what it printed. The interpreter is isolated (-I) and runs in /: no module of the
// current folder, the user's own site or PYTHONPATH gets in its way; what lies beside `script` is found. Paths in
// `arguments` are absolute. It gets the environment without this program's keys.
// Errors: kIo (it failed: the last line that it wrote to stderr), kTimeout, kInterrupted; it is killed then.
Result<std::string> run_script(const std::string& python, const std::string& script, std::vector<std::string> arguments,
                               std::chrono::seconds limit, const std::stop_token& stop);
// Likewise a module of the interpreter's own, as `python -m`.
Result<std::string> run_module(const std::string& python, const std::string& module, std::vector<std::string> arguments,
                               std::chrono::seconds limit, const std::stop_token& stop);

}  // namespace image_engine::models
