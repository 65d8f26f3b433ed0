// Starts other programs without a shell.
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
  std::vector<std::string> environment;          // "NAME=value": the program's whole environment
  std::vector<std::pair<int, int>> descriptors;  // (ours, its number in the program); all others are closed
  bool silent = true;                            // stdin, stdout and stderr are /dev/null unless in descriptors
  std::string folder = "/";                      // the program's current folder; empty: ours
  // In its own user and PID namespace, if the system allows it. There it is process 1: it sees no other process, and
  // only we can signal it.
  bool alone = false;
  // And sees itself under /proc there, as CUDA's driver demands; harmless where the system refuses it.
  bool own_proc = false;
};

// Starts a program in its own process group and returns its process id; the caller must wait for it. Errors: kMachine
// (no descriptor, process or memory is left), else that of starting the program.
Result<int> spawn(const SpawnOptions& options);

struct RunWatch {
  std::chrono::milliseconds timeout{0};  // 0: no limit
  std::stop_token stop;                  // checked about a hundred times a second
  std::function<void(double)> waiting;   // called about twenty times a second with the elapsed seconds
  bool keep_errors = false;              // also keep stderr
  std::string name;                      // of the program, in messages; empty: its path
};

struct Finished {
  int exit_code = 0;  // −1 when a signal ended it
  int signal = 0;
  std::string output;  // stdout: the first 16 MiB
  std::string errors;  // stderr, with keep_errors: the first 16 MiB
};

// Runs a program to its end, even after it closes stdout, or kills its process group: kTimeout, or kInterrupted once
// `stop` is requested. Does not wait for output of descendants that outlive the program.
Result<Finished> run_program(const SpawnOptions& options, const RunWatch& watch);

}  // namespace image_engine
