#include "cli/app.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <semaphore.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <system_error>
#include <thread>

#include "core/cpu.h"
#include "core/file.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/text.h"
#include "infer/choose_device.h"
#include "infer/run_watch.h"

namespace image_engine::cli {
namespace {

constexpr std::array kCommands = {
    Command{"analyze", "Index photos, videos and sound files", setup_analyze},
    Command{"analyze-video", "One document of everything in a video: scenes, frames, moments", setup_analyze_video},
    Command{"plan", "What analyze would do with folders, and how long it would take", setup_plan},
    Command{"search", "Find pictures by words and fields", setup_search},
    Command{"similar", "Pictures similar to a picture or a text", setup_similar},
    Command{"duplicates", "Groups of identical or similar photos, and the best of each", setup_duplicates},
    Command{"show", "Everything known about a file", setup_show},
    Command{"status", "The contents of the catalogue, stale records and failures", setup_status},
    Command{"failures", "Files that could not be analyzed, and why", setup_failures},
    Command{"catalog", "Back up, move, prune or check the catalogue", setup_catalog},
    Command{"rate", "Rate pictures from 0 to 5", setup_rate},
    Command{"tag", "Give pictures tags of yours, or take them away", setup_tag},
    Command{"title", "Give a picture a title of yours", setup_title},
    Command{"label", "Teach your own label by a few examples: my car, our garden", setup_label},
    Command{"segment", "Cut subjects, people or things out of photos", setup_segment},
    Command{"models", "Install, check and add models", setup_models},
    Command{"plugins", "Programs of others that make something of your photos, each behind a wall", setup_plugins},
    Command{"convert-to-tensorrt", "Build a TensorRT engine of a model ahead of its first use",
            setup_convert_to_tensorrt},
    Command{"nvidia", "NVIDIA's cloud models: check, requests about one picture, stored answers, log of requests",
            setup_nvidia},
    Command{"benchmark", "Measure this machine", setup_benchmark},
    Command{"doctor", "Check this machine: what works, what is missing, the remedy", setup_doctor},
};

constexpr char kFooter[] = R"(
Examples:
  image-engine analyze ~/Pictures
  image-engine search 'beach after:2019 camera:canon'
  image-engine show ~/Pictures/IMG_0042.jpg --json
  image-engine failures --retry

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 done but with new failures, 130 interrupted.
Files: the catalogue is $XDG_DATA_HOME/image-engine/catalog.db, or the file given with --catalog.)";

struct Globals {
  std::string catalogue, log_level, device, precision, use_tensorrt;
  std::vector<std::string> config;
  bool json = false, quiet = false, require_gpu = false;
};

void add_globals(Arguments app, Globals& globals) {
  app.add_option("--catalog", globals.catalogue, "The catalogue's file").type_name("FILE");
  app.add_option(
         "--config", globals.config,
         "A configuration file, or a shipped one: default, optimized, video, development, nvidia (may be repeated)")
      .type_name("FILE")
      .one_value_each();
  app.add_option("--log-level", globals.log_level, "trace, debug, info, warn, error or off").type_name("LEVEL");
  app.add_option("--device", globals.device, "Where models run: auto, cpu, cuda, cuda:N or tensorrt")
      .type_name("DEVICE");
  app.add_option("--precision", globals.precision, "The precision of models: auto, fp32, fp16 or int8")
      .type_name("PRECISION");
  app.add_option("--use-tensorrt", globals.use_tensorrt, "Try TensorRT before CUDA: true or false").type_name("BOOL");
  app.add_flag("--require-gpu", globals.require_gpu, "Fail instead of running a model on the CPU");
  app.add_flag("--json", globals.json, "One JSON document on stdout");
  app.add_flag("--quiet,-q", globals.quiet, "No progress, no report");
}

Result<Context> make_context(const Globals& globals, const Settings& settings) {
  IE_CHECK(check_surroundings());
  IE_CHECK(check_cpu_limit());
  Context context;
  IE_TRY(context.config, load_config(globals.config));
  if (!globals.log_level.empty()) IE_CHECK(set(context.config, "log.level", globals.log_level));
  for (const auto& [key, value, items] : settings)
    IE_CHECK(items.empty() ? set(context.config, key, value) : set(context.config, key, items));
  const std::pair<const char*, const std::string&> given[] = {
      {"inference.device", globals.device},
      {"inference.precision", globals.precision},
      {"analysis.ml_models.use_tensorrt", globals.use_tensorrt}};
  for (const auto& [key, value] : given)
    if (!value.empty()) IE_CHECK(set(context.config, key, value));
  if (globals.require_gpu) IE_CHECK(set(context.config, "inference.require_gpu", "true"));
  IE_CHECK(infer::check_device(context.config.inference.device));
  infer::set_run_limits(
      {std::chrono::milliseconds(std::llround(context.config.inference.run_timeout_seconds * 1000)), interruption()});
  context.catalogue =
      absolute_path(globals.catalogue.empty() ? join_path(data_home(), "catalog.db") : globals.catalogue);
  context.json = globals.json;
  context.quiet = globals.quiet;
  context.colour = !globals.json && is_terminal(STDOUT_FILENO) && std::getenv("NO_COLOR") == nullptr;
  return context;
}

int print_error(const Error& error) {
  // Messages name files, and a file's name may hold a terminal's control characters.
  std::fprintf(stderr, "image-engine: %s\n", printable(error.message).c_str());
  if (error.code == ErrorCode::kInterrupted) return kInterrupted;
  return error.code == ErrorCode::kInvalidArgument ? kUsage : kFailed;
}

// CLI11's own message for an unknown command does not help.
int unknown_command(std::string_view word) {
  std::vector<std::string_view> names;
  for (const Command& command : kCommands) names.emplace_back(command.name);
  const std::string_view nearest = nearest_name(word, names);
  std::fprintf(stderr, "image-engine: no command '%s'%s\nRun image-engine --help for the list.\n",
               printable(word).c_str(), nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest).c_str());
  return kUsage;
}

