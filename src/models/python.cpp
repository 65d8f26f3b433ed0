#include "models/python.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>

#include "core/file.h"
#include "core/hash.h"
#include "core/secrets.h"
#include "core/subprocess.h"
#include "core/text.h"
#include "models/folder_lock.h"

namespace image_engine::models {
namespace {

constexpr std::chrono::seconds kMakingLimit{900};

std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return printable(text.substr(text.rfind('\n') + 1).substr(0, 500));
}

std::string find_python() {
  const char* variable = std::getenv("PATH");
  std::string_view folders = variable != nullptr ? variable : "/usr/bin:/bin";
  while (!folders.empty()) {
    const std::string_view folder = folders.substr(0, folders.find(':'));
    folders.remove_prefix(std::min(folders.size(), folder.size() + 1));
    // A relative entry, or an empty one, is the current folder's.
    if (std::string path = join_path(folder, "python3"); folder.starts_with('/') && ::access(path.c_str(), X_OK) == 0)
      return path;
  }
  return "";
}

// -I also excludes the script's own folder.
constexpr char kRunScript[] =
    "import os, runpy, sys\n"
    "del sys.argv[0]\n"
    "sys.path.insert(0, os.path.dirname(sys.argv[0]))\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')";

constexpr char kInstallPython[] = "on Debian and Ubuntu: apt install python3 python3-venv";

// `named`: the program's name, for messages.
Result<std::string> run_tool(const std::vector<std::string>& arguments, const std::string& named,
                             std::chrono::seconds limit, const std::stop_token& stop,
                             const std::function<void(double)>& waiting) {
  SpawnOptions options;
  options.arguments = arguments;
  options.environment = child_environment();
  IE_TRY(
      Finished finished,
      run_program(options, {.timeout = limit, .stop = stop, .waiting = waiting, .keep_errors = true, .name = named}));
  if (finished.exit_code == 0) return std::move(finished.output);
  const std::string reason = last_line(std::move(finished.errors));
  return fail(ErrorCode::kIo, reason.empty()
                                  ? fmt::format("{} failed with exit code {}", printable(named), finished.exit_code)
                                  : reason);
}

Result<std::string> run_isolated(const std::string& python, std::vector<std::string> head,
                                 std::vector<std::string> arguments, std::chrono::seconds limit,
                                 const std::stop_token& stop, const std::function<void(double)>& waiting = {}) {
  const std::string named = head.back();
  head.insert(head.begin(), {absolute_path(python), "-I", "-B"});
  std::ranges::move(arguments, std::back_inserter(head));
  return run_tool(head, named, limit, stop, waiting);
}

}  // namespace

Result<std::string> run_script(const std::string& python, const std::string& script, std::vector<std::string> arguments,
                               std::chrono::seconds limit, const std::stop_token& stop,
                               const std::function<void(double)>& waiting) {
  return run_isolated(python, {"-c", kRunScript, absolute_path(script)}, std::move(arguments), limit, stop, waiting);
}

Result<std::string> run_module(const std::string& python, const std::string& module, std::vector<std::string> arguments,
                               std::chrono::seconds limit, const std::stop_token& stop) {
  return run_isolated(python, {"-m", module}, std::move(arguments), limit, stop);
}

namespace {

Result<std::string> make_environment(const std::string& tools, const std::stop_token& stop) {
  const std::string requirements = join_path(tools, "requirements.txt");
  IE_TRY(const std::string wanted, read_file(requirements));
  const std::string folder = join_path(absolute_path(cache_home()), "converters-" + hash128(wanted).hex());
  std::string python = folder + "/bin/python";
  const std::string ready = folder + "/ready";
  IE_CHECK(make_folders(cache_home(), 0700));
  IE_TRY(const FolderLock lock, FolderLock::take(folder + ".lock", stop));
  if (::access(ready.c_str(), F_OK) == 0) return python;
  const std::string system = find_python();
  if (system.empty())
    return fail(ErrorCode::kUnsupported,
                fmt::format("converting this model needs python3, which is not installed ({})", kInstallPython));
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  if (const auto made = run_module(system, "venv", {folder}, kMakingLimit, stop); !made)
    return fail(made.error().code == ErrorCode::kIo ? ErrorCode::kUnsupported : made.error().code,
                fmt::format("{} cannot make an environment ({}): {}", system, kInstallPython, made.error().message));
  if (const auto installed = run_module(python, "pip",
                                        {"install", "--quiet", "--require-hashes", "--disable-pip-version-check",
                                         "--retries", "1", "--timeout", "10", "-r", absolute_path(requirements)},
                                        kMakingLimit, stop);
      !installed)
    return fail(installed.error().code,
                fmt::format("what the converters need cannot be installed: {}", installed.error().message));
  IE_CHECK(write_file_atomically(ready, std::string_view("")));
  return python;
}

}  // namespace

Result<std::string> converter_python(const std::string& given, const std::string& tools, const std::stop_token& stop) {
  if (!given.empty()) return given;
  // A machine without a network fails after many seconds: try once per process, not for each model and precision.
  static std::mutex mutex;
  static std::map<std::string, Error> failed;
  const std::lock_guard lock(mutex);
  if (const auto before = failed.find(tools); before != failed.end()) return fail(before->second);
  Result<std::string> made = make_environment(tools, stop);
  if (!made && made.error().code == ErrorCode::kIo) failed.emplace(tools, made.error());
  return made;
}

}  // namespace image_engine::models
