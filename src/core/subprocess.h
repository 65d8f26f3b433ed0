// Other programs, started without a shell.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
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
  std::string folder = "/";                      // the program's current folder; empty: ours
  // In a user and a PID namespace of its own, where the system allows that; elsewhere as any other program. There it
  // is process 1: it sees no other process, and only we can signal it.
  bool alone = false;
};

// Starts a program in a process group of its own and returns its process id; the caller waits for it.
// Errors: kMachine (no descriptor, process or memory is left), else that of starting the program.
Result<int> spawn(const SpawnOptions& options);

struct RunWatch {
  std::chrono::milliseconds timeout{0};  // 0: as long as it takes
  std::stop_token stop;                  // looked at about a hundred times a second
  std::function<void(double)> waiting;   // called about twenty times a second, with the seconds so far
  bool keep_errors = false;              // stderr, too
  std::string name;                      // of the program, in messages; its path where empty
};

struct Finished {
  int exit_code = 0;  // −1 when a signal ended it
  int signal = 0;
  std::string output;  // stdout: the first 16 MiB
  std::string errors;  // stderr, with keep_errors: the first 16 MiB
};

// Runs a program to its end, whatever it does with its stdout, or kills it and its process group: kTimeout, or
// kInterrupted once `stop` is requested. What a descendant writes after the program's end is not waited for.
Result<Finished> run_program(const SpawnOptions& options, const RunWatch& watch);

}  // namespace image_engine
