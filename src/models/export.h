// Exports a user's model from its training format to ONNX, with the programs of tools/export.
#pragma once

#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::models {

// One for each kind of model. To add one: a row, and a script that takes --from, --output, --opset and the options of
// its row. The script prints a line `NAME<tab>what was checked` for each file that it wrote; on failure it exits with 1
// and one line on stderr.
struct Exporter {
  std::string_view name;
  std::string_view script;              // in tools/export
  std::string_view what;                // for people
  bool takes_file = false;              // --from is a file, else a folder
  std::string_view pickle_script = {};  // in tools/export: makes such a file of a pickle that is trusted
  bool needs_torch = false;             // needs the user's Python with tools/export/requirements.txt
  bool has_int8 = false;                // takes --int8
  bool has_size = false;                // takes --size
  bool has_dynamic = false;             // takes --dynamic
};
std::span<const Exporter> exporters();

struct ExportRequest {
  std::string kind;    // an exporter's name
  std::string from;    // the folder with the model: safetensors and its configuration; or a file
  std::string folder;  // where the files are written
  int opset = 17;
  bool int8 = false;     // also writes int8 files
  int size = 0;          // width and height of the input; 0: the model's own
  bool dynamic = false;  // an input of any size
  // A pickle is read, by the user's Python in a process without a network; it can run any code there.
  bool trusted = false;
  std::string own_python;               // the user's Python, for any exporter; required by those of torch
  std::string tools;                    // the converters' folder, tools/models; the exporters' is beside it
  std::string python;                   // as PullOptions::python
  std::function<void(double)> waiting;  // called about twenty times a second, with the seconds so far
  std::stop_token stop;
};

struct ExportedFile {
  std::string name;
  std::string checked;  // what its outputs were compared with, and how close they are
};

// Errors: kInvalidArgument (no such kind, or an option that it does not take), kNotFound (the input, or the script),
// kUnsupported (it needs torch, or a trusted pickle its makers' library, and no Python was given: the message explains
// how to get one; nothing is installed),
// those of converter_python() and run_script().
Result<std::vector<ExportedFile>> export_model(const ExportRequest& request);

}  // namespace image_engine::models
