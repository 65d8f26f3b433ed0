#include "models/made_graphs.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/text.h"
#include "models/folder_lock.h"
#include "models/python.h"

namespace image_engine::models {
namespace {

constexpr std::chrono::seconds kMakingTime{900};
// The program's dependencies: another version of one makes another graph.
constexpr const char* kParts[] = {"optimise.py", "fusions.py", "half.py", "onnx_edit.py", "requirements.txt"};

// A key of everything that the file depends on. The source counts by name, size and time: reading hundreds of megabytes
// at each start would be too slow.
Result<std::string> key_of(const GraphRequest& request, const std::string& tools) {
  struct stat info {};
  if (::stat(request.source.c_str(), &info) != 0) return fail(errno_error(printable(request.source)));
  std::string text;
  for (const char* part : kParts) {
    IE_TRY(const std::string one, read_file(join_path(tools, part)));
    text += one;
  }
  return hash128(fmt::format("{}\n{} {} {}\n{}\n{}", absolute_path(request.source), info.st_size, info.st_mtim.tv_sec,
                             info.st_mtim.tv_nsec, request.batch, hash128(text).hex()))
      .hex();
}

}  // namespace

Result<std::string> made_graph(const GraphRequest& request) {
  const std::string program = join_path(request.tools, "optimise.py");
  IE_TRY(const std::string key, key_of(request, request.tools));
  const std::string file = join_path(request.folder, fmt::format("{}-{}.onnx", key, request.precision));
  if (::access(file.c_str(), R_OK) == 0) return file;
  IE_CHECK(make_folders(request.folder, 0700));
  IE_TRY(const FolderLock lock, FolderLock::take(file + ".lock", request.stop));
  if (::access(file.c_str(), R_OK) == 0) return file;  // another process has made it meanwhile
  IE_TRY(const std::string python, converter_python(request.python, request.tools, request.stop));
  std::vector<std::string> arguments = {
      "--input", absolute_path(request.source), "--output", absolute_path(file), "--precision", request.precision};
  if (request.batch > 0) arguments.insert(arguments.end(), {"--batch", std::to_string(request.batch)});
  IE_TRY([[maybe_unused]] const std::string report, run_script(python, program, arguments, kMakingTime, request.stop));
  if (::access(file.c_str(), R_OK) != 0) return fail(ErrorCode::kIo, "the converter wrote no graph");
  return file;
}

}  // namespace image_engine::models
