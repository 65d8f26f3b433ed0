#include "models/export.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "core/file.h"
#include "core/text.h"
#include "models/python.h"

namespace image_engine::models {
namespace {

constexpr std::chrono::seconds kLimit{1800};

constexpr Exporter kExporters[] = {
    {"clip", "clip.py", "pictures and texts, of transformers' or open_clip's safetensors"},
};

Result<const Exporter*> find_exporter(const std::string& kind) {
  const auto* found = std::ranges::find(kExporters, kind, &Exporter::name);
  if (found != std::end(kExporters)) return found;
  std::vector<std::string_view> names;
  for (const Exporter& exporter : kExporters) names.push_back(exporter.name);
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("there is no exporter for \"{}\"; known: {}", printable(kind), fmt::join(names, ", ")));
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
  const std::string script = join_path(join_path(std::string(parent_path(request.tools)), "export"), exporter->script);
  if (::access(script.c_str(), R_OK) != 0)
    return fail(ErrorCode::kNotFound, fmt::format("the exporter {} is not there", printable(script)));
  struct stat info {};
  if (::stat(request.from.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    return fail(ErrorCode::kNotFound, fmt::format("{} is no folder", printable(request.from)));
  IE_TRY(const std::string python, converter_python(request.python, request.tools, request.cancelled));
  std::vector<std::string> arguments{python,
                                     "-B",
                                     script,
                                     "--from",
                                     absolute_path(request.from),
                                     "--output",
                                     absolute_path(request.folder),
                                     "--opset",
                                     std::to_string(request.opset)};
  if (request.int8) arguments.emplace_back("--int8");
  IE_TRY(const std::string report, run_tool(arguments, kLimit, request.cancelled));
  return read_report(report);
}

}  // namespace image_engine::models