// A query may start with a minus and so resemble flags: `search '-dog park'`. Flags with one dash have at most two
// characters, so such words can be recognised; a blank before them, which a query ignores, hides the dash from CLI11.
std::vector<std::string> arguments_of(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.empty()) return arguments;
  const bool query = arguments[0] == "search",
             paths = arguments[0].starts_with("analyze") || arguments[0] == "failures" || arguments[0] == "plan";
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    std::string& text = arguments[i];
    // CLI11 would parse [2019] as a list of one.
    const bool list = text.starts_with('[') && text.ends_with(']');
    const bool pattern = arguments[i - 1] == "--include" || arguments[i - 1] == "--exclude";
    if (query && (list || (text.size() > 2 && text[0] == '-' && text[1] != '-'))) text.insert(0, " ");
    if (paths && list && !pattern) text.insert(0, "./");
  }
  return arguments;
}

// CLI11 would take the next argument as the value.
std::optional<std::string> option_without_value(const std::vector<std::string>& arguments) {
  for (const std::string& text : arguments)
    if (text.starts_with("--") && text.find('=') == text.size() - 1) return text;
  return std::nullopt;
}

int usage_error(const std::string& message) {
  std::fprintf(stderr, "image-engine: %s\nRun image-engine --help for more.\n", printable(message).c_str());
  return kUsage;
}

int run_checked(int argc, char** argv) {
  CommandLine line("image-engine makes a person's photos and videos searchable, on their own machine.", "image-engine",
                   IE_VERSION);
  const Arguments app = line.root();
  app.footer(kFooter);
  Globals globals;
  Settings settings;
  add_globals(app, globals);
  std::vector<std::pair<Arguments, Action>> actions;
  for (const Command& command : kCommands) {
    Arguments sub = app.add_subcommand(command.name, command.summary);
    actions.emplace_back(sub, command.setup(sub, settings));
    sub.add_to_footer("\n\nAlso --catalog, --config, --log-level, --json, --quiet: see image-engine --help");
  }
  const auto named = [&](const Command& command) { return std::string_view(argv[1]) == command.name; };
  if (argc > 1 && argv[1][0] != '-' && std::none_of(kCommands.begin(), kCommands.end(), named))
    return unknown_command(argv[1]);
  const std::vector<std::string> arguments = arguments_of(argc, argv);
  if (const auto option = option_without_value(arguments)) return usage_error(*option + " needs a value");
  if (const auto end = line.parse(arguments)) return end->exit_code == 0 ? kDone : usage_error(end->message);
  Result<Context> context = make_context(globals, settings);
  if (!context) {
    print_error(context.error());
    return context.error().code == ErrorCode::kNotFound && !check_surroundings() ? kFailed : kUsage;
  }
  start_log(context->config.log.level);
  for (const auto& [sub, action] : actions) {
    if (!sub.parsed()) continue;
    const Result<int> code = action(*context);
    if (!code) return print_error(code.error());
    return *code;
  }
  std::fputs(line.help().c_str(), stdout);
  return kUsage;
}

