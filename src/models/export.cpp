#include "models/export.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "core/file.h"
#include "core/temporary_folder.h"
#include "core/text.h"
#include "models/python.h"
#include "models/spec.h"

namespace image_engine::models {
namespace {

constexpr std::chrono::seconds kLimit{1800};

constexpr Exporter kExporters[] = {
    {.name = "clip",
     .script = "clip.py",
     .what = "pictures and texts, of transformers' or open_clip's safetensors",
     .has_int8 = true},
    {.name = "detr",
     .script = "detr.py",
     .what = "objects, of transformers' safetensors",
     .needs_torch = true,
     .has_size = true,
     .has_dynamic = true},
    {.name = "dfine", .script = "dfine.py", .what = "objects, likewise", .needs_torch = true, .has_size = true},
    {.name = "segformer",
     .script = "segformer.py",
     .what = "segmentation, likewise",
     .needs_torch = true,
     .has_size = true},
    {.name = "yolo",
     .script = "yolo.py",
     .what = "objects, of Ultralytics' own ONNX file",
     .takes_file = true,
     .pickle_script = "ultralytics_pt.py"},
};

Result<const Exporter*> find_exporter(const std::string& kind) {
  const auto* found = std::ranges::find(kExporters, kind, &Exporter::name);
  if (found != std::end(kExporters)) return found;
  std::vector<std::string_view> names;
  for (const Exporter& exporter : kExporters) names.push_back(exporter.name);
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("there is no exporter for \"{}\"; known: {}", printable(kind), fmt::join(names, ", ")));
}

Status check_options(const Exporter& exporter, const ExportRequest& request) {
  const std::pair<bool, const char*> refused[] = {{request.int8 && !exporter.has_int8, "--int8"},
                                                  {request.size != 0 && !exporter.has_size, "--size"},
                                                  {request.dynamic && !exporter.has_dynamic, "--dynamic"}};
  for (const auto& [is_refused, option] : refused)
    if (is_refused)
      return fail(ErrorCode::kInvalidArgument, fmt::format("the exporter of {} takes no {}", exporter.name, option));
  if (request.size != 0 && request.dynamic)
    return fail(ErrorCode::kInvalidArgument, "--size and --dynamic exclude each other");
  return {};
}

Status check_source(const Exporter& exporter, const std::string& from) {
  struct stat info {};
  const bool is_there = ::stat(from.c_str(), &info) == 0;
  if (is_there && (exporter.takes_file ? S_ISREG(info.st_mode) : S_ISDIR(info.st_mode))) return {};
  return fail(ErrorCode::kNotFound,
              fmt::format("{} is no {}", printable(from), exporter.takes_file ? "file" : "folder"));
}

Result<std::string> python_for(const Exporter& exporter, const ExportRequest& request, const std::string& scripts) {
  if (!request.own_python.empty()) {
    if (::access(request.own_python.c_str(), X_OK) == 0) return request.own_python;
    return fail(ErrorCode::kNotFound, fmt::format("{} is no program", printable(request.own_python)));
  }
  if (!exporter.needs_torch) return converter_python(request.python, request.tools, request.stop);
  return fail(
      ErrorCode::kUnsupported,
      fmt::format("exporting {} needs a Python with torch and transformers: `pip install -r {}` in an environment "
                  "of yours, and name its python with --python or IMAGE_ENGINE_EXPORT_PYTHON",
                  exporter.name, printable(join_path(scripts, "requirements.txt"))));
}

// The file that a trusted pickle becomes, in `folder`.
Result<std::string> unpickled(const Exporter& exporter, const ExportRequest& request, const std::string& scripts,
                              const std::string& folder) {
  if (request.own_python.empty())
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} is read by a Python of yours with ultralytics: `pip install ultralytics onnx` in an "
                            "environment of yours, and name its python with --python or IMAGE_ENGINE_EXPORT_PYTHON",
                            printable(request.from)));
  if (::access(request.own_python.c_str(), X_OK) != 0)
    return fail(ErrorCode::kNotFound, fmt::format("{} is no program", printable(request.own_python)));
  const std::string_view name = file_name(request.from);
  const std::string made = join_path(folder, std::string(name.substr(0, name.rfind('.'))) + ".onnx");
  IE_CHECK(run_script(request.own_python, join_path(scripts, exporter.pickle_script),
                      {"--from", absolute_path(request.from), "--output", made}, kLimit, request.stop,
                      request.waiting));
  return made;
}

std::vector<ExportedFile> read_report(std::string_view text) {
  std::vector<ExportedFile> files;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (const size_t tab = line.find('\t'); tab != std::string_view::npos)
      files.push_back({std::string(line.substr(0, tab)), std::string(line.substr(tab + 1))});
  }
  return files;
}

}  // namespace

std::span<const Exporter> exporters() { return kExporters; }

Result<std::vector<ExportedFile>> export_model(const ExportRequest& request) {
  IE_TRY(const Exporter* exporter, find_exporter(request.kind));
  IE_CHECK(check_options(*exporter, request));
  const std::string scripts = join_path(std::string(parent_path(request.tools)), "export");
  const std::string script = join_path(scripts, exporter->script);
  if (::access(script.c_str(), R_OK) != 0)
    return fail(ErrorCode::kNotFound, fmt::format("the exporter {} is missing", printable(script)));
  IE_CHECK(check_source(*exporter, request.from));
  if (request.trusted && is_pickle(request.from) && !exporter->pickle_script.empty()) {
    IE_TRY(const TemporaryFolder folder, TemporaryFolder::create());
    ExportRequest readable = request;
    IE_TRY(readable.from, unpickled(*exporter, request, scripts, folder.path()));
    readable.own_python.clear();  // the other's packages are not for this
    return export_model(readable);
  }
  IE_TRY(const std::string python, python_for(*exporter, request, scripts));
  std::vector<std::string> arguments{"--from",  absolute_path(request.from),  "--output", absolute_path(request.folder),
                                     "--opset", std::to_string(request.opset)};
  if (request.int8) arguments.emplace_back("--int8");
  if (request.dynamic) arguments.emplace_back("--dynamic");
  if (request.size != 0) arguments.insert(arguments.end(), {"--size", std::to_string(request.size)});
  IE_TRY(const std::string report, run_script(python, script, arguments, kLimit, request.stop, request.waiting));
  return read_report(report);
}

}  // namespace image_engine::models
