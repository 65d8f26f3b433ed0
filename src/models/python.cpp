#include "models/python.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "core/file.h"
#include "core/hash.h"
#include "core/secrets.h"
#include "core/subprocess.h"
#include "core/text.h"
#include "models/folder_lock.h"

namespace image_engine::models {
namespace {

constexpr size_t kMostOutput = size_t{1} << 20;
constexpr std::chrono::seconds kMakingLimit{900};

std::string read_back(int fd) {
  std::string text(kMostOutput, '\0');
  const ssize_t count = ::pread(fd, text.data(), text.size(), 0);
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return text;
}

std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return printable(text.substr(text.rfind('\n') + 1).substr(0, 500));
}

// Gives the exit code, −1 when it was killed by a signal.
Result<int> wait_for(int pid, const std::string& name, std::chrono::seconds limit,
                     const std::function<bool()>& cancelled) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  int status = 0;
  for (;;) {
    const pid_t ended = ::waitpid(pid, &status, WNOHANG);
    if (ended == pid) return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (ended < 0 && errno != EINTR) return fail(errno_error("cannot wait for " + printable(name)));
    const bool late = std::chrono::steady_clock::now() > deadline;
    if (late || cancelled()) {
      ::kill(-pid, SIGKILL);
      while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
      return late ? fail(ErrorCode::kTimeout, printable(name) + " did not end in time")
                  : fail(ErrorCode::kInterrupted, "interrupted");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
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

// -I leaves out the script's own folder, too.
constexpr char kRunScript[] =
    "import os, runpy, sys\n"
    "del sys.argv[0]\n"
    "sys.path.insert(0, os.path.dirname(sys.argv[0]))\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')";

constexpr char kInstallPython[] = "on Debian and Ubuntu: apt install python3 python3-venv";

// `named`: what runs, for messages.
Result<std::string> run_tool(const std::vector<std::string>& arguments, const std::string& named,
                             std::chrono::seconds limit, const std::function<bool()>& cancelled) {
  const UniqueFd out(::memfd_create("out", MFD_CLOEXEC)), error(::memfd_create("error", MFD_CLOEXEC));
  if (!out || !error) return fail(errno_error("cannot keep a program's output"));
  SpawnOptions options;
  options.arguments = arguments;
  options.environment = child_environment();
  options.descriptors = {{out.get(), 1}, {error.get(), 2}};
  IE_TRY(const int pid, spawn(options));
  IE_TRY(const int code, wait_for(pid, named, limit, cancelled));
  if (code == 0) return read_back(out.get());
  const std::string reason = last_line(read_back(error.get()));
  return fail(ErrorCode::kIo,
              reason.empty() ? fmt::format("{} failed with exit code {}", printable(named), code) : reason);
}

Result<std::string> run_isolated(const std::string& python, std::vector<std::string> head,
                                 std::vector<std::string> arguments, std::chrono::seconds limit,
                                 const std::function<bool()>& cancelled) {
  const std::string named = head.back();
  head.insert(head.begin(), {absolute_path(python), "-I", "-B"});
  std::ranges::move(arguments, std::back_inserter(head));
  return run_tool(head, named, limit, cancelled);
}

}  // namespace

Result<std::string> run_script(const std::string& python, const std::string& script, std::vector<std::string> arguments,
                               std::chrono::seconds limit, const std::function<bool()>& cancelled) {
  return run_isolated(python, {"-c", kRunScript, absolute_path(script)}, std::move(arguments), limit, cancelled);
}

Result<std::string> run_module(const std::string& python, const std::string& module, std::vector<std::string> arguments,
                               std::chrono::seconds limit, const std::function<bool()>& cancelled) {
  return run_isolated(python, {"-m", module}, std::move(arguments), limit, cancelled);
}

Result<std::string> converter_python(const std::string& given, const std::string& tools,
                                     const std::function<bool()>& cancelled) {
  if (!given.empty()) return given;
  const std::string requirements = join_path(tools, "requirements.txt");
  IE_TRY(const std::string wanted, read_file(requirements));
  const std::string folder = join_path(absolute_path(cache_home()), "converters-" + hash128(wanted).hex());
  std::string python = folder + "/bin/python";
  const std::string ready = folder + "/ready";
  IE_CHECK(make_folders(cache_home(), 0700));
  IE_TRY(const FolderLock lock, FolderLock::take(folder + ".lock", cancelled));
  if (::access(ready.c_str(), F_OK) == 0) return python;
  const std::string system = find_python();
  if (system.empty())
    return fail(ErrorCode::kUnsupported,
                fmt::format("converting this model needs python3, which is not installed ({})", kInstallPython));
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  if (const auto made = run_module(system, "venv", {folder}, kMakingLimit, cancelled); !made)
    return fail(made.error().code == ErrorCode::kIo ? ErrorCode::kUnsupported : made.error().code,
                fmt::format("{} cannot make an environment ({}): {}", system, kInstallPython, made.error().message));
  if (const auto installed = run_module(
          python, "pip",
          {"install", "--quiet", "--require-hashes", "--disable-pip-version-check", "-r", absolute_path(requirements)},
          kMakingLimit, cancelled);
      !installed)
    return fail(installed.error().code,
                fmt::format("what the converters need cannot be installed: {}", installed.error().message));
  IE_CHECK(write_file_atomically(ready, std::string_view("")));
  return python;
}

}  // namespace image_engine::models
