// The command line, shared by all commands.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "cli/arguments.h"
#include "core/config.h"
#include "core/result.h"
#include "store/catalogue.h"

namespace image_engine::cli {

// Exit codes; docs in README and --help.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kDoneWithFailures = 3;
inline constexpr int kInterrupted = 130;

// The values of the common flags, and the effective configuration.
struct Context {
  std::string catalogue;  // absolute path
  Config config;
  bool json = false;
  bool quiet = false;
  bool colour = false;  // on stdout
};

// A command's work; runs after its flags were parsed and the configuration was loaded. Returns the exit code.
using Action = std::function<Result<int>(Context&)>;

// A command adds its flags to `app` and returns its action. Flags that set configuration keys go through `settings`, so
// that they override file and environment.
struct Setting {
  std::string key, value;
  std::vector<std::string> items = {};  // if not empty, the value is this list
};
using Settings = std::vector<Setting>;

struct Command {
  const char* name;
  const char* summary;
  Action (*setup)(Arguments app, Settings& settings);
};

Action setup_analyze(Arguments app, Settings& settings);
Action setup_analyze_video(Arguments app, Settings& settings);
Action setup_plan(Arguments app, Settings& settings);
Action setup_search(Arguments app, Settings& settings);
Action setup_similar(Arguments app, Settings& settings);
Action setup_duplicates(Arguments app, Settings& settings);
Action setup_show(Arguments app, Settings& settings);
Action setup_status(Arguments app, Settings& settings);
Action setup_failures(Arguments app, Settings& settings);
Action setup_catalog(Arguments app, Settings& settings);
Action setup_rate(Arguments app, Settings& settings);
Action setup_tag(Arguments app, Settings& settings);
Action setup_title(Arguments app, Settings& settings);
Action setup_label(Arguments app, Settings& settings);
Action setup_nvidia(Arguments app, Settings& settings);
Action setup_benchmark(Arguments app, Settings& settings);
Action setup_models(Arguments app, Settings& settings);
Action setup_segment(Arguments app, Settings& settings);
Action setup_plugins(Arguments app, Settings& settings);
Action setup_convert_to_tensorrt(Arguments app, Settings& settings);
Action setup_doctor(Arguments app, Settings& settings);

// Runs the program. Never throws.
int run(int argc, char** argv);

// Opens the catalogue for reading; if there is none, the error explains how to create one.
Result<store::CatalogueReader> open_reader(const Context& context);

// From now on Ctrl-C and SIGTERM request a stop through interruption(), so that a run ends gracefully; a second one
// ends the program at once. kMachine if no thread can be started for this.
Status catch_interrupts();
// Thread-safe. No stop is requested before catch_interrupts().
std::stop_token interruption();
bool interrupted();

}  // namespace image_engine::cli
