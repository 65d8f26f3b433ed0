// Writes a model of the user's, in the format it was trained in, as ONNX: programs of tools/export.
#pragma once

#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::models {

// One a kind of model. Adding one is a row, and a script that takes --from, --output, --opset and what else its row
// says, prints a line `NAME<tab>what was checked` for each file that it wrote, and exits with 1 and one line on stderr
// otherwise.
struct Exporter {
  std::string_view name;
  std::string_view script;   // in tools/export
  std::string_view what;     // for people
  bool takes_file = false;   // --from is a file, else a folder
  bool needs_torch = false;  // runs in a Python of the user's that has tools/export/requirements.txt
  bool has_int8 = false;     // takes --int8
  bool has_size = false;     // takes --size
  bool has_dynamic = false;  // takes --dynamic
};
std::span<const Exporter> exporters();

struct ExportRequest {
  std::string kind;    // an exporter's name
  std::string from;    // the folder with the model: safetensors and its configuration; or a file
  std::string folder;  // where the files go
  int opset = 17;
  bool int8 = false;       // those too
  int size = 0;            // width and height of the input; 0: the model's own
  bool dynamic = false;    // an input of any size
  std::string own_python;  // the user's choice, which runs any exporter; those of torch must be given one
  std::string tools;       // of the converters: tools/models; the exporters lie beside it
  std::string python;      // as PullOptions::python
  std::stop_token stop;
};

struct ExportedFile {
  std::string name;
  std::string checked;  // what its numbers were compared with, and how close they are
};

// Errors: kInvalidArgument (no such kind, or an option that it does not take), kNotFound (what to export, or the
// script), kUnsupported (it needs torch, and no Python was named: says how to get one; nothing is installed), those of
// converter_python() and run_script().
Result<std::vector<ExportedFile>> export_model(const ExportRequest& request);

}  // namespace image_engine::models
