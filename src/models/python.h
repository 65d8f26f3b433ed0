// Running the Python programs of tools/models: package lookup and converters.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/result.h"

namespace image_engine::models {

// The interpreter with the packages of tools/models/requirements.txt: `given` if not empty, else that of an environment
// in the user's cache folder, created on first use (by one process; others wait). Errors: kUnsupported (no python3, or
// it lacks venv: the message names the package), kIo (pip's last line), kInterrupted.
Result<std::string> converter_python(const std::string& given, const std::string& tools, const std::stop_token& stop);

// Runs a Python program to its end and returns its stdout. The interpreter is isolated (-I) and runs in /: it imports
// modules beside `script`, but none of the current folder, the user's site or PYTHONPATH. Paths in `arguments` must be
// absolute. The environment is passed without this program's keys. Errors: kIo (it failed: the last line of its
// stderr), kTimeout and kInterrupted (it is killed). `waiting`: as RunWatch's.
Result<std::string> run_script(const std::string& python, const std::string& script, std::vector<std::string> arguments,
                               std::chrono::seconds limit, const std::stop_token& stop,
                               const std::function<void(double)>& waiting = {});
// Likewise runs a module of the interpreter, as `python -m`.
Result<std::string> run_module(const std::string& python, const std::string& module, std::vector<std::string> arguments,
                               std::chrono::seconds limit, const std::stop_token& stop);

}  // namespace image_engine::models