// Never destroyed: the thread that stops it ends with the process.
std::stop_source& interruption_source() {
  static auto* const kSource = new std::stop_source;
  return *kSource;
}

std::atomic<int> interrupts = 0;
sem_t first_interrupt;

// Stopping a source takes locks, which a handler must not: a thread does it.
extern "C" void on_interrupt(int signal) {
  if (interrupts.fetch_add(1) == 0) {
    ::sem_post(&first_interrupt);
    return;
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void stop_at_first_interrupt() {
  while (::sem_wait(&first_interrupt) != 0) continue;  // EINTR
  interruption_source().request_stop();
}

// It is seen by its name while it waits (tests/cli/engine.py).
Status start_thread(const char* name, void (*function)()) {
  try {
    std::thread thread(function);
    ::pthread_setname_np(thread.native_handle(), name);
    thread.detach();
    return {};
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kMachine, fmt::format("cannot start a thread: {}; end other programs or raise the limit on "
                                                 "processes (ulimit -u)",
                                                 error.code().message()));
  }
}

}  // namespace

Status catch_interrupts() {
  ::sem_init(&first_interrupt, 0, 0);
  IE_CHECK(start_thread("interrupt", stop_at_first_interrupt));
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    // Signals ignored by nohup or a shell's & stay ignored.
    if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
      ::sigaction(signal, &action, nullptr);
  }
  return {};
}

std::stop_token interruption() { return interruption_source().get_token(); }

bool interrupted() { return interruption_source().stop_requested(); }

Result<store::CatalogueReader> open_reader(const Context& context) {
  Result<store::CatalogueReader> reader = store::CatalogueReader::open(context.catalogue);
  if (!reader && reader.error().code == ErrorCode::kNotFound)
    return fail(ErrorCode::kNotFound, fmt::format("no catalogue at {} yet: image-engine analyze FOLDER creates it",
                                                  printable(context.catalogue)));
  return reader;
}

namespace {

// If the caller closed a descriptor, the next opened file would get its number and receive our output. The replacement
// for stdout is not writable, so that lost output is an error.
void fill_closed_descriptors() {
  constexpr int kModes[] = {O_RDONLY, O_RDONLY, O_WRONLY};
  for (int fd = 0; fd <= STDERR_FILENO; ++fd)
    if (::fcntl(fd, F_GETFD) < 0) ::open("/dev/null", kModes[fd]);  // the lowest free one: fd
}

// The command's exit code, if all its output was written.
int with_output_written(int code) {
  const bool flushed = std::fflush(stdout) == 0;
  if (flushed && std::ferror(stdout) == 0) return code;
  const Error error = flushed ? Error{ErrorCode::kIo, "cannot write to stdout: some of the output is lost"}
                              : errno_error("cannot write to stdout");
  const int failed = print_error(error);
  return code == kDone || code == kDoneWithFailures ? failed : code;
}

}  // namespace

int run(int argc, char** argv) {
  fill_closed_descriptors();
  // A closed pipe and the limit on file size are errors of the write, which reports them.
  for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);
  try {
    return with_output_written(run_checked(argc, argv));
  } catch (const std::exception& error) {
    return print_error({ErrorCode::kInternal, std::string("unexpected: ") + error.what()});
  }
}

}  // namespace image_engine::cli
