// Other programs, started without a shell.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/result.h"

namespace image_engine {

struct SpawnOptions {
  std::vector<std::string> arguments;            // the program's path first
  std::vector<std::string> environment;          // "NAME=value": all that the program gets
  std::vector<std::pair<int, int>> descriptors;  // (ours, the number it has in the program); all others are closed
  bool silent = true;                            // stdin, stdout and stderr are /dev/null unless in descriptors
};

// Starts a program and returns its process id; the caller waits for it.
Result<int> spawn(const SpawnOptions& options);

struct Finished {
  int exit_code = 0;  // −1 when a signal ended it
  int signal = 0;
  std::string output;  // stdout, at most 16 MiB
};

// Runs a program to its end, or kills it after `timeout` (kTimeout).
Result<Finished> run_program(const SpawnOptions& options, std::chrono::milliseconds timeout);

}  // namespace image_engine
