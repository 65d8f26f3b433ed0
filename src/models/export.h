// Writes a model of the user's, in the format it was trained in, as ONNX: programs of tools/export.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::models {

// One a kind of model. Adding one is a row, and a script that takes --from, --output, --opset and --int8, prints a line
// `NAME<tab>what was checked` for each file that it wrote, and exits with 1 and one line on stderr otherwise.
struct Exporter {
  std::string_view name;
  std::string_view script;  // in tools/export
  std::string_view what;    // for people
};
std::span<const Exporter> exporters();

struct ExportRequest {
  std::string kind;    // an exporter's name
  std::string from;    // the folder with the model: safetensors and its configuration
  std::string folder;  // where the files go
  int opset = 17;
  bool int8 = false;   // those too
  std::string tools;   // of the converters: tools/models; the exporters lie beside it
  std::string python;  // as PullOptions::python
  std::function<bool()> cancelled = [] { return false; };
};

struct ExportedFile {
  std::string name;
  std::string checked;  // what its numbers were compared with, and how close they are
};

// Errors: kInvalidArgument (no such kind), kNotFound (the folder or the script), those of converter_python() and
// run_tool().
Result<std::vector<ExportedFile>> export_model(const ExportRequest& request);

}  // namespace image_engine::models
